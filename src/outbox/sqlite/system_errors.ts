import { dirname } from "node:path";
import { Interrupted } from "../../runtime/long_work.ts";

/** An error of the system on opening a file of the outbox, in words that name it and what to do. */
export function unopened(error: Error, path: string): Error {
  if (error instanceof Interrupted) return error;
  const reason = REASONS.get(codeOf(error))?.(dirname(path));
  if (reason !== undefined) {
    return new Error(`cannot open "${path}": ${reason}`, { cause: error });
  }
  return error.message.includes(path)
    ? error
    : new Error(`cannot open "${path}": ${error.message}`, { cause: error });
}

/** What an error of the system on writing beside the database means; undefined where nothing is known. */
export function reasonOf(error: Error, path: string): string | undefined {
  return REASONS.get(codeOf(error))?.(dirname(path));
}

/** Whether it is for want of room, which is a passing thing. */
export function isNoRoom(error: Error): boolean {
  return ["ENOSPC", "EDQUOT", "EFBIG"].includes(codeOf(error));
}

const ELSEWHERE = "or name another place in storage.url";

const REASONS = new Map<string, (folder: string) => string>([
  ["ENOENT", (folder) => `there is no folder "${folder}"; make it, ${ELSEWHERE}`],
  ["ENOTDIR", (folder) => `"${folder}" is no folder; name another place in storage.url`],
  ["EISDIR", () => "it is a folder; name a file in it with storage.url"],
  ["EACCES", (folder) => `this user may not write in "${folder}"; change its owner, ${ELSEWHERE}`],
  ["EPERM", (folder) => `the system forbids it; look at its attributes and those of "${folder}"`],
  ["EROFS", (folder) => `"${folder}" is mounted read-only; mount it writable, ${ELSEWHERE}`],
  ["ENOSPC", () => "the disk is full; make room"],
  ["EDQUOT", () => "this user's disk quota is used up; make room, or raise it"],
  [
    "EFBIG",
    () =>
      "a file has reached the largest size that this process may write; raise that limit " +
      "(ulimit -f, LimitFSIZE)",
  ],
  ["ELOOP", () => `its links lead in a circle; remove them, ${ELSEWHERE}`],
  ["ENAMETOOLONG", () => "its name is too long; name another place in storage.url"],
  [
    "EMFILE",
    () => "this process has too many files open; raise that limit (ulimit -n, LimitNOFILE)",
  ],
  ["ENFILE", () => "this machine has too many files open; stop the program that opened them"],
  ["EIO", () => "the disk has failed; check it"],
]);

function codeOf(error: Error): string {
  const { code } = error as { code?: string };
  return code ?? BY_NUMBER.get(Number(/\(os error (\d+)\)/.exec(error.message)?.[1])) ?? "";
}

/** What the runtime gives the number of alone: Linux's, and where they differ macOS's. */
const BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [1, "EPERM"],
  [5, "EIO"],
  [23, "ENFILE"],
  [24, "EMFILE"],
  [27, "EFBIG"],
  [36, "ENAMETOOLONG"],
  [40, "ELOOP"],
  [62, "ELOOP"],
  [63, "ENAMETOOLONG"],
  [69, "EDQUOT"],
  [122, "EDQUOT"],
]);
