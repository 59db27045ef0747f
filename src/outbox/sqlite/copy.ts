import { basename, dirname, join } from "node:path";
import { backup as copyPages, DatabaseSync } from "node:sqlite";
import { faultOf } from "./faults.ts";

/** Thrown where something stands already at the name that a backup was to get. */
export class BackupExistsError extends Error {
  override readonly name = "BackupExistsError";

  constructor(readonly path: string) {
    super(`cannot write a backup to "${path}": something is there already; name another file`);
  }
}

/**
 * Copies what a connection sees to a new file that only its owner may read. The file gets its name
 * once it is whole, sound and on the disk: there is never half a backup of that name.
 */
export async function copyDatabase(source: DatabaseSync, path: string): Promise<void> {
  if (await isThere(path)) throw new BackupExistsError(path);
  const partial = join(dirname(path), `.${basename(path)}.${Deno.pid}.partial`);
  // Left by a process that was killed and had our number, as all have in a container.
  await Deno.remove(partial).catch(() => {});
  // SQLite would create it readable by all.
  (await Deno.open(partial, { write: true, createNew: true, mode: 0o600 })).close();
  try {
    // In one step: a copy in several begins anew with each commit of a daemon beside it.
    await copyPages(source, partial, { rate: ALL_PAGES });
    assertSound(partial);
    await sync(partial);
    await giveName(partial, path);
  } catch (error) {
    throw faultOf(error, path);
  } finally {
    await Deno.remove(partial).catch(() => {});
  }
  await sync(dirname(path));
}

const ALL_PAGES = 2 ** 31 - 1;

function assertSound(path: string): void {
  const db = new DatabaseSync(path);
  try {
    // One file, without a journal beside it.
    db.exec("pragma journal_mode = delete");
    const found = Object.values(db.prepare("pragma integrity_check(1)").get()!)[0];
    if (found !== "ok") throw new Error(`the copy at "${path}" is damaged: ${found}`);
  } finally {
    db.close();
  }
}

/** Waits until a file, or the names in a folder, are on the disk. */
export async function sync(path: string): Promise<void> {
  // Windows opens no folders, and keeps its names without being asked.
  if (Deno.build.os === "windows" && (await Deno.stat(path)).isDirectory) return;
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

/** A link, unlike a new name, never takes the place of what another has put there meanwhile. */
async function giveName(partial: string, path: string): Promise<void> {
  try {
    await Deno.link(partial, path);
  } catch (error) {
    if (await isThere(path)) throw new BackupExistsError(path);
    if (error instanceof Deno.errors.NotFound) throw error;
    await Deno.rename(partial, path); // a file system without links
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A free name beside a database for the copy that is made before its schema changes. */
export async function nameBeforeMigration(path: string, version: number): Promise<string> {
  for (let number = 1;; number++) {
    const name = `${path}-v${version}-backup${number === 1 ? "" : `-${number}`}`;
    if (!await isThere(name)) return name;
  }
}
