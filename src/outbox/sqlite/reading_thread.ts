import type { Clock } from "../../runtime/clock.ts";
import { type Answered, type Asked, SqliteThread } from "./sqlite_thread.ts";

/** Nobody has asked for so long: the thread goes, and the 20 MB that it takes. */
const IDLE_MS = 30_000;

/** A thread that reads a database for whoever asks, one at a time; it is there while it is needed. */
export class ReadingThread {
  readonly #path: string;
  readonly #clock: Clock;
  #thread: Promise<SqliteThread | undefined> | undefined;
  /** Ends with the last that was asked for. */
  #asked: Promise<unknown> = Promise.resolve();
  #cancelIdle: (() => void) | undefined;
  #isClosed = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /**
   * Runs statements as of one moment. Undefined where there can be no thread now, for want of memory or
   * descriptors, or because it is closed: then whoever asks reads by itself.
   */
  async read(statements: readonly Asked[]): Promise<Answered[] | undefined> {
    const before = this.#asked;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#asked = promise;
    await before;
    try {
      this.#cancelIdle?.();
      const thread = this.#isClosed ? undefined : await this.#open();
      return await thread?.read(statements);
    } finally {
      if (!this.#isClosed) {
        this.#cancelIdle = this.#clock.after(IDLE_MS, () => void this.#end());
      }
      resolve();
    }
  }

  /** Waits for the statements that are under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
  }

  async #open(): Promise<SqliteThread | undefined> {
    this.#thread ??= SqliteThread.open(this.#path, { readOnly: true, settings: SETTINGS })
      .catch(() => undefined);
    const thread = await this.#thread;
    if (!thread) this.#thread = undefined;
    return thread;
  }

  async #end(): Promise<void> {
    await this.#asked;
    this.#cancelIdle?.();
    const thread = await this.#thread;
    this.#thread = undefined;
    await thread?.close();
  }
}

const SETTINGS = `
  pragma mmap_size = 0;
  pragma cache_size = -4096;
  pragma temp_store = memory;
`;
