import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OutboxFailed } from "../errors.ts";
import { sync } from "./copy.ts";
import { faultOf } from "./faults.ts";
import { isHeldHere } from "./lock.ts";
import { assertComplete, assertNotAbandoned, type Head, HEAD_BYTES } from "./remains.ts";
import { MIGRATIONS } from "./migrations.ts";
import { assertCurrent, migrate, NotOurDatabaseError, schemaVersion } from "./schema.ts";
import { type Migrating, removeRemains, upgrade } from "./upgrade.ts";

/** The name of a database without a file. */
export const IN_MEMORY = ":memory:";

/** How long the writer may wait for a foreign lock, once open: the process stands still meanwhile. */
const BUSY_MS = 250;

/**
 * Opens the one writing connection, creating the file if need be, at the newest schema. A file with
 * an older one is copied first: `PATH-v1-backup`.
 */
export async function openWriter(
  path: string,
  { migrations = MIGRATIONS, ...migrating }: Migrating = {},
): Promise<DatabaseSync> {
  if (path !== IN_MEMORY) {
    create(path);
    await removeRemains(path);
  }
  // Opening may have to recover a large journal, or wait for another that does.
  let db = new DatabaseSync(path, { timeout: 10_000 });
  try {
    // First, for all else would write to a file that may not be ours.
    const version = schemaVersion(db, path, migrations);
    if (version > 0 && version < migrations.length) {
      // What a killed process left in the journal moves into the file.
      db.close();
      await upgrade(path, { ...migrating, migrations, fromVersion: version });
      db = new DatabaseSync(path, { timeout: 10_000 });
    } else {
      migrate(db, path, migrations);
    }
    db.exec(SETTINGS);
    db.exec("pragma journal_mode = wal");
    db.exec(`pragma busy_timeout = ${BUSY_MS}`);
    if (path !== IN_MEMORY) await syncNames(path);
  } catch (error) {
    if (db.isOpen) db.close();
    throw error;
  }
  return db;
}

/** SQLite would create it readable by all. One that is there is not opened: who holds it has done so. */
function create(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/**
 * From here on the journal is found after a power failure, and what made the tables, which is not it,
 * is gone. SQLite syncs the folder too, and takes no notice where that fails.
 */
async function syncNames(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await sync(folder);
  } catch (error) {
    // Some file systems sync no folders, and say so otherwise.
    if ((error as { code?: string }).code !== "EIO") return;
    throw new OutboxFailed(
      `cannot trust "${path}": syncing its folder failed (${error}); check the disk`,
      { cause: error },
    );
  }
}

/** Opens a connection that only reads, beside a running daemon or without one. */
export function openReading(path: string, migrations = MIGRATIONS): DatabaseSync {
  assertNotAbandoned(path);
  assertFile(path);
  if (!isHeldHere(path)) assertComplete(path, headOf(path), { isAlone: false });
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    assertCurrent(db, path, migrations);
    db.exec(SETTINGS);
  } catch (error) {
    db.close();
    throw faultOf(error, path);
  }
  return db;
}

function headOf(path: string): Head {
  using file = Deno.openSync(path);
  const head = new Uint8Array(HEAD_BYTES);
  return { bytes: head.subarray(0, file.readSync(head) ?? 0), size: file.statSync().size };
}

function assertFile(path: string): void {
  try {
    if (Deno.statSync(path).isFile) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new NotOurDatabaseError(path, "there is no such file");
  }
  throw new NotOurDatabaseError(path, "it is no file");
}

/**
 * `full`: a committed row survives a power cut (`fullfsync` for macOS, whose fsync does not reach the
 * disk). Checkpoints are the store's own work, so that a failing one is seen: SQLite's automatic ones
 * swallow their errors. No memory map: an I/O error there is a signal that ends the process. A cache of
 * 4 MiB holds what is written to next, the right edges of tables; the system's own has the rest.
 */
const SETTINGS = `
  pragma synchronous = full;
  pragma fullfsync = on;
  pragma foreign_keys = on;
  pragma wal_autocheckpoint = 0;
  pragma journal_size_limit = 67108864;
  pragma mmap_size = 0;
  pragma cache_size = -4096;
  pragma temp_store = memory;
`;
