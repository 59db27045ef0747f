import { type Clock, systemClock } from "../../runtime/clock.ts";
import { IN_MEMORY, openReading, openWriter } from "./connection.ts";
import { faultOf } from "./faults.ts";
import { Journal } from "./journal.ts";
import { DatabaseLock } from "./lock.ts";
import { type FilesChanged, OwnFiles } from "./own_files.ts";
import { SqliteReader } from "./reader.ts";
import { ReadingThread } from "./reading_thread.ts";
import { assertComplete, assertNotAbandoned, HEAD_BYTES } from "./remains.ts";
import { assertNothingRescued, rescue } from "./rescue.ts";
import { SqliteOutbox } from "./sqlite_outbox.ts";
import { Store } from "./store.ts";
import { unopened } from "./system_errors.ts";
import type { Migrating } from "./upgrade.ts";
import { assertDescriptors } from "./write_probe.ts";

/**
 * Opens the outbox in a SQLite file, creating it if need be, or in `:memory:`. One process at a time.
 * A file with an older schema is copied before it is changed. With a clock its files are looked at every
 * second.
 * Throws OutboxLocked, NewerSchemaError, NotOurDatabaseError, OutboxFailed where it is corrupt.
 */
export async function openSqliteOutbox(
  path: string,
  { clock, ...migrating }: Migrating & { readonly clock?: Clock } = {},
): Promise<SqliteOutbox> {
  if (path === IN_MEMORY) {
    const db = await openWriter(path);
    return new SqliteOutbox(path, { store: new Store(db), reader: new SqliteReader(db) });
  }
  const { file, lock } = await lockedFile(path);
  // Closed in this order: first all connections, then what has the database open beside them.
  const open: Partial<Record<"db" | "reading" | "journal", { close(): void }>> = {};
  try {
    assertComplete(file, lock.readHead(HEAD_BYTES), { isAlone: true });
    const db = open.db = await openWriter(file, migrating);
    const reading = open.reading = openReading(file, migrating.migrations);
    const store = new Store(db);
    assertDescriptors(file);
    const journal = open.journal = Journal.takeOver(db, file);
    await journal.begin();
    const files = new OwnFiles(file, store.pages);
    lock.assertSame(file);
    const guard = { files, lock, clock, rescue: (fault: FilesChanged) => rescue(db, fault) };
    return new SqliteOutbox(file, {
      store,
      reader: new SqliteReader(reading, systemClock, new ReadingThread(file, systemClock)),
      journal,
      lock,
      guard,
    });
  } catch (error) {
    if (open.journal instanceof Journal) open.journal.leave();
    open.db?.close();
    open.reading?.close();
    open.journal?.close();
    lock.release();
    throw unopened(faultOf(error, file), file);
  }
}

async function lockedFile(path: string): Promise<{ file: string; lock: DatabaseLock }> {
  let file = path;
  try {
    file = await resolve(path);
    for (const name of new Set([path, file])) assertNothingRescued(name);
    assertNotAbandoned(file);
    return { file, lock: DatabaseLock.take(file) };
  } catch (error) {
    throw unopened(error as Error, file);
  }
}

/** One name for a file, so that a link to it does not pass the lock by. */
async function resolve(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const leadsTo = await Deno.readLink(path).catch(() => undefined);
    if (leadsTo === undefined) return path;
    throw new Error(
      `cannot open "${path}": it is a link to "${leadsTo}", where there is no file; ` +
        "put the database there, or remove the link, or name the file itself in storage.url",
    );
  }
}
