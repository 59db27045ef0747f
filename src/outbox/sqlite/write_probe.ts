/** Why a write beside a database fails just now, where that is for want of room; else undefined. */
export type NoRoom = "full" | "quota" | "size";

/** By the system's number: ENOSPC, EDQUOT, EFBIG. */
const NO_ROOM: ReadonlyMap<number, NoRoom> = new Map([[28, "full"], [122, "quota"], [69, "quota"], [
  27,
  "size",
]]);

/** As much as a common event. */
const BYTES = 65_536;

/**
 * SQLite tells of a failed write and not why, unless the disk is full. So the same is tried beside the
 * database, as far behind the beginning as its files are long: a limit on the size of files shows there.
 */
export function probeWriting(path: string): NoRoom | undefined {
  const probe = `${path}-probe`;
  try {
    using file = Deno.openSync(probe, { write: true, create: true, truncate: true, mode: 0o600 });
    const end = Math.max(sizeOf(path), sizeOf(`${path}-wal`));
    file.seekSync(end, Deno.SeekMode.Start);
    for (let rest = BYTES; rest > 0;) rest -= file.writeSync(new Uint8Array(rest));
    return undefined;
  } catch (error) {
    const number = /\(os error (\d+)\)/.exec((error as Error).message)?.[1];
    return NO_ROOM.get(Number(number));
  } finally {
    try {
      Deno.removeSync(probe);
    } catch {
      // It was never there.
    }
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}
