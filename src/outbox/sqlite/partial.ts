import { basename, dirname, join } from "node:path";

/** A file that is being written and has no name of its own yet. */
export interface Partial {
  readonly path: string;
  /** Removes what is left of it, with SQLite's files beside it. */
  discard(): Promise<void>;
}

/**
 * Makes the file that is to become `path`, for its owner alone, and removes what killed processes have
 * left of the same. It is locked as long as it is written: so whoever comes later can tell that from
 * what is left, also in another container, where process ids say nothing.
 */
export async function beginPartial(path: string): Promise<Partial> {
  const folder = dirname(path);
  await removePartials(folder, (of) => of === basename(path));
  // Never a name again: what was given up may still be at work on the one before.
  const number = begun++ === 0 ? Deno.pid : `${Deno.pid}${String(begun).padStart(6, "0")}`;
  const partial = join(folder, `.${basename(path)}.${number}.partial`);
  // SQLite would create it readable by all.
  const file = await Deno.open(partial, { write: true, createNew: true, mode: 0o600 });
  if (LOCKS_ARE_APART) await file.lock(true);
  return {
    path: partial,
    async discard() {
      file.close();
      await removeWithSiblings(partial);
    },
  };
}

/** How many files this process has begun. */
let begun = 0;

/** Removes the partial files of processes that are gone, of the names in question. */
export async function removePartials(
  folder: string,
  concerns: (name: string) => boolean,
): Promise<string[]> {
  const removed: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const of = /^\.(.+)\.\d+\.partial$/.exec(name)?.[1];
    if (of === undefined || !concerns(of)) continue;
    const path = join(folder, name);
    if (await isBeingWritten(path)) continue;
    await removeWithSiblings(path);
    removed.push(path);
  }
  return removed;
}

/** SQLite's locks are others than these, except on Windows, where one would keep SQLite out. */
const LOCKS_ARE_APART = Deno.build.os !== "windows";

async function isBeingWritten(path: string): Promise<boolean> {
  if (!LOCKS_ARE_APART) return false;
  try {
    using file = await Deno.open(path, { read: true, write: true });
    return !await file.tryLock(true);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removeWithSiblings(path: string): Promise<void> {
  for (const end of ["", "-journal", "-wal", "-shm"]) {
    await Deno.remove(`${path}${end}`).catch(() => {});
  }
}
