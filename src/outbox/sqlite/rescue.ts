import { dirname } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { giveName, sync } from "./copy.ts";
import type { FilesChanged } from "./own_files.ts";
import { beginPartial } from "./partial.ts";

/** Where all that was acknowledged is kept when the files of an open database are taken away. */
export function rescuedPath(path: string): string {
  return `${path}-rescued`;
}

/**
 * Saves what the open connection still reads, which is all that was acknowledged, and says what
 * happened and what to do, for the operator.
 */
export async function rescue(db: DatabaseSync, fault: FilesChanged): Promise<string> {
  const { database: path, what } = fault;
  if (!fault.losesData) {
    return `${what}; nothing is lost: start Bellhook again, and leave the files to it while it runs`;
  }
  const copy = rescuedPath(path);
  try {
    await save(db, copy);
  } catch (error) {
    return `${what}; saving what it held to "${copy}" failed (${(error as Error).message}): ` +
      `put the files back if you have them, else restore a backup; then run bellhook audit`;
  }
  return `${what}; all that was acknowledged is saved in "${copy}": ${howToRestore(path)}`;
}

const ALL_PAGES = 2 ** 31 - 1;

/** By the connection itself: the files have no names any more. It gets its name once it is whole. */
async function save(db: DatabaseSync, to: string): Promise<void> {
  const partial = await beginPartial(to);
  try {
    await backup(db, partial.path, { rate: ALL_PAGES });
    assertWhole(partial.path);
    await sync(partial.path);
    await giveName(partial.path, to);
  } finally {
    await partial.discard();
  }
  await sync(dirname(to));
}

function assertWhole(path: string): void {
  const db = new DatabaseSync(path);
  try {
    // One file, without a journal beside it.
    db.exec("pragma journal_mode = delete");
    const found = Object.values(db.prepare("pragma integrity_check(1)").get()!)[0];
    if (found !== "ok") throw new Error(`the copy is damaged: ${found}`);
  } finally {
    db.close();
  }
}

function howToRestore(path: string): string {
  return `to go on with it, remove "${path}-wal" and "${path}-shm" if they are there, ` +
    `rename "${rescuedPath(path)}" to "${path}", and start Bellhook again`;
}

/** Thrown where a copy that was saved waits for somebody to decide about it. */
export class RescuedCopyError extends Error {
  override readonly name = "RescuedCopyError";

  constructor(readonly path: string) {
    super(
      `cannot open "${path}": its files were taken away while Bellhook ran, and all that it had ` +
        `acknowledged by then was saved in "${rescuedPath(path)}"; ${howToRestore(path)}; ` +
        `to go on without it, move it elsewhere`,
    );
  }
}

/** Throws RescuedCopyError. */
export function assertNothingRescued(path: string): void {
  try {
    Deno.lstatSync(rescuedPath(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new RescuedCopyError(path);
}
