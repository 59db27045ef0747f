import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { WalFollower } from "./wal_follower.ts";
import { Interrupted, type Progress } from "../../runtime/long_work.ts";

const CHUNK_BYTES = 1 << 20;
/** How often it begins anew where it could not read along, before another way is taken. */
const TRIES = 3;

/**
 * Copies a database beside the process that writes to it, without a reader that would stand in its
 * journal for as long as that takes: the file is copied as it stands, and whatever is committed
 * meanwhile is read from the journal and written over it. At the end nobody may commit for a moment, in
 * which the last of it is read. False where that can't be done, and the copy is nothing.
 * Not for the process that has the database open: it would lose its locks.
 */
export async function copyLive(
  from: string,
  to: string,
  { onProgress, signal }: {
    readonly onProgress: (progress: Progress) => void;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<boolean> {
  const db = new DatabaseSync(from, { timeout: 5_000 });
  try {
    const [mode, page] = ["journal_mode", "page_size"].map((name) =>
      db.prepare(`pragma ${name}`).get()![name]
    );
    if (mode !== "wal") return false;
    using target = await Deno.open(to, { write: true, truncate: true });
    // Closed after the connection: that lets go of the locks that this process has on the file.
    const source = await Deno.open(from, { read: true });
    try {
      const copying = { from, db, source, target, pageBytes: Number(page), onProgress, signal };
      for (let attempt = 0; attempt < TRIES; attempt++) if (await copyOnce(copying)) return true;
      target.truncateSync(0);
      return false;
    } finally {
      db.close();
      source.close();
    }
  } catch (error) {
    const { errcode } = error as { errcode?: number };
    // Who may not write can still read as of one moment.
    if (errcode !== undefined && NOT_FOR_US.has(errcode & 0xff)) return false;
    throw error;
  } finally {
    if (db.isOpen) db.close();
  }
}

/** SQLITE_BUSY, SQLITE_READONLY, SQLITE_CANTOPEN */
const NOT_FOR_US: ReadonlySet<number> = new Set([5, 8, 14]);

interface Copying {
  readonly from: string;
  readonly db: DatabaseSync;
  readonly source: Deno.FsFile;
  readonly target: Deno.FsFile;
  readonly pageBytes: number;
  readonly onProgress: (progress: Progress) => void;
  readonly signal: AbortSignal | undefined;
}

async function copyOnce(copying: Copying): Promise<boolean> {
  const follower = new WalFollower(`${copying.from}-wal`, copying.pageBytes);
  try {
    return await copyAlong(follower, copying);
  } finally {
    follower.close();
  }
}

async function copyAlong(follower: WalFollower, copying: Copying): Promise<boolean> {
  const { db, source, target, pageBytes, onProgress, signal } = copying;
  // What the journal had is newer than what the file has, or the same.
  const taken = new Set<number>();
  const follow = () =>
    follower.follow((page, content) => {
      taken.add(page);
      writeAt(target, content, (page - 1) * pageBytes);
    });
  target.truncateSync(0);
  if (!follow()) return false;
  const chunk = new Uint8Array(CHUNK_BYTES);
  const total = source.statSync().size;
  for (let at = 0; at < total; at += CHUNK_BYTES) {
    if (signal?.aborted) throw new Interrupted();
    onProgress({ done: at / pageBytes, total: total / pageBytes });
    source.seekSync(at, Deno.SeekMode.Start);
    const length = source.readSync(chunk) ?? 0;
    if (length < Math.min(CHUNK_BYTES, total - at)) return false;
    for (let offset = 0; offset < length; offset += pageBytes) {
      const page = (at + offset) / pageBytes + 1;
      if (taken.has(page)) continue;
      writeAt(target, chunk.subarray(offset, offset + pageBytes), at + offset);
    }
    if (!follow()) return false;
    await setImmediate();
  }
  db.prepare("begin immediate").all();
  try {
    if (!follow()) return false;
    const pages = Number(db.prepare("pragma page_count").get()!.page_count);
    target.truncateSync(pages * pageBytes);
    return true;
  } finally {
    db.exec("rollback");
  }
}

function writeAt(file: Deno.FsFile, bytes: Uint8Array, at: number): void {
  file.seekSync(at, Deno.SeekMode.Start);
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
}
