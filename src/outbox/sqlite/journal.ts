import type { DatabaseSync } from "node:sqlite";
import { OutboxFailed } from "../outbox.ts";

/**
 * The write-ahead log (`-wal`) of a database that is open for writing. SQLite waits for the disk with
 * all of the process; so commits and checkpoints leave that to this, which waits on a thread of the
 * runtime's.
 */
export class Journal {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #database: Deno.FsFile;

  private constructor({ path, file, database }: {
    path: string;
    file: Deno.FsFile;
    database: Deno.FsFile;
  }) {
    this.#path = path;
    this.#file = file;
    this.#database = database;
  }

  /**
   * From now on no commit of this connection is durable before sync(), and after a checkpoint there must
   * be none before syncDatabase(): it may begin to write over what the journal held. All else stays with
   * SQLite: a new journal's head and folder are synced when it is begun. So the file is whole whenever
   * the power fails.
   */
  static async takeOver(db: DatabaseSync, path: string): Promise<Journal> {
    const file = await Deno.open(`${path}-wal`, { read: true, write: true });
    const database = await Deno.open(path, { read: true, write: true });
    db.exec("pragma synchronous = normal");
    const journal = new Journal({ path, file, database });
    try {
      // A process that was killed may have left a checkpoint that is not.
      await journal.syncDatabase();
    } catch (error) {
      journal.close();
      throw error;
    }
    return journal;
  }

  /** Resolves when all commits so far are on the disk. Rejects with OutboxFailed where that fails. */
  async sync(): Promise<void> {
    try {
      await this.#file.syncData();
    } catch (error) {
      throw this.#failed("syncing its journal failed", error);
    }
  }

  /** The same for what a checkpoint has moved into the database. */
  async syncDatabase(): Promise<void> {
    try {
      await this.#database.syncData();
    } catch (error) {
      throw this.#failed("syncing it failed", error);
    }
  }

  /** After the connection: to close a file lets go of all locks that the process has on it. */
  close(): void {
    this.#file.close();
    this.#database.close();
  }

  #failed(what: string, error: unknown): OutboxFailed {
    return new OutboxFailed(
      `cannot trust "${this.#path}" any more: ${what} (${error}); ` +
        "check the disk, then run bellhook audit, and restore a backup if it finds faults",
      { cause: error },
    );
  }
}
