import { dirname } from "node:path";
import { OutboxFailed, OutboxUnavailable } from "../outbox.ts";

/**
 * What something that SQLite threw means: the file can't be trusted any more (OutboxFailed), it can't
 * be written just now (OutboxUnavailable), or, answered as it is, a fault of ours.
 */
export function faultOf(error: unknown, path: string): Error {
  if (error instanceof OutboxFailed || error instanceof OutboxUnavailable) return error;
  const { errcode, errstr } = error as { errcode?: number; errstr?: string };
  if (errcode === undefined) return error instanceof Error ? error : new Error(String(error));
  // The low byte is the kind; what is above it mostly only says more.
  const kind = REBUILDABLE.has(errcode) ? CANTOPEN : errcode & 0xff;
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

/** An error of the system on opening a file of the outbox, in words; every other error as it is. */
export function unopened(error: Error, path: string): Error {
  const reason = OPENING.get((error as { code?: string }).code ?? "")?.(dirname(path));
  return reason === undefined
    ? error
    : new Error(`cannot open "${path}": ${reason}`, { cause: error });
}

const ELSEWHERE = "or name another place in storage.url";

const OPENING = new Map<string, (folder: string) => string>([
  ["ENOENT", (folder) => `there is no folder "${folder}"; make it, ${ELSEWHERE}`],
  ["ENOTDIR", (folder) => `"${folder}" is no folder; name another place in storage.url`],
  ["EISDIR", () => "it is a folder; name a file in it in storage.url"],
  ["EACCES", (folder) => `this user may not write in "${folder}"; change its owner, ${ELSEWHERE}`],
  ["EROFS", (folder) => `"${folder}" is mounted read-only; mount it writable, ${ELSEWHERE}`],
  ["ENOSPC", () => "the disk is full; make room"],
]);

const CANTOPEN = 14;

/**
 * I/O errors that leave the data alone: no memory, or the journal's index (`-shm`), made anew at any
 * time, could not be opened, locked, mapped or made larger; a full disk shows as the last of these.
 */
const REBUILDABLE: ReadonlySet<number> = new Set([3082, 4618, 4874, 5130, 5386]);

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
