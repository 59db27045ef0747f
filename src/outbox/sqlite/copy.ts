import { statfs } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { faultOf } from "./faults.ts";
import { beginPartial } from "./partial.ts";
import { SqliteThread } from "./sqlite_thread.ts";
import { Interrupted, type Progress, type Working } from "../../runtime/long_work.ts";

/** Thrown where something stands already at the name that a backup was to get. */
export class BackupExistsError extends Error {
  override readonly name = "BackupExistsError";

  constructor(readonly path: string) {
    super(`cannot write a backup to "${path}": something is there already; name another file`);
  }
}

/** Thrown where a disk has less room than a file will take. */
export class NoRoomError extends Error {
  override readonly name = "NoRoomError";
}

/**
 * Copies a database, as of one moment, to a new file that only its owner may read, and has the copy
 * looked at. The file gets its name once it is whole, approved and on the disk: there is never half a
 * backup of that name. Throws BackupExistsError, NoRoomError, Interrupted, and what `inspect` throws.
 */
export async function copyDatabase<Found>(
  from: string,
  to: string,
  inspect: (copy: SqliteThread) => Promise<Found>,
  { onProgress = () => {}, signal, beside }: Copying = {},
): Promise<Found> {
  if (await isThere(to)) throw new BackupExistsError(to);
  try {
    await assertRoom({
      bytes: await sizeOf(from),
      folder: dirname(to),
      what: `a copy of "${from}"`,
    });
    const partial = await beginPartial(to);
    try {
      const told = (progress: Progress) => onProgress({ doing: "copying", ...progress });
      if (!await beside?.(partial.path, told)) await copyAtOnce(from, partial.path, told, signal);
      const copy = await SqliteThread.open(partial.path, { signal });
      const found = await closing(copy, async () => {
        // One file, without a journal beside it.
        await copy.exec("pragma journal_mode = delete");
        return await inspect(copy);
      });
      await sync(partial.path);
      if (signal?.aborted) throw new Interrupted();
      await giveName(partial.path, to);
      return found;
    } finally {
      await partial.discard();
    }
  } catch (error) {
    throw faultOf(error, to);
  } finally {
    await sync(dirname(to)).catch(() => {});
  }
}

interface Copying extends Working {
  /** Another way to fill the copy, beside a busy writer; false where that can't be done. */
  readonly beside?: (to: string, onProgress: (progress: Progress) => void) => Promise<boolean>;
}

/** As of one moment, which a reader stands in as long as it takes. */
async function copyAtOnce(
  from: string,
  to: string,
  onProgress: (progress: Progress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = await SqliteThread.open(from, { readOnly: true, signal });
  await closing(source, () => source.copyTo(to, onProgress));
}

/** Works with a thread and closes it; where that was interrupted, nobody waits for it. */
export async function closing<Value>(
  thread: SqliteThread,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    const value = await work();
    await thread.close();
    return value;
  } catch (error) {
    if (error instanceof Interrupted) thread.abandon();
    else await thread.close().catch(() => {});
    throw error;
  }
}

/** Throws NoRoomError where a folder's disk has no room for so many bytes. */
export async function assertRoom(
  { bytes, folder, what }: { readonly bytes: number; readonly folder: string; what: string },
): Promise<void> {
  const freeBytes = await freeBytesIn(folder);
  if (freeBytes >= bytes) return;
  throw new NoRoomError(
    `cannot write ${what} to "${folder}": it takes ${bytes} bytes, and ${freeBytes} are free there; ` +
      "make room",
  );
}

/** How much room a folder's disk has for us. */
export async function freeBytesIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Waits until a file, or the names in a folder, are on the disk. */
export async function sync(path: string): Promise<void> {
  // Windows opens no folders, and keeps its names without being asked.
  if (Deno.build.os === "windows" && (await Deno.stat(path)).isDirectory) return;
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

/** A link, unlike a new name, never takes the place of what another has put there meanwhile. */
export async function giveName(partial: string, path: string): Promise<void> {
  try {
    await Deno.link(partial, path);
  } catch (error) {
    if (await isThere(path)) throw new BackupExistsError(path);
    if (error instanceof Deno.errors.NotFound) throw error;
    await Deno.rename(partial, path); // a file system without links
  }
}

async function isThere(path: string): Promise<boolean> {
  return await sizeAt(path) !== undefined;
}

async function sizeOf(path: string): Promise<number> {
  return await sizeAt(path) ?? 0;
}

async function sizeAt(path: string): Promise<number | undefined> {
  try {
    return (await Deno.lstat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The copies that were made before a database's schema changed from a version, and a free name. */
export async function copiesBeforeMigration(
  path: string,
  version: number,
): Promise<{ existing: string[]; free: string }> {
  const existing: string[] = [];
  for (let number = 1;; number++) {
    const name = `${path}-v${version}-backup${number === 1 ? "" : `-${number}`}`;
    if (!await isThere(name)) return { existing, free: name };
    existing.push(name);
  }
}

/** Whether a name is that of a copy before a migration of a database. */
export function isCopyBeforeMigration(name: string, database: string): boolean {
  const base = basename(database);
  return name.startsWith(base) && /^-v\d+-backup(-\d+)?$/.test(name.slice(base.length));
}
