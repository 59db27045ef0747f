/** The right of one process to write a database; let go when the process ends, however it ends. */
export interface Lock {
  release(): void;
}

/** Thrown where another process, or another outbox of this one, has the database open for writing. */
export class OutboxLocked extends Error {
  override readonly name = "OutboxLocked";

  /** `pid` is the holder's process id; undefined where it has not yet written it down. */
  constructor(readonly path: string, readonly pid: number | undefined) {
    super(
      `cannot open "${path}": ${
        pid === undefined ? "another process" : `process ${pid}`
      } is running on it; stop that one first, or give this one a storage.url of its own`,
    );
  }
}

/** Takes the lock beside a database, `PATH-lock`. Throws OutboxLocked. */
export async function lockDatabase(path: string): Promise<Lock> {
  const lockPath = `${path}-lock`;
  for (;;) {
    const file = await Deno.open(lockPath, { read: true, write: true, create: true, mode: 0o600 });
    try {
      if (!await file.tryLock(true)) throw new OutboxLocked(path, await readPid(file));
      // The last holder may have removed the file between our opening and our locking it.
      if (!await isFileAt(file, lockPath)) {
        file.close();
        continue;
      }
      await file.truncate();
      await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    } catch (error) {
      file.close();
      throw error;
    }
    return {
      release() {
        // Removed while it is held: who opens it from now on finds out, and takes a new one.
        try {
          Deno.removeSync(lockPath);
        } catch {
          // It has gone, or stays: what locks is the open file.
        } finally {
          file.close();
        }
      },
    };
  }
}

async function readPid(file: Deno.FsFile): Promise<number | undefined> {
  const bytes = new Uint8Array(32);
  const length = await file.read(bytes) ?? 0;
  const pid = parseInt(new TextDecoder().decode(bytes.subarray(0, length)), 10);
  return pid > 0 ? pid : undefined;
}

async function isFileAt(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [held, named] = await Promise.all([file.stat(), Deno.stat(path)]);
    return held.ino === named.ino && held.dev === named.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
