import type { DatabaseSync, StatementSync } from "node:sqlite";
import { Interrupted, type Progress } from "../../runtime/long_work.ts";

/** A statement with its parameters; what it answers with is read as a whole. */
export interface Asked {
  readonly sql: string;
  readonly params?: Readonly<Record<string, string | number | Uint8Array | null>>;
}

export type Row = Readonly<Record<string, unknown>>;

/** The rows of a statement, or what SQLite says where the file is so damaged that it can't read them. */
export type Answered = { readonly rows: Row[] } | { readonly damage: string };

/** SQLITE_CORRUPT */
const CORRUPT = 11;
/** The runtime's error for a number that no row of ours has: a damaged page gives it. */
const TOO_LARGE = "ERR_OUT_OF_RANGE";

/** Runs one statement on this thread; with `prepared`, which keeps what was prepared, it is prepared once. */
export function answerTo(
  db: DatabaseSync,
  { sql, params }: Asked,
  prepared?: Map<string, StatementSync>,
): Answered {
  try {
    const statement = prepared?.get(sql) ?? db.prepare(sql);
    prepared?.set(sql, statement);
    // Not iterate(), which ends as if there were no more rows where SQLite fails.
    return { rows: (params ? statement.all(params) : statement.all()) as Row[] };
  } catch (error) {
    const { errcode = 0, errstr, code } = error as Failure;
    if ((errcode & 0xff) !== CORRUPT && code !== TOO_LARGE) throw error;
    return { damage: errstr ?? "a number is larger than any that is stored" };
  }
}

/**
 * A connection on a thread of its own. SQLite works for seconds or minutes on a large file, and
 * meanwhile this process still hears signals and tells how far it is. A statement that is under way
 * can't be ended: whoever gives up ends the process, as at a kill. A copy can be.
 */
