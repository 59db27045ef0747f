import { Buffer } from "node:buffer";
import { basename, dirname } from "node:path";
import { assertSound } from "./audit.ts";
import {
  closing,
  copiesBeforeMigration,
  copyDatabase,
  freeBytesIn,
  isCopyBeforeMigration,
} from "./copy.ts";
import { removePartials } from "./partial.ts";
import { MIGRATIONS } from "./migrations.ts";
import { versionMark } from "./schema.ts";
import { SqliteThread } from "./sqlite_thread.ts";
import { Interrupted, type Working } from "../../runtime/long_work.ts";

/** A database that is about to be copied and brought up to date. */
export interface Outdated {
  readonly fromVersion: number;
  readonly toVersion: number;
  /** Its size, and how much room its disk has. */
  readonly bytes: number;
  readonly freeBytes: number;
}

/** A database that was copied before its schema is brought up to date. */
export interface CopiedBefore {
  readonly copy: string;
  readonly fromVersion: number;
  readonly toVersion: number;
}

/** How a database is brought up to date. */
export interface Migrating extends Working {
  readonly migrations?: readonly string[];
  /** Told before anything is done. */
  readonly onOutdated?: (outdated: Outdated) => void;
  /** Told of the copy, once it is whole and before anything is changed. */
  readonly onCopied?: (copied: CopiedBefore) => void;
}

/**
 * Copies a database of an older schema to `PATH-v1-backup`, or finds it copied, and changes it in one
 * transaction. Nobody in this process has it open meanwhile. Works on threads: the process hears signals meanwhile. Interrupted anywhere, also by a
 * kill, the database is as it was, and the next start goes on from a copy that was whole.
 */
export async function upgrade(
  path: string,
  { migrations = MIGRATIONS, onOutdated, onCopied, ...working }: Migrating & {
    readonly fromVersion: number;
  },
): Promise<void> {
  const { fromVersion, onProgress = () => {} } = working;
  const toVersion = migrations.length;
  const bytes = await sizeOf(path);
  onOutdated?.({ fromVersion, toVersion, bytes, freeBytes: await freeBytesIn(dirname(path)) });
  onProgress({ doing: "checking" });
  const { existing, free } = await copiesBeforeMigration(path, fromVersion);
  const kept = await firstOf(existing, (copy) => areTheSame(path, copy, working));
  const copy = kept ?? free;
  if (kept === undefined) {
    const inspect = (thread: SqliteThread) =>
      assertSound(thread, free, (progress) => onProgress({ doing: "checking", ...progress }));
    await copyDatabase(path, copy, inspect, working);
  }
  onCopied?.({ copy, fromVersion, toVersion });
  try {
    await change(path, migrations, working);
  } catch (error) {
    // Nothing was changed, and a copy that was made for it is for nothing, unless it is tried again.
    if (!(error instanceof Interrupted) && kept === undefined) await Deno.remove(copy);
    throw error;
  }
}

async function change(
  path: string,
  migrations: readonly string[],
  { fromVersion, onProgress = () => {}, signal }: Working & { readonly fromVersion: number },
): Promise<void> {
  const thread = await SqliteThread.open(path, { settings: SETTINGS, defensive: false, signal });
  await closing(thread, async () => {
    await thread.exec("begin immediate");
    const total = migrations.length - fromVersion;
    for (const [done, migration] of migrations.slice(fromVersion).entries()) {
      onProgress({ doing: "changing", done, total });
      await thread.exec(migration);
    }
    await thread.exec(versionMark(migrations));
    await thread.exec("commit");
  });
}

/** Removes what killed processes left of copies and compactions; whoever calls holds the lock. */
export async function removeRemains(path: string): Promise<void> {
  const name = basename(path);
  // A folder that can't be listed has kept nobody from working so far.
  await removePartials(dirname(path), (of) => of === name || isCopyBeforeMigration(of, path))
    .catch(() => {});
}

async function firstOf<Item>(
  items: readonly Item[],
  fits: (item: Item) => Promise<boolean>,
): Promise<Item | undefined> {
  for (const item of items) if (await fits(item)) return item;
  return undefined;
}

/**
 * Indexes are made by sorting, which is the faster the more fits into memory; and with a helper. Rows that
 * are moved from one table to another keep their references.
 */
const SETTINGS = "pragma foreign_keys = off; pragma cache_size = -131072; pragma threads = 2;";

/** What a copy has otherwise: how journals are kept, counters of changes, and which SQLite has written it. */
const MARKS_IN_HEADER: readonly (readonly [from: number, to: number])[] = [
  [18, 20],
  [24, 28],
  [40, 44],
  [92, 100],
];
const COMPARED_BYTES = 1 << 20;

/**
 * Whether two databases are the same, byte for byte. Nobody in this process may have them open, for to
 * close a file lets go of every lock on it.
 */
async function areTheSame(path: string, copy: string, { signal }: Working): Promise<boolean> {
  // What another program keeps in a journal can't be compared.
  if (await sizeOf(`${path}-wal`) > 0 || await sizeOf(path) !== await sizeOf(copy)) return false;
  using one = await Deno.open(path);
  using other = await Deno.open(copy);
  for (let isFirst = true;; isFirst = false) {
    if (signal?.aborted) throw new Interrupted();
    const [a, b] = [await read(one), await read(other)];
    if (isFirst) {
      for (const [from, to] of MARKS_IN_HEADER) for (const bytes of [a, b]) bytes.fill(0, from, to);
    }
    if (Buffer.compare(a, b) !== 0) return false;
    if (a.length === 0) return true;
  }
}

async function read(file: Deno.FsFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(COMPARED_BYTES);
  let length = 0;
  while (length < bytes.length) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
