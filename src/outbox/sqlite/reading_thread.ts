import type { Clock } from "../../runtime/clock.ts";
import { type Answered, type Asked, SqliteThread } from "./sqlite_thread.ts";

/** Nobody has asked for so long: the thread goes, and the 20 MB that it takes. */
const IDLE_MS = 30_000;

/** So long whoever closes it waits for a statement that nothing can end. */
const LAST_STATEMENT_MS = 2_000;

/** A thread that reads a database for whoever asks, one at a time; it is there while it is needed. */
export class ReadingThread {
  readonly #path: string;
  readonly #clock: Clock;
  #thread: SqliteThread | undefined;
  /** Settles with the last that was asked for. */
  #asked: Promise<unknown> = Promise.resolve();
  #cancelIdle: (() => void) | undefined;
  /** Resolved where nobody waits any longer for a statement that is under way. */
  readonly #givenUp = Promise.withResolvers<undefined>();
  #isClosed = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /**
   * Runs statements as of one moment. Undefined where there can be no thread now, for want of memory or
   * descriptors, or because it is closed: then whoever asks reads by itself.
   */
  read(statements: readonly Asked[]): Promise<Answered[] | undefined> {
    return this.#inTurn(async () => {
      if (this.#isClosed) return undefined;
      this.#cancelIdle?.();
      try {
        this.#thread ??= await this.#open();
        return await Promise.race([this.#thread?.read(statements), this.#givenUp.promise]);
      } catch (error) {
        // It may have died of it, and would never answer again.
        this.#thread?.abandon();
        this.#thread = undefined;
        throw error;
      } finally {
        if (!this.#isClosed) this.#cancelIdle = this.#clock.after(IDLE_MS, () => void this.#end());
      }
    });
  }

  /** Waits for the statements that are under way, though not for ever. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelIdle?.();
    const cancel = this.#clock.after(LAST_STATEMENT_MS, () => {
      this.#thread?.abandon();
      this.#thread = undefined;
      this.#givenUp.resolve(undefined);
    });
    await this.#end();
    cancel();
  }

  #open(): Promise<SqliteThread | undefined> {
    return SqliteThread.open(this.#path, { readOnly: true, settings: SETTINGS })
      .catch(() => undefined);
  }

  #end(): Promise<void> {
    return this.#inTurn(async () => {
      const thread = this.#thread;
      this.#thread = undefined;
      await thread?.close();
    });
  }

  /** Does something once all is done that was asked for before. */
  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#asked.then(work);
    this.#asked = done.catch(() => {});
    return done;
  }
}

const SETTINGS = `
  pragma mmap_size = 0;
  pragma cache_size = -4096;
  pragma temp_store = memory;
`;
