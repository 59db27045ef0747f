import { latin1 } from "../domain/latin1.ts";

/** What a connection is to its server. */
export interface Wire {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** As much as one that waits for requests takes. */
const SMALL_BYTES = 2 * 1024;

/** For as much of a body, whoever sends none of it makes us keep room. */
const FIRST_PIECE_BYTES = 8 * 1024;

/** The other end has closed. */
export class Ended extends Error {}

/** What comes in on a connection: read ahead into one buffer, taken from it piece by piece. */
export class ByteSource {
  readonly #wire: Wire;
  #buffer = new Uint8Array(SMALL_BYTES);
  #start = 0;
  #end = 0;
  #reading: Promise<boolean> | undefined;
  /** A piece that is waited for holds no more than has come of its body before. */
  #roomBytes = FIRST_PIECE_BYTES;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Read and not taken yet. */
  get ready(): number {
    return this.#end - this.#start;
  }

  /** Reads more; false where the other end has closed. Asked twice at once it reads once. */
  more(): Promise<boolean> {
    return this.#reading ??= this.#more();
  }

  /** Where the first line end begins that is at `from` or later in what is ready; -1 where none does. */
  lineEnd(from: number): number {
    for (let at = this.#start + from;;) {
      const feed = this.#buffer.indexOf(10, at);
      if (feed < 0 || feed >= this.#end) return -1;
      if (feed > this.#start && this.#buffer[feed - 1] === 13) return feed - 1 - this.#start;
      at = feed + 1;
    }
  }

  byteAt(index: number): number | undefined {
    return index < this.ready ? this.#buffer[this.#start + index] : undefined;
  }

  /** So many bytes of what is ready, as Latin-1. */
  takeText(count: number): string {
    const text = latin1(this.#buffer, this.#start, this.#start + count);
    this.skip(count);
    return text;
  }

  /** A copy of at most so many bytes of what is ready. */
  take(most: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#buffer.slice(this.#start, this.#start + Math.min(most, this.ready));
    this.skip(bytes.length);
    return bytes;
  }

  /** What comes next, at most so many bytes, in an array of their own. Throws Ended. */
  async piece(most: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.#underWay();
    if (this.ready > 0) return this.take(most);
    const room = new Uint8Array(Math.min(most, this.#roomBytes));
    const count = await this.#wire.read(room);
    if (count === null) throw new Ended();
    if (count === this.#roomBytes) this.#roomBytes *= 2;
    // A few bytes do not hold on to all of the room.
    return count > room.length / 2 ? room.subarray(0, count) : room.slice(0, count);
  }

  /** So many bytes that are ready, as they lie there: they are good until more is read. */
  lend(count: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#buffer.subarray(this.#start, this.#start + count);
    this.skip(count);
    return bytes;
  }

  skip(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.#start = this.#end = 0;
  }

  /** So many bytes, read into an array of their own. Throws Ended. */
  async exactly(count: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.#underWay();
    const bytes = new Uint8Array(count);
    let at = Math.min(count, this.ready);
    bytes.set(this.#buffer.subarray(this.#start, this.#start + at));
    this.skip(at);
    while (at < count) {
      const read = await this.#wire.read(bytes.subarray(at));
      if (read === null) throw new Ended();
      at += read;
    }
    return bytes;
  }

  /** Gives back what a large head took, where nothing is ready, and what a large body was granted. */
  shrink(): void {
    this.#roomBytes = FIRST_PIECE_BYTES;
    if (this.#buffer.length > SMALL_BYTES && this.ready === 0 && !this.#reading) {
      this.#buffer = new Uint8Array(SMALL_BYTES);
    }
  }

  /** Waits for what is read already: it comes first. Throws Ended. */
  async #underWay(): Promise<void> {
    if (this.#reading && !await this.#reading) throw new Ended();
  }

  async #more(): Promise<boolean> {
    try {
      if (this.#end === this.#buffer.length) this.#makeRoom();
      const into = this.#end === 0 ? this.#buffer : this.#buffer.subarray(this.#end);
      const read = await this.#wire.read(into);
      if (read === null) return false;
      this.#end += read;
      return true;
    } finally {
      this.#reading = undefined;
    }
  }

  #makeRoom(): void {
    const kept = this.#buffer.subarray(this.#start, this.#end);
    const buffer = this.ready * 2 > this.#buffer.length
      ? new Uint8Array(this.#buffer.length * 2)
      : this.#buffer;
    buffer.set(kept);
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = buffer;
  }
}
