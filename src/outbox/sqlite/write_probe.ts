/** As much as a common event. */
const BYTES = 65_536;
/** More than SQLite has open at once: what it had may be closed again by now. */
const FILES = 12;
const CREATE: Deno.OpenOptions = { write: true, create: true, mode: 0o600 };

/**
 * What the system says to a write beside a database; undefined where that works. SQLite tells that one
 * has failed and not why, unless the disk is full. The same is tried as far behind the beginning as the
 * database's files are long: a limit on the size of files shows there.
 */
export function probeWriting(path: string): Error | undefined {
  if (path === ":memory:") return undefined;
  const probe = `${path}-probe`;
  const files: Deno.FsFile[] = [];
  try {
    while (files.length < FILES) files.push(Deno.openSync(probe, CREATE));
    const end = Math.max(sizeOf(path), sizeOf(`${path}-wal`));
    files[0]!.seekSync(end, Deno.SeekMode.Start);
    for (let rest = BYTES; rest > 0;) rest -= files[0]!.writeSync(new Uint8Array(rest));
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    for (const file of files) file.close();
    try {
      Deno.removeSync(probe);
    } catch {
      // It was never there.
    }
  }
}

/** Throws where there are too few descriptors left to start a thread: the runtime would not survive it. */
export function assertDescriptors(path: string): void {
  const files: Deno.FsFile[] = [];
  try {
    while (files.length < FILES) files.push(Deno.openSync(`${path}-lock`));
  } finally {
    for (const file of files) file.close();
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}
