import type { DatabaseSync } from "node:sqlite";
import { OutboxFailed } from "../outbox.ts";

/**
 * The write-ahead log (`-wal`) of a database that is open for writing. SQLite waits for the disk with
 * all of the process; so a commit leaves that to this, which waits on a thread of the runtime's.
 */
export class Journal {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * From now on no commit of this connection is durable before sync(). All else stays with SQLite: the
   * journal is synced before it is moved into the database, the database after it, and a new journal's
   * head and folder when it is begun, so that the file is whole whenever the power fails.
   */
  static async takeOver(db: DatabaseSync, path: string): Promise<Journal> {
    const file = await Deno.open(`${path}-wal`, { read: true, write: true });
    db.exec("pragma synchronous = normal");
    return new Journal(path, file);
  }

  /** Resolves when all commits so far are on the disk. Rejects with OutboxFailed where that fails. */
  async sync(): Promise<void> {
    try {
      await this.#file.syncData();
    } catch (error) {
      throw new OutboxFailed(
        `cannot trust "${this.#path}" any more: syncing its journal failed (${error}); ` +
          "check the disk, then run bellhook audit, and restore a backup if it finds faults",
        { cause: error },
      );
    }
  }

  close(): void {
    this.#file.close();
  }
}
