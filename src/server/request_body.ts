import { Buffer } from "node:buffer";
import { nextTurnOfLoop } from "../runtime/turn.ts";
import { type ByteSource, Ended } from "./byte_source.ts";
import { BadRequest, type Framing } from "./request_head.ts";

const PIECE_BYTES = 64 * 1024;
/** The line that tells a chunk's size, and each of the trailer. */
const MAX_LINE_BYTES = 4 * 1024;
const MAX_TRAILER_LINES = 100;

/** The body of one request, as it stands on its connection. */
export class RequestBody {
  readonly #source: ByteSource;
  readonly #framing: Framing;
  /** Called before the first byte is waited for. */
  readonly #onWanted: () => Promise<void>;
  #isWanted = false;
  /** Of the body, or of the chunk. */
  #leftBytes: number;
  #isComplete: boolean;
  #hasBegun = false;
  /** The line that ends the chunks is read, the trailer is not. */
  #isLastChunk = false;

  constructor(source: ByteSource, framing: Framing, onWanted: () => Promise<void>) {
    this.#source = source;
    this.#framing = framing;
    this.#onWanted = onWanted;
    this.#leftBytes = framing.kind === "length" ? framing.bytes : 0;
    this.#isComplete = framing.kind === "none";
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether anybody has asked for it. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** How much is still to come; Infinity where that is not known. */
  get leftBytes(): number {
    return this.#framing.kind === "chunked" && !this.#isComplete ? Infinity : this.#leftBytes;
  }

  /** The next piece; undefined at the end. Throws Ended, BadRequest. */
  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#isComplete) return undefined;
    await this.#want();
    if (this.#framing.kind === "chunked" && this.#leftBytes === 0) {
      if (this.#hasBegun && !this.#isLastChunk) await nextTurnOfLoop();
      this.#hasBegun = true;
      if (!this.#isLastChunk) this.#leftBytes = await this.#chunkSize();
      if (this.#leftBytes === 0) {
        await this.#skipTrailer();
        this.#isComplete = true;
        return undefined;
      }
    }
    const piece = await this.#source.piece(Math.min(this.#leftBytes, PIECE_BYTES));
    await this.#took(piece.length);
    return this.#framing.kind === "chunked" ? this.#withReadyChunks(piece) : piece;
  }

  /** All of a body whose length is known, in one array. */
  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#isComplete) return new Uint8Array();
    const lent = this.ready();
    if (lent) return lent;
    await this.#want();
    const bytes = await this.#source.exactly(this.#leftBytes);
    this.#leftBytes = 0;
    this.#isComplete = true;
    return bytes;
  }

  /** All of it where it has come already, good until the answer is given; undefined where not. */
  ready(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#framing.kind !== "length" || this.#source.ready < this.#leftBytes) return undefined;
    const bytes = this.#source.lend(this.#leftBytes);
    this.#leftBytes = 0;
    this.#isComplete = true;
    return bytes;
  }

  async #want(): Promise<void> {
    if (this.#isWanted) return;
    this.#isWanted = true;
    if (this.#source.ready === 0) await this.#onWanted();
  }

  async #took(count: number): Promise<void> {
    this.#leftBytes -= count;
    if (this.#leftBytes > 0) return;
    if (this.#framing.kind === "length") this.#isComplete = true;
    else if (await this.#line() !== "") throw new BadRequest("a chunk is longer than it says");
  }

  /**
   * With the chunks that are here as well: a body may be of hundreds of thousands of them, and to wait
   * for each would hold the loop.
   */
  #withReadyChunks(first: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const pieces = [first];
    while (this.#leftBytes === 0 && !this.#isLastChunk) {
      const line = this.#readyLine();
      if (line === undefined) break;
      this.#leftBytes = sizeIn(line);
      this.#isLastChunk = this.#leftBytes === 0;
      if (this.#isLastChunk || this.#source.ready < this.#leftBytes + 2) break;
      pieces.push(this.#source.take(this.#leftBytes));
      this.#leftBytes = 0;
      if (this.#readyLine() !== "") throw new BadRequest("a chunk is longer than it says");
    }
    return pieces.length === 1 ? first : new Uint8Array(Buffer.concat(pieces));
  }

  async #chunkSize(): Promise<number> {
    return sizeIn(await this.#line());
  }

  async #skipTrailer(): Promise<void> {
    for (let lines = 0; await this.#line() !== ""; lines++) {
      if (lines >= MAX_TRAILER_LINES) throw new BadRequest("the trailer is too long");
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const line = this.#readyLine();
      if (line !== undefined) return line;
      if (this.#source.ready > MAX_LINE_BYTES) throw new BadRequest("a chunk's line is too long");
      await this.#more();
    }
  }

  /** Undefined where its end has not come, or is too far away. */
  #readyLine(): string | undefined {
    const end = this.#source.lineEnd(0);
    if (end < 0 || end > MAX_LINE_BYTES) return undefined;
    const line = this.#source.takeText(end);
    this.#source.skip(2);
    return line;
  }

  async #more(): Promise<void> {
    if (!await this.#source.more()) throw new Ended();
  }
}

/** Of a chunk, by the line before it. Throws BadRequest. */
function sizeIn(line: string): number {
  const [, size] = /^([\da-f]{1,12})[ \t]*(?:;[\t -~\x80-\xff]*)?$/i.exec(line) ?? [];
  if (size === undefined) throw new BadRequest("a chunk's size can't be read");
  return parseInt(size, 16);
}
