import type { Head } from "./remains.ts";

/** The right of one process to write a database; let go when the process ends, however it ends. */
export interface Lock {
  release(): void;
}

/** Thrown where another process, or another outbox of this one, has the database open for writing. */
export class OutboxLocked extends Error {
  override readonly name = "OutboxLocked";

  /** `pid` is the holder's process id; undefined where it can't be found out. */
  constructor(readonly path: string, readonly pid: number | undefined) {
    super(
      `cannot open "${path}": ${
        pid === undefined ? "another process" : `process ${pid}`
      } is running on it; stop that one first, or give this one a storage.url of its own`,
    );
  }
}

/** The databases that this process holds, by device and inode. */
const HELD = new Set<string>();

/** Whether this process has it open for writing, so that it may not open and close it besides. */
export function isHeldHere(path: string): boolean {
  try {
    return HELD.has(identityOf(Deno.statSync(path)));
  } catch {
    return false;
  }
}

/**
 * The lock on a database, twice: on a file beside it, `PATH-lock`, which names the holder's process, and
 * on the database itself, which holds if somebody removes the former. The second is flock's, which Linux
 * keeps apart from the locks of SQLite; elsewhere it would be in their way, and there is only the first.
 *
 * Every call on these files is synchronous: an asynchronous one closes a duplicate of the descriptor, and
 * to close any descriptor of the database drops SQLite's locks on it.
 */
export class DatabaseLock implements Lock {
  readonly #lockPath: string;
  readonly #database: Deno.FsFile;
  readonly #identity: string;
  #beside: Deno.FsFile;

  private constructor({ path, database, identity, beside }: {
    path: string;
    database: Deno.FsFile;
    identity: string;
    beside: Deno.FsFile;
  }) {
    this.#lockPath = `${path}-lock`;
    this.#database = database;
    this.#identity = identity;
    this.#beside = beside;
  }

  /** Takes both, creating the database's file where there is none. Throws OutboxLocked. */
  static take(path: string): DatabaseLock {
    // To open and close it here would drop the locks that this process has.
    if (isHeldHere(path)) throw new OutboxLocked(path, Deno.pid);
    const beside = lockFile(`${path}-lock`);
    if (typeof beside !== "object") throw new OutboxLocked(path, beside);
    let database: Deno.FsFile | undefined;
    try {
      // SQLite would create it readable by all; it holds what publishers post.
      database = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
      if (Deno.build.os === "linux" && !database.tryLockSync(true)) {
        throw new OutboxLocked(path, flockHolder(database.statSync().ino));
      }
      const identity = identityOf(database.statSync());
      HELD.add(identity);
      return new DatabaseLock({ path, database, identity, beside });
    } catch (error) {
      database?.close();
      removeFile(beside, `${path}-lock`);
      throw error;
    }
  }

  /** Throws where SQLite has opened another file than the one that is locked. */
  assertSame(path: string): void {
    if (identityAt(path) === this.#identity) return;
    throw new Error(`"${path}" was replaced while it was being opened; start again`);
  }

  /** The beginning of the database as it is on the disk, and its length. */
  readHead(bytes: number): Head {
    const head = new Uint8Array(bytes);
    this.#database.seekSync(0, Deno.SeekMode.Start);
    const length = this.#database.readSync(head) ?? 0;
    return { bytes: head.subarray(0, length), size: this.#database.statSync().size };
  }

  /** Puts the file beside the database back where somebody removed it: it tells a second daemon of us. */
  restore(): void {
    if (isFileAt(this.#beside, this.#lockPath)) return;
    try {
      const again = lockFile(this.#lockPath);
      // A number: somebody who is about to be refused has it just now.
      if (typeof again !== "object") return;
      this.#beside.close();
      this.#beside = again;
    } catch {
      // The folder may have gone as well, which the files' own watch tells.
    }
  }

  /** Only once all connections of this process are closed. */
  release(): void {
    HELD.delete(this.#identity);
    removeFile(this.#beside, this.#lockPath);
    letGo(this.#database);
  }
}

/**
 * Unlocks a file and closes it. To close it is not enough: a process that is being started at this
 * moment has it open as well, and with it the lock, until it is another program.
 */
function letGo(file: Deno.FsFile): void {
  try {
    file.unlockSync();
  } finally {
    file.close();
  }
}

/** Takes the lock on a file, creating it; answers the holder's process id where another has it. */
function lockFile(path: string): Deno.FsFile | number | undefined {
  for (;;) {
    const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    try {
      if (!file.tryLockSync(true)) {
        const pid = readPid(file);
        file.close();
        return pid;
      }
      // The last holder may have removed the file between our opening and our locking it.
      if (!isFileAt(file, path)) {
        file.close();
        continue;
      }
      file.truncateSync();
      file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }
}

/** Removed while it is held: who opens it from now on finds out, and takes a new one. */
function removeFile(file: Deno.FsFile, path: string): void {
  try {
    if (isFileAt(file, path)) Deno.removeSync(path);
  } catch {
    // It has gone, or stays: what locks is the open file.
  } finally {
    letGo(file);
  }
}

function readPid(file: Deno.FsFile): number | undefined {
  const bytes = new Uint8Array(32);
  const length = file.readSync(bytes) ?? 0;
  const pid = parseInt(new TextDecoder().decode(bytes.subarray(0, length)), 10);
  return pid > 0 ? pid : undefined;
}

/**
 * The process that has flock's lock on a file, by what the kernel tells; Deno opens `/proc` to programs
 * with every permission alone.
 */
function flockHolder(inode: number | null): number | undefined {
  try {
    const { stdout } = new Deno.Command("cat", { args: ["/proc/locks"], stderr: "null" })
      .outputSync();
    const held = new RegExp(`FLOCK +\\S+ +WRITE +(\\d+) \\S+:${inode} `);
    const pid = Number(held.exec(new TextDecoder().decode(stdout))?.[1]);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isFileAt(file: Deno.FsFile, path: string): boolean {
  return identityOf(file.statSync()) === identityAt(path);
}

function identityAt(path: string): string | undefined {
  try {
    return identityOf(Deno.lstatSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function identityOf({ dev, ino }: Deno.FileInfo): string {
  return `${dev}:${ino}`;
}
