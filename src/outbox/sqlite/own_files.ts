import { OutboxFailed, OutboxUnavailable } from "../errors.ts";
import { type DatabasePages, FRAME_HEAD_BYTES, JOURNAL_HEAD_BYTES } from "./database_pages.ts";

/** Thrown where another program has taken the files of an open database away, or cut them short. */
export class FilesChanged extends OutboxFailed {
  override readonly name = "FilesChanged";

  /**
   * `losesData`: by their names the files no longer give what was acknowledged; through the open
   * connections it can still be read.
   */
  constructor(readonly database: string, readonly what: string, readonly losesData: boolean) {
    super(`cannot trust "${database}" any more: ${what}; Bellhook ends, see its log`);
  }
}

/** What is remembered of a file. */
interface Known {
  readonly dev: number;
  readonly ino: number | null;
  size: number;
}

/**
 * The three files of an open database, looked at by their names alone: to open and close the database
 * would drop SQLite's locks. Another program may remove, move, replace or cut them short; SQLite goes on
 * with what it has open, and all that is stored from then on is in files that nobody finds again.
 */
export class OwnFiles {
  readonly #path: string;
  readonly #pages: DatabasePages;
  readonly #database: Known;
  readonly #journal: Known;
  readonly #index: Known;
  /** The journal as it is open, for its length: to close it drops no lock of SQLite's. */
  readonly #journalFile: Deno.FsFile;
  readonly #frameBytes: number;
  readonly #frameHead = new Uint8Array(FRAME_HEAD_BYTES);

  /** Right after they were opened. */
  constructor(path: string, pages: DatabasePages) {
    this.#path = path;
    this.#pages = pages;
    this.#database = this.#look(path);
    this.#journal = this.#look(`${path}-wal`);
    this.#index = this.#look(`${path}-shm`);
    this.#journalFile = Deno.openSync(`${path}-wal`);
    this.#frameBytes = pages.frameBytes();
  }

  /**
   * Right after a commit was written: by the next one the journal may not be shorter. Where it was cut
   * short after the look before the commit, what stood before the commit is a hole now.
   */
  committed(): void {
    const before = this.#journal.size;
    const size = this.#journal.size = this.#journalFile.seekSync(0, Deno.SeekMode.End);
    const isWhole = size === before || before === 0 ||
      (size > before ? this.#hasFrameBefore(before) : this.#hasAllFrames(size));
    if (!isWhole) this.#cutShort("-wal", before, size);
  }

  /**
   * Whether the last whole page up to there is still one, as its head tells, which is never empty. A
   * write that failed, or a limit on the length, may have left half a page behind it.
   */
  #hasFrameBefore(end: number): boolean {
    const frames = Math.floor((end - JOURNAL_HEAD_BYTES) / this.#frameBytes);
    if (frames < 1) return true;
    const start = JOURNAL_HEAD_BYTES + (frames - 1) * this.#frameBytes;
    this.#journalFile.seekSync(start, Deno.SeekMode.Start);
    this.#journalFile.readSync(this.#frameHead);
    return this.#frameHead.some((byte) => byte !== 0);
  }

  #hasAllFrames(size: number): boolean {
    const needed = this.#pages.journalBytes();
    if (size < needed) return false;
    for (let end = needed; end > this.#frameBytes; end -= this.#frameBytes) {
      if (!this.#hasFrameBefore(end)) return false;
    }
    return true;
  }

  close(): void {
    this.#journalFile.close();
  }

  /** Throws FilesChanged unless all three are what they were; costs some 10 µs. */
  assertAll(): void {
    this.#assertDatabase();
    this.assertJournal();
    const index = this.#look(`${this.#path}-shm`);
    if (!isSame(index, this.#index)) this.#replaced("-shm", false);
    if (index.size < this.#index.size) this.#cutShort("-shm", this.#index.size, index.size);
    this.#index.size = index.size;
  }

  /** The same of the journal alone, which commits are written to: 3 µs. */
  assertJournal(): void {
    const journal = this.#look(`${this.#path}-wal`);
    if (!isSame(journal, this.#journal)) this.#replaced("-wal", true);
    // A checkpoint that empties it makes it shorter too.
    if (journal.size < this.#journal.size && journal.size < this.#pages.journalBytes()) {
      const again = this.#look(`${this.#path}-wal`);
      const needed = this.#pages.journalBytes();
      if (again.size < needed) this.#cutShort("-wal", needed, again.size);
    }
    this.#journal.size = journal.size;
  }

  #assertDatabase(): void {
    const database = this.#look(this.#path);
    if (!isSame(database, this.#database)) this.#replaced("", true);
    // Only a VACUUM makes it shorter, and then it has fewer pages as well.
    if (database.size < this.#database.size && this.#pages.bytes() >= this.#database.size) {
      this.#cutShort("", this.#database.size, database.size);
    }
    this.#database.size = database.size;
  }

  #look(file: string): Known {
    try {
      // Not through a link: SQLite keeps the journal beside what a link leads to.
      const { dev, ino, size } = Deno.lstatSync(file);
      return { dev, ino, size };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        return { dev: -1, ino: null, size: 0 };
      }
      throw new OutboxUnavailable(`cannot look at "${file}" now: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  #replaced(end: string, losesData: boolean): never {
    const isThere = this.#look(this.#path + end).dev !== -1;
    throw new FilesChanged(
      this.#path,
      `another program has ${isThere ? "put another file in the place of" : "removed or moved"} ` +
        `"${this.#path}${end}"`,
      losesData,
    );
  }

  #cutShort(end: string, before: number, now: number): never {
    throw new FilesChanged(
      this.#path,
      `another program has cut "${this.#path}${end}" short, from ${before} to ${now} bytes`,
      true,
    );
  }
}

function isSame(a: Known, b: Known): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}
