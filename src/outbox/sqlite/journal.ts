import { DatabaseSync } from "node:sqlite";
import { OutboxFailed } from "../errors.ts";
import { DiskThread } from "./disk_thread.ts";

/** The files by their numbers in the thread. */
const JOURNAL = 0, DATABASE = 1;

/**
 * The write-ahead log (`-wal`) of a database that is open for writing. SQLite waits for the disk with
 * all of the process; so commits and checkpoints leave that to this, which waits on a thread of its own.
 */
export class Journal {
  readonly #path: string;
  readonly #disk: DiskThread;
  readonly #reading: DatabaseSync;

  private constructor({ path, disk, reading }: {
    path: string;
    disk: DiskThread;
    reading: DatabaseSync;
  }) {
    this.#path = path;
    this.#disk = disk;
    this.#reading = reading;
  }

  /**
   * From now on no commit of this connection is durable before sync(), and checkpoints are to be made
   * within move(). All else stays with SQLite: a new journal's head and folder are synced when it is
   * begun. So the file is whole whenever the power fails.
   */
  static takeOver(db: DatabaseSync, path: string): Journal {
    db.exec("pragma synchronous = normal");
    const reading = new DatabaseSync(path, { readOnly: true });
    return new Journal({ path, disk: DiskThread.start([`${path}-wal`, path]), reading });
  }

  /** Before anything else: a process that was killed may have left a checkpoint that is not synced. */
  async begin(): Promise<void> {
    await this.#syncDatabase();
  }

  /** Resolves when all commits so far are on the disk. Rejects with OutboxFailed where that fails. */
  async sync(): Promise<void> {
    try {
      await this.#disk.sync(JOURNAL);
    } catch (error) {
      throw this.#failed("syncing its journal failed", error);
    }
  }

  /**
   * Has a checkpoint move what is synced of the journal into the database, and syncs that. Before then
   * nobody may begin the journal anew, neither we nor another process (Litestream writes as well): a
   * reader stands in it, and no writer writes over what one may read.
   */
  async move(checkpoint: () => void): Promise<void> {
    try {
      this.#reading.exec("begin; select count(*) from sqlite_schema");
      checkpoint();
      await this.#syncDatabase();
    } finally {
      if (this.#reading.isTransaction) this.#reading.exec("rollback");
    }
  }

  async #syncDatabase(): Promise<void> {
    try {
      await this.#disk.sync(DATABASE);
    } catch (error) {
      throw this.#failed("syncing it failed", error);
    }
  }

  /** Closes its own connection; no checkpoint follows. */
  leave(): void {
    this.#reading.close();
  }

  /** After all connections: to close a file lets go of every lock that the process has on it. */
  close(): void {
    this.#disk.close();
  }

  #failed(what: string, error: unknown): OutboxFailed {
    return new OutboxFailed(
      `cannot trust "${this.#path}" any more: ${what} (${error}); ` +
        "check the disk, then run bellhook audit, and restore a backup if it finds faults",
      { cause: error },
    );
  }
}
