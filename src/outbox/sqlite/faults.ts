import { OutboxFailed, OutboxUnavailable } from "../errors.ts";
import { isNoRoom, reasonOf } from "./system_errors.ts";
import { probeWriting } from "./write_probe.ts";

/** There is no room to write, by a full disk, a quota or a limit on the size of files. */
export class NoRoom extends OutboxUnavailable {}

/**
 * What something that SQLite threw means: the file can't be trusted any more (OutboxFailed), it can't
 * be written just now (OutboxUnavailable), or, answered as it is, a fault of ours. `before` is what the
 * last write met, if none has worked since.
 */
export function faultOf(
  error: unknown,
  path: string,
  { before }: { readonly before?: Error | undefined } = {},
): Error {
  if (error instanceof OutboxFailed || error instanceof OutboxUnavailable) return error;
  const errcode = errcodeOf(error);
  if (errcode === undefined) return error instanceof Error ? error : new Error(String(error));
  const errstr = (error as { errstr?: string }).errstr ?? (error as Error).message;
  // The low byte is the kind; what is above it mostly only says more.
  const kind = REBUILDABLE.has(errcode) ? CANTOPEN : errcode & 0xff;
  const denied = WRITES.has(errcode) || kind === CANTOPEN ? probeWriting(path) : undefined;
  const reason = denied && (kind === CANTOPEN || isNoRoom(denied)) && reasonOf(denied, path);
  if (reason) {
    const words = `cannot write "${path}" now: ${reason} (SQLite error ${errcode}, ${errstr})`;
    return isNoRoom(denied)
      ? new NoRoom(words, { cause: error })
      : new OutboxUnavailable(words, { cause: error });
  }
  // Room was made between the write and our look: the next one works, or else the disk is broken.
  if (WRITES.has(errcode) && !denied && before instanceof NoRoom) {
    return new OutboxUnavailable(before.message, { cause: error });
  }
  const broken = BROKEN.get(kind);
  if (broken) {
    return new OutboxFailed(
      `cannot trust "${path}" any more: ${broken} (SQLite error ${errcode}, ${errstr}); ` +
        "check the disk, then run bellhook audit, and restore a backup if it finds faults",
      { cause: error },
    );
  }
  const passing = PASSING.get(kind);
  if (passing) {
    return new OutboxUnavailable(
      `cannot write "${path}" now: ${passing} (SQLite error ${errcode}, ${errstr})`,
      { cause: error },
    );
  }
  return error as Error;
}

/** SQLite's number of what it threw; undefined where it was not SQLite. */
export function errcodeOf(error: unknown): number | undefined {
  const { code, errcode, message } = error as { code?: string; errcode?: number; message?: string };
  if (errcode !== undefined || code !== "ERR_SQLITE_ERROR") return errcode;
  return BY_MESSAGE.find(([start]) => message?.startsWith(start))?.[1];
}

const CANTOPEN = 14;

/**
 * I/O errors that leave the data alone: no memory, or the journal's index (`-shm`), made anew at any
 * time, could not be opened, locked, mapped or made larger; a full disk shows as the last of these.
 */
const REBUILDABLE: ReadonlySet<number> = new Set([3082, 4618, 4874, 5130, 5386]);

/** A write or a truncation failed, or an I/O call of which no more is known: perhaps for want of room. */
const WRITES: ReadonlySet<number> = new Set([10, 778, 1546]);

/** What SQLite's errors are called where the runtime gives no number, as for whatever `exec` throws. */
const BY_MESSAGE: readonly (readonly [start: string, errcode: number])[] = [
  ["database is locked", 5],
  ["out of memory", 7],
  ["attempt to write a readonly database", 8],
  ["disk I/O error", 10],
  ["database disk image is malformed", 11],
  ["database or disk is full", 13],
  ["unable to open database file", 14],
  ["file is not a database", 26],
];

// SQLite goes on committing after a failed fsync, as if the lost pages were on the disk.
const BROKEN: ReadonlyMap<number, string> = new Map([
  [10, "reading, writing or syncing it failed"],
  [11, "it is corrupt"],
  [26, "it is no database any more"],
]);

const PASSING: ReadonlyMap<number, string> = new Map([
  [5, "another program has locked it; end that one"],
  [6, "another statement has locked it"],
  [7, "the memory is used up"],
  [8, "it is read-only; check its permissions and those of its folder"],
  [13, "the disk is full; make room"],
  [
    14,
    "it, or a file beside it, cannot be opened or extended; check the disk's room and the folder",
  ],
]);
