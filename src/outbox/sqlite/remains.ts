import { type JournalContent, readJournal } from "./journal_content.ts";
import { APPLICATION_ID } from "./schema.ts";

/** Thrown where what is left of a database is not all of it: SQLite would go on with that. */
export class IncompleteDatabaseError extends Error {
  override readonly name = "IncompleteDatabaseError";

  constructor(readonly path: string, found: string, remedy: string) {
    super(`cannot open "${path}": ${found}; nothing was changed; ${remedy}`);
  }
}

const RESTORE =
  "put the files back as they were, or restore a backup: remove the files beside it " +
  "(-wal, -shm, -journal) and put the backup in its place";

/**
 * Looks at the files by their names, before any of them is opened or created. SQLite takes a missing or
 * empty database for a new one, and deletes the journal that stands beside it.
 */
export function assertNotAbandoned(path: string): void {
  if (sizeOf(path) > 0) return;
  const found = sizeIfAny(path) === undefined ? "there is no such file" : "it is empty";
  const journalBytes = sizeOf(`${path}-wal`);
  if (journalBytes > 0) {
    throw new IncompleteDatabaseError(
      path,
      `${found}, but "${path}-wal" beside it holds ${journalBytes} bytes that belong to a database`,
      `${RESTORE}; to start with an empty database, move "${path}-wal" elsewhere`,
    );
  }
  if (pagesBefore(`${path}-journal`) > 0) {
    throw new IncompleteDatabaseError(
      path,
      `${found}, but "${path}-journal" beside it would undo a change of a database`,
      `${RESTORE}; to start with an empty database, move "${path}-journal" elsewhere`,
    );
  }
}

/** How much of a database's beginning tells what it is. */
export const HEAD_BYTES = 100;

/** What is asked of the head of a database: its first hundred bytes, and how long its file is. */
export interface Head {
  readonly bytes: Uint8Array;
  readonly size: number;
}

/**
 * Throws where a database is shorter than it says itself, and where what its journal holds does not make
 * up for it or is of another database. `isAlone`: nobody else has it open, so that the journal stands
 * still and can be read as well.
 */
export function assertComplete(path: string, head: Head, { isAlone }: { isAlone: boolean }): void {
  const { size } = head;
  if (size === 0 || !isSqlite(head.bytes)) return;
  if (size < LEAST_PAGE_BYTES) {
    throw new IncompleteDatabaseError(path, `it was cut short to ${size} bytes`, RESTORE);
  }
  // It is to be rolled back first, and may be of any length until then.
  if (sizeOf(`${path}-journal`) > 0) return;
  const { pageBytes, pages, freePages } = readHead(head.bytes);
  const journalBytes = sizeOf(`${path}-wal`);
  if (journalBytes > 0 && !isAlone) return;
  const journal = journalBytes > 0 ? readJournal(`${path}-wal`) : undefined;
  if (journal) assertOfSameDatabase(path, journal, { pageBytes, pages });
  const there = Math.floor(size / pageBytes);
  const missing = missingPages({ there, pages, freePages }, journal);
  if (missing === 0) return;
  throw new IncompleteDatabaseError(
    path,
    `it was cut short: it has ${size} bytes, and ${missing} of its ${pages} pages ` +
      `of ${pageBytes} bytes are neither in it nor in its journal`,
    RESTORE,
  );
}

/** How many pages are gone. */
function missingPages(
  { there, pages, freePages }: { there: number; pages: number; freePages: number },
  journal: JournalContent | undefined,
): number {
  if (!journal || journal.commits === 0) return Math.max(0, pages - there);
  let missing = 0;
  for (let page = there + 1; page <= journal.pageCount; page++) {
    if (!journal.pages.has(page)) missing++;
  }
  // Pages that were freed in the transaction that made them are never written to the journal.
  const free = journal.firstPage ? freePagesIn(journal.firstPage) : freePages;
  return missing > free ? missing : 0;
}

function assertOfSameDatabase(
  path: string,
  { pageBytes, pageCount, commits, firstPage }: JournalContent,
  database: { pageBytes: number; pages: number },
): void {
  if (commits === 0) return;
  const isForeign = pageBytes !== database.pageBytes ||
    // Whatever changes the number of pages writes the first one, which tells it.
    (firstPage ? !isOurs(firstPage) : database.pages > 0 && pageCount !== database.pages);
  if (!isForeign) return;
  throw new IncompleteDatabaseError(
    path,
    `"${path}-wal" beside it is of another database`,
    `put back the one that belongs to it; if there is none, move "${path}-wal" elsewhere, ` +
      "start Bellhook, and run bellhook audit",
  );
}

function isOurs(firstPage: Uint8Array): boolean {
  return new DataView(firstPage.buffer, firstPage.byteOffset).getUint32(68) === APPLICATION_ID;
}

const LEAST_PAGE_BYTES = 512;
const MAGIC = new TextEncoder().encode("SQLite format 3\0");

function isSqlite(head: Uint8Array): boolean {
  const magic = MAGIC.subarray(0, Math.min(head.length, MAGIC.length));
  return magic.every((byte, i) => head[i] === byte);
}

/** sqlite.org, "Database File Format", 1.3. */
function readHead(head: Uint8Array): { pageBytes: number; pages: number; freePages: number } {
  const view = new DataView(head.buffer, head.byteOffset);
  const pageBytes = view.getUint16(16);
  // Valid only where whoever wrote last was a SQLite that knows of it.
  const isValid = view.getUint32(24) === view.getUint32(92);
  return {
    pageBytes: pageBytes === 1 ? 65_536 : pageBytes,
    pages: isValid ? view.getUint32(28) : 0,
    freePages: freePagesIn(head),
  };
}

/** How many pages of a database hold nothing, by its first page. */
function freePagesIn(firstPage: Uint8Array): number {
  return new DataView(firstPage.buffer, firstPage.byteOffset).getUint32(36);
}

/** How many pages the database had that a rollback journal would restore; 0 where there is none. */
function pagesBefore(journal: string): number {
  if (sizeOf(journal) < 28) return 0;
  using file = Deno.openSync(journal);
  const head = new Uint8Array(28);
  if (file.readSync(head) !== head.length) return 0;
  const view = new DataView(head.buffer);
  const isJournal = view.getUint32(0) === 0xd9d505f9 && view.getUint32(4) === 0x20a163d7;
  return isJournal ? view.getUint32(16) : 0;
}

function sizeOf(path: string): number {
  return sizeIfAny(path) ?? 0;
}

function sizeIfAny(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
