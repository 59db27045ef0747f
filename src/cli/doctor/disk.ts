import { statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type JournalReader,
  LONG_JOURNAL_BYTES,
  readersText,
  type Space,
} from "../../outbox/reader.ts";
import { journalReaders } from "../../outbox/sqlite/journal_readers.ts";
import { openReader } from "../../outbox/sqlite/reader.ts";
import type { Clock } from "../../runtime/clock.ts";
import { mib } from "../byte_text.ts";
import type { Finding } from "./finding.ts";

const MIB = 1024 * 1024;
const FSYNCS = 20;

/** The database, its journal, and the disk that they are on. */
export async function examineDisk(database: string, clock: Clock): Promise<Finding[]> {
  const folder = dirname(database);
  const { bavail, blocks, bsize } = await statfs(folder).catch(() => ({
    bavail: undefined,
    blocks: 0,
    bsize: 0,
  }));
  if (bavail === undefined) {
    const message = `the database's folder "${folder}" can't be looked into`;
    return [{ check: "disk", state: "fail", message, fix: "make it, for the daemon's user" }];
  }
  return [
    await examineDatabase(database),
    judgeRoom({ freeBytes: bavail * bsize, totalBytes: blocks * bsize }, folder),
    await examineFsync(folder, clock),
    await examineJournal(database),
  ];
}

async function examineDatabase(path: string): Promise<Finding> {
  const check = "database";
  const bytes = await sizeOf(path);
  if (bytes === undefined) {
    return { check, state: "ok", message: `"${path}" is not there yet; the daemon makes it` };
  }
  try {
    const reader = openReader(path);
    try {
      return judgeSpace(await reader.space(), path);
    } finally {
      reader.close();
    }
  } catch (error) {
    const message = (error as Error).message;
    return { check, state: "fail", message, fix: "restore a backup, or name another storage.url" };
  }
}

/** How much of the database holds nothing; much is worth giving back. */
export function judgeSpace({ bytes, freeBytes }: Space, path: string): Finding {
  const check = "database";
  const message = `"${path}", ${mib(bytes)}, of which ${mib(freeBytes)} are free for new events`;
  if (freeBytes < 1024 * MIB || freeBytes < bytes / 2) return { check, state: "ok", message };
  const fix = "new events reuse it; if it will stay free, stop the daemon and run bellhook compact";
  return { check, state: "ok", message, fix };
}

/** Whether there is room for what comes in. */
export function judgeRoom(
  { freeBytes, totalBytes }: { freeBytes: number; totalBytes: number },
  folder: string,
): Finding {
  const check = "disk room";
  const message = `${mib(freeBytes)} free of ${mib(totalBytes)} in "${folder}"`;
  const fix = "make room, or keep less: storage.keepDelivered";
  if (freeBytes < 64 * MIB) return { check, state: "fail", message, fix };
  if (freeBytes < 1024 * MIB || freeBytes < totalBytes / 50) {
    return { check, state: "warn", message, fix };
  }
  return { check, state: "ok", message };
}

async function examineFsync(folder: string, clock: Clock): Promise<Finding> {
  const path = join(folder, `.bellhook-doctor-${Deno.pid}`);
  try {
    using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    try {
      const page = new Uint8Array(4_096);
      const taken: number[] = [];
      for (let number = 0; number < FSYNCS; number++) {
        await file.write(page);
        const startedAt = clock.monotonicMs();
        await file.syncData();
        taken.push(clock.monotonicMs() - startedAt);
      }
      return judgeFsync(taken.sort((a, b) => a - b));
    } finally {
      await Deno.remove(path);
    }
  } catch (error) {
    return {
      check: "fsync",
      state: "fail",
      message: `can't write to "${folder}": ${(error as Error).message}`,
      fix: "make it writable for the daemon's user; run doctor as that user",
    };
  }
}

/** What so many fsyncs, in milliseconds, the quickest first, mean for the daemon. */
export function judgeFsync(sortedMs: readonly number[]): Finding {
  const check = "fsync";
  const median = sortedMs[Math.floor(sortedMs.length / 2)]!;
  const slowest = sortedMs.at(-1)!;
  const message = `${median.toFixed(1)} ms, at most ${slowest.toFixed(1)} ms: ` +
    "what a 202 waits for";
  if (median <= 20) return { check, state: "ok", message };
  return { check, state: "warn", message, fix: "put the database on a local SSD" };
}

async function examineJournal(database: string): Promise<Finding> {
  const bytes = await sizeOf(`${database}-wal`) ?? 0;
  return judgeJournal(bytes, bytes > LONG_JOURNAL_BYTES ? await journalReaders(database) : []);
}

/** Whether something keeps the journal from being emptied. A daemon cuts it to 64 MiB when it is. */
export function judgeJournal(
  bytes: number | undefined,
  readers: readonly JournalReader[] = [],
): Finding {
  const check = "journal";
  if (!bytes) return { check, state: "ok", message: "empty" };
  const message = mib(bytes);
  if (bytes <= LONG_JOURNAL_BYTES) return { check, state: "ok", message };
  return {
    check,
    state: "warn",
    message: `${message}: it can't be emptied while ${readersText({ readers })} reads in it`,
    fix: readers.length > 0
      ? `end ${readers.length === 1 ? "that process" : "those processes"}, or let it finish`
      : 'find out what reads the database, as in "fuser FILE", and end it',
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).size;
  } catch {
    return undefined;
  }
}