export class SqliteThread {
  readonly #worker = new Worker(`data:application/javascript,${encodeURIComponent(CODE)}`, {
    type: "module",
  });
  readonly #signal: AbortSignal | undefined;
  /** Set to 1 to end a copy. */
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #waiting: PromiseWithResolvers<unknown> | undefined;
  /** What is under way is a copy, which ends soon where it is to stop. */
  #isCopying = false;
  #onProgress: (progress: Progress) => void = () => {};

  private constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#interrupt);
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#settle()?.reject(new Error(event.message));
    };
  }

  /** Opens a file there; throws as `new DatabaseSync` does. Interrupted at the signal. */
  static async open(
    path: string,
    { readOnly = false, settings = "", defensive = true, signal }: ThreadOptions = {},
  ): Promise<SqliteThread> {
    const thread = new SqliteThread(signal);
    try {
      const options = { path, readOnly, settings, defensive, stop: thread.#stop };
      await thread.#ask({ kind: "open", ...options });
    } catch (error) {
      thread.abandon();
      throw error;
    }
    return thread;
  }

  /** Runs statements one after the other, all of them as of one moment, or in an open transaction. */
  read(statements: readonly Asked[]): Promise<Answered[]> {
    return this.#ask({ kind: "read", statements });
  }

  /** Runs a script; its statements may open a transaction that a later call ends. */
  exec(sql: string): Promise<void> {
    return this.#ask({ kind: "exec", sql });
  }

  /**
   * Copies what the connection sees to a file, as of one moment where nobody else writes: a commit of
   * another connection has it begin anew. Interrupted, it has let go of that file.
   */
  async copyTo(path: string, onProgress: (progress: Progress) => void): Promise<void> {
    this.#onProgress = onProgress;
    this.#isCopying = true;
    try {
      await this.#ask({ kind: "copy", path });
    } catch (error) {
      throw this.#signal?.aborted ? new Interrupted() : error;
    } finally {
      this.#isCopying = false;
    }
    if (this.#signal?.aborted) throw new Interrupted();
  }

  /**
   * Copies the rows of a table of another file that come after some key, so many at most, within the
   * transaction that is open. Without the right to everything, Deno lets nobody attach a database.
   */
  copyRows(copying: RowCopying): Promise<{ readonly count: number; readonly last: Key }> {
    return this.#ask({ kind: "copyRows", ...copying });
  }

  /** Closes the connection, and then the thread. */
  async close(): Promise<void> {
    try {
      await this.#ask({ kind: "close" });
    } finally {
      this.abandon();
    }
  }

  /** Waits for nothing that is under way. The connection stays open until that ends, or the process. */
  abandon(): void {
    this.#signal?.removeEventListener("abort", this.#interrupt);
    this.#worker.terminate();
  }

  readonly #interrupt = () => {
    Atomics.store(this.#stop, 0, 1);
    if (!this.#isCopying) this.#settle()?.reject(new Interrupted());
  };

  #ask<Value>(request: Readonly<Record<string, unknown>>): Promise<Value> {
    if (this.#signal?.aborted) return Promise.reject(new Interrupted());
    if (this.#waiting) throw new Error("this thread is asked one thing at a time");
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting = waiting;
    this.#worker.postMessage(request);
    return waiting.promise as Promise<Value>;
  }

  #hear(heard: { progress?: Progress; error?: Failure; value?: unknown }): void {
    if (heard.progress) this.#onProgress(heard.progress);
    else if (heard.error) {
      const { message, ...facts } = heard.error;
      this.#settle()?.reject(Object.assign(new Error(message), facts));
    } else this.#settle()?.resolve(heard.value);
  }

  #settle(): PromiseWithResolvers<unknown> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}

interface ThreadOptions {
  readonly readOnly?: boolean;
  /** Run when it is open. */
  readonly settings?: string;
  /** False where statements may change what could break the database: the schema's own text. */
  readonly defensive?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What a row is found by, column by column. */
export type Key = readonly (number | Uint8Array | null)[];

/** Rows of a table, as `copyRows()` is to read and to write them. */
export interface RowCopying {
  readonly from: string;
  /** Gives the columns, and after them the key, of so many rows. */
  readonly select: string;
  readonly insert: string;
  readonly columns: number;
  readonly after: Key;
}

interface Failure {
  readonly message: string;
  readonly code?: string;
  readonly errcode?: number;
  readonly errstr?: string;
}

/**
 * What the thread runs. It is a text, for what is bundled into one script has no file of its own that
 * a thread could start from.
 */
const CODE = `
import { backup, DatabaseSync } from "node:sqlite";

let db, source, stop;
const prepared = new Map();

const kinds = {
  open({ path, readOnly, settings, defensive, stop: flag }) {
    stop = flag;
    db = new DatabaseSync(path, { readOnly, timeout: 10_000 });
    try {
      if (!defensive) db.enableDefensive(false);
      db.exec(settings);
      db.prepare("select count(*) from sqlite_schema").get();
    } catch (error) {
      db.close();
      throw error;
    }
  },
  read({ statements }) {
    if (db.isTransaction) return statements.map(answer);
    db.exec("begin");
    try {
      return statements.map(answer);
    } finally {
      if (db.isTransaction) db.exec("rollback");
    }
  },
  exec: ({ sql }) => db.exec(sql),
  async copy({ path }) {
    await backup(db, path, {
      rate: 256,
      progress({ totalPages, remainingPages }) {
        if (Atomics.load(stop, 0) === 1) throw new Error("stopped");
        self.postMessage({ progress: { done: totalPages - remainingPages, total: totalPages } });
      },
    });
  },
  copyRows({ from, select, insert, columns, after }) {
    source ??= new DatabaseSync(from, { readOnly: true });
    const selecting = source.prepare(select);
    selecting.setReturnArrays(true);
    const rows = selecting.all(...after);
    if (!prepared.has(insert)) prepared.set(insert, db.prepare(insert));
    const inserting = prepared.get(insert);
    for (const row of rows) inserting.get(...row.slice(0, columns));
    return { count: rows.length, last: rows.at(-1)?.slice(columns) ?? [] };
  },
  close() {
    source?.close();
    db.close();
  },
};

function answer({ sql, params }) {
  try {
    let statement = prepared.get(sql);
    if (!statement) prepared.set(sql, statement = db.prepare(sql));
    return { rows: params ? statement.all(params) : statement.all() };
  } catch (error) {
    if ((error.errcode & 0xff) !== ${CORRUPT} && error.code !== "${TOO_LARGE}") throw error;
    return { damage: error.errstr ?? "a number is larger than any that is stored" };
  }
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ value: await kinds[data.kind](data) });
  } catch (error) {
    const { message, errcode, errstr, code } = error;
    self.postMessage({ error: { message, errcode, errstr, code } });
  }
};
`;
