import { procText } from "../../runtime/proc_text.ts";
import type { JournalReader } from "../reader.ts";

/**
 * The bytes of the `-shm` file that SQLite's readers lock (walformat.html, section 2.3): each stands for
 * a mark in the journal up to which its readers read. The first is left out: whoever holds it reads in the
 * database alone, and keeps nobody from beginning the journal anew.
 */
const FIRST_READ_BYTE = 124, LAST_READ_BYTE = 127;
/** So many are named. */
const MOST_NAMED = 5;

/**
 * Other processes that read in a database's journal, and so keep it from being emptied. Only Linux tells,
 * and only of those that this process may see: in a container, of its own.
 */
export async function journalReaders(database: string): Promise<JournalReader[]> {
  const file = await Deno.stat(`${database}-shm`).catch(() => undefined);
  if (!file) return [];
  const locks = readLocks(await procText(["/proc/locks"])).filter(({ inode }) =>
    inode === file.ino
  );
  // Some file systems give a file another device than the one that its locks are listed under.
  const onDevice = locks.filter(({ device }) => device === deviceText(file.dev));
  const pids = new Set((onDevice.length > 0 ? onDevice : locks).map(({ pid }) => pid));
  pids.delete(Deno.pid);
  return await Promise.all(
    [...pids].slice(0, MOST_NAMED).map(async (pid) => {
      const program = (await procText([`/proc/${pid}/comm`])).trim();
      return { pid, ...(program !== "" && { program }) };
    }),
  );
}

interface ReadLock {
  readonly pid: number;
  readonly device: string;
  readonly inode: number;
}

/** The locks of readers in `/proc/locks`: `1: POSIX  ADVISORY  READ 4242 08:01:1310 124 124`. */
export function readLocks(text: string): ReadLock[] {
  const line =
    /^\d+: (?:POSIX|OFDLCK) +\w+ +READ +(\d+) ([\da-f]+:[\da-f]+):(\d+) (\d+) (\d+|EOF)$/;
  return text.split("\n").flatMap((one) => {
    const [, pid, device, inode, from, to] = line.exec(one) ?? [];
    if (pid === undefined || Number(pid) <= 0) return [];
    const end = to === "EOF" ? Infinity : Number(to);
    if (Number(from) > LAST_READ_BYTE || end < FIRST_READ_BYTE) return [];
    return [{ pid: Number(pid), device: device!, inode: Number(inode) }];
  });
}

/** A device's number as `/proc/locks` has it: `08:01`. */
function deviceText(device: number): string {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major.toString(16).padStart(2, "0")}:${minor.toString(16).padStart(2, "0")}`;
}
