/** Other clocks for a real process, by libfaketime (Debian's package `faketime`). */

const FOLDERS = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((arch) =>
  `/usr/lib/${arch}/faketime`
);
const LIBRARY = FOLDERS.map((folder) => `${folder}/libfaketimeMT.so.1`).find(isThere);

/** Whether this machine has the library. */
export const hasFakedTime = LIBRARY !== undefined;

/** What a test's name ends with. */
export const WHERE_LEFT_OUT = hasFakedTime ? "" : " (left out: the machine has no libfaketime)";

/** The environment of a process whose clocks, both of them, go so many times as fast. */
export function fasterBy(factor: number): Record<string, string> {
  return { LD_PRELOAD: LIBRARY!, FAKETIME: `+0 x${factor}` };
}

/** A wall clock that can be set while a process goes by it. */
export class SettableClock {
  readonly #path: string;
  readonly #whatIsFaked: Record<string, string>;

  /** With `monotonicToo` the process believes that the time has passed: it has been asleep. */
  constructor(folder: string, { monotonicToo = false } = {}) {
    this.#path = `${folder}/clock`;
    this.#whatIsFaked = monotonicToo ? {} : { DONT_FAKE_MONOTONIC: "1" };
    this.setAhead(0);
  }

  /** What the process is started with. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: LIBRARY!,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_NO_CACHE: "1",
      ...this.#whatIsFaked,
    };
  }

  /** So far from the true time is it from now on; in one step, for the file is read at every look. */
  setAhead(seconds: number): void {
    Deno.writeTextFileSync(`${this.#path}-next`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    Deno.renameSync(`${this.#path}-next`, this.#path);
  }
}

/**
 * Takes away what the library keeps in shared memory for a process, which one that is killed leaves
 * there: the next with its number would end with "shm_open failed: File exists".
 */
export async function forgetFakedTime(pid: number): Promise<void> {
  // The runtime itself is not allowed there.
  const paths = ["faketime_shm_", "sem.faketime_sem_"].map((name) => `/dev/shm/${name}${pid}`);
  await new Deno.Command("rm", { args: ["-f", ...paths] }).output();
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
