import { Buffer } from "node:buffer";

const HEAD_BYTES = 32;
const FRAME_HEAD_BYTES = 24;
/** Frames are read so many at a time. */
const READ_FRAMES = 32;

/**
 * Reads along in the write-ahead log of a database that another process writes to, and hands on every
 * page that is committed, in order. The format is SQLite's (fileformat2.html, section 4): a frame counts
 * once its checksum, which goes on from the frames before it, is right and a commit follows.
 */
export class WalFollower {
  readonly #path: string;
  readonly #pageBytes: number;
  #file: Deno.FsFile | undefined;
  /** The head of the log that is being read; it changes when the log is begun anew. */
  #head: Buffer | undefined;
  #position: Position = { frames: 0, sums: [0, 0] };

  constructor(path: string, pageBytes: number) {
    this.#path = path;
    this.#pageBytes = pageBytes;
  }

  /**
   * Hands on what was committed since the last call, at first all that the log holds. False where some
   * of it may have been missed: there is no log, or it was begun anew and written further than was read.
   */
  follow(take: (page: number, content: Uint8Array) => void): boolean {
    this.#file ??= open(this.#path);
    const head = this.#file && readHead(this.#file);
    // Without a log to begin with, what comes and goes between two calls would not be seen.
    if (!this.#file || !head || !this.#isStillThere(this.#file)) return false;
    if (this.#head && !this.#head.equals(head)) {
      if (!isNext(this.#head, head)) return false;
      // The end of the old log stands behind what was written of the new one.
      const unread = this.#position.frames;
      this.#take(this.#head, take);
      if (this.#countFrames(head) > unread || this.#isCutOff(this.#file)) return false;
    }
    if (!this.#head?.equals(head)) {
      this.#head = head;
      this.#position = { frames: 0, sums: [head.readUInt32BE(24), head.readUInt32BE(28)] };
    }
    this.#take(head, take);
    return true;
  }

  #isStillThere(file: Deno.FsFile): boolean {
    try {
      return Deno.statSync(this.#path).ino === file.statSync().ino;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Whether the log was made shorter (journal_size_limit) where it was still being read. */
  #isCutOff(file: Deno.FsFile): boolean {
    const frameBytes = FRAME_HEAD_BYTES + this.#pageBytes;
    const behind = file.statSync().size - HEAD_BYTES - this.#position.frames * frameBytes;
    return behind !== 0 && behind < frameBytes;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #take(head: Buffer, take: (page: number, content: Uint8Array) => void): void {
    let open: [page: number, content: Uint8Array][] = [];
    this.#each(head, this.#position, ({ page, pagesAfter, content, position }) => {
      // A copy: the buffer is read into again before the commit may come.
      open.push([page, new Uint8Array(content)]);
      if (pagesAfter === 0) return;
      for (const [page, content] of open) take(page, content);
      open = [];
      this.#position = position;
    });
  }

  #countFrames(head: Buffer): number {
    let count = 0;
    const sums: Sums = [head.readUInt32BE(24), head.readUInt32BE(28)];
    this.#each(head, { frames: 0, sums }, () => count++);
    return count;
  }

  /** Every frame from a position on that is whole and belongs to that log. */
  #each(head: Buffer, from: Position, visit: (frame: Frame) => void): void {
    const frameBytes = FRAME_HEAD_BYTES + this.#pageBytes;
    const isBigEndian = (head.readUInt32BE(0) & 1) === 1;
    const bytes = Buffer.alloc(READ_FRAMES * frameBytes);
    let { frames, sums } = from;
    for (;;) {
      const length = readAt(this.#file!, bytes, HEAD_BYTES + frames * frameBytes);
      const count = Math.floor(length / frameBytes);
      for (let index = 0; index < count; index++) {
        const frame = bytes.subarray(index * frameBytes, (index + 1) * frameBytes);
        if (frame.compare(head, 16, 24, 8, 16) !== 0) return;
        sums = sum(frame, 0, 8, sums, isBigEndian);
        sums = sum(frame, FRAME_HEAD_BYTES, frameBytes, sums, isBigEndian);
        if (frame.readUInt32BE(16) !== sums[0] || frame.readUInt32BE(20) !== sums[1]) return;
        frames++;
        visit({
          page: frame.readUInt32BE(0),
          pagesAfter: frame.readUInt32BE(4),
          content: frame.subarray(FRAME_HEAD_BYTES),
          position: { frames, sums },
        });
      }
      if (count < READ_FRAMES) return;
    }
  }
}

type Sums = readonly [number, number];

/** So many frames were read, and what their checksums have come to. */
interface Position {
  readonly frames: number;
  readonly sums: Sums;
}

interface Frame {
  readonly page: number;
  /** 0, or after a commit how many pages the database has. */
  readonly pagesAfter: number;
  readonly content: Uint8Array;
  readonly position: Position;
}

function open(path: string): Deno.FsFile | undefined {
  try {
    return Deno.openSync(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function readHead(file: Deno.FsFile): Buffer | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  if (readAt(file, head, 0) < HEAD_BYTES) return undefined;
  if ((head.readUInt32BE(0) & ~1) >>> 0 !== 0x377f0682) return undefined;
  const isBigEndian = (head.readUInt32BE(0) & 1) === 1;
  const [a, b] = sum(head, 0, 24, [0, 0], isBigEndian);
  return head.readUInt32BE(24) === a && head.readUInt32BE(28) === b ? head : undefined;
}

function readAt(file: Deno.FsFile, bytes: Uint8Array, at: number): number {
  file.seekSync(at, Deno.SeekMode.Start);
  let length = 0;
  while (length < bytes.length) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null || count === 0) break;
    length += count;
  }
  return length;
}

/** Whether it is the log that follows: its first salt counts up. */
function isNext(before: Buffer, now: Buffer): boolean {
  return now.readUInt32BE(16) === (before.readUInt32BE(16) + 1) >>> 0;
}

function sum(bytes: Buffer, from: number, to: number, sums: Sums, isBigEndian: boolean): Sums {
  let [a, b] = sums;
  for (let at = from; at < to; at += 8) {
    const [x, y] = isBigEndian
      ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
      : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    a = (a + x + b) >>> 0;
    b = (b + y + a) >>> 0;
  }
  return [a, b];
}
