import { dirname } from "node:path";
import { OutboxFailed, OutboxUnavailable } from "../outbox.ts";
import { type NoRoom, probeWriting } from "./write_probe.ts";

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
  const noRoom = WRITES.has(errcode) ? probeWriting(path) : undefined;
  if (noRoom) {
    return new OutboxUnavailable(
      `cannot write "${path}" now: ${NO_ROOM[noRoom]} (SQLite error ${errcode}, ${errstr})`,
      { cause: error },
    );
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

/** An error of the system on opening a file of the outbox, in words; every other error as it is. */
export function unopened(error: Error, path: string): Error {
  const reason = OPENING.get(codeOf(error))?.(dirname(path));
  return reason === undefined
    ? error
    : new Error(`cannot open "${path}": ${reason}`, { cause: error });
}

const ELSEWHERE = "or name another place in storage.url";

const OPENING = new Map<string, (folder: string) => string>([
  ["ENOENT", (folder) => `there is no folder "${folder}"; make it, ${ELSEWHERE}`],
  ["ENOTDIR", (folder) => `"${folder}" is no folder; name another place in storage.url`],
  ["EISDIR", () => "it is a folder; name a file in it in storage.url"],
  [
    "EACCES",
    (folder) =>
      `this user may not write it, or not in "${folder}"; change the owner of both, ${ELSEWHERE}`,
  ],
  ["EPERM", (folder) => `the system forbids it; look at the attributes of it and of "${folder}"`],
  ["EROFS", (folder) => `"${folder}" is mounted read-only; mount it writable, ${ELSEWHERE}`],
  ["ENOSPC", () => "the disk is full; make room"],
  ["EDQUOT", () => NO_ROOM.quota],
  ["EFBIG", () => NO_ROOM.size],
  ["ELOOP", () => `its links lead in a circle; remove them, ${ELSEWHERE}`],
  ["ENAMETOOLONG", () => `its name is too long; name another place in storage.url`],
  [
    "EMFILE",
    () => "this process has too many files open; raise that limit (ulimit -n, LimitNOFILE)",
  ],
  [
    "ENFILE",
    () => "this machine has too many files open; end what has them open, or raise fs.file-max",
  ],
  ["EIO", () => "the disk does not answer; check it"],
]);

/** What the runtime names by number alone. */
const CODES: ReadonlyMap<string, string> = new Map([
  ["122", "EDQUOT"],
  ["27", "EFBIG"],
  ["40", "ELOOP"],
  ["62", "ELOOP"],
  ["36", "ENAMETOOLONG"],
  ["23", "ENFILE"],
  ["24", "EMFILE"],
  ["5", "EIO"],
  ["1", "EPERM"],
]);

function codeOf(error: Error): string {
  const { code } = error as { code?: string };
  return code ?? CODES.get(/\(os error (\d+)\)/.exec(error.message)?.[1] ?? "") ?? "";
}

const CANTOPEN = 14;

/**
 * I/O errors that leave the data alone: no memory, or the journal's index (`-shm`), made anew at any
 * time, could not be opened, locked, mapped or made larger; a full disk shows as the last of these.
 */
const REBUILDABLE: ReadonlySet<number> = new Set([3082, 4618, 4874, 5130, 5386]);

/** SQLITE_IOERR_WRITE and SQLITE_IOERR_TRUNCATE, which say nothing of what went wrong. */
const WRITES: ReadonlySet<number> = new Set([778, 1546]);

const NO_ROOM: Readonly<Record<NoRoom, string>> = {
  full: "the disk is full; make room",
  quota: "this user's disk quota is used up; make room, or raise it",
  size: "a file has reached the largest size that this process may write; raise that limit " +
    "(ulimit -f, LimitFSIZE)",
};

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
