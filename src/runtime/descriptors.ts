/**
 * How the process's open files are shared out: each connection is one, and when none is left nothing
 * works any more, the database and the name service included.
 */
export interface DescriptorShares {
  /** The limit that this is of; Infinity where there is none. */
  readonly limit: number;
  /** Connections to receivers, in use and idle together. */
  readonly outgoing: number;
  /** Descriptors for the connections of publishers, operators and browsers. */
  readonly incoming: number;
}

/**
 * What the daemon uses itself, measured at rest (33) and rounded up by what comes and goes: name
 * lookups, commands, a backup, a config that is read anew.
 */
const OWN = 44;
/** A roomier process keeps more of it for itself: log files, readers, many lookups at once. */
const MAX_OWN = 104;
/** Below a useful limit both sides still get something, and connections wait for each other. */
const FEWEST = 4;

/** Shares out a limit on open files. */
export function sharesOf(limit: number): DescriptorShares {
  const own = Math.min(MAX_OWN, OWN + Math.floor(Math.max(0, limit - 64) / 16));
  const rest = Math.max(2 * FEWEST, limit - own);
  const outgoing = Math.floor(rest / 2);
  return { limit, outgoing, incoming: rest === Infinity ? Infinity : rest - outgoing };
}

/**
 * The limit on open files that holds for this process, or undefined where it can't be learnt. A shell
 * inherits it and tells it: Deno doesn't let a program read `/proc/self/limits`.
 */
export async function openFilesLimit(): Promise<number | undefined> {
  if (Deno.build.os === "windows") return undefined;
  try {
    const { success, stdout } = await new Deno.Command("sh", {
      args: ["-c", "ulimit -n"],
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? readLimit(new TextDecoder().decode(stdout)) : undefined;
  } catch {
    return undefined; // there is no shell, or it may not be run
  }
}

/** Reads what `ulimit -n` prints; undefined where it is no limit. */
export function readLimit(text: string): number | undefined {
  const word = text.trim();
  if (word === "unlimited") return Infinity;
  return /^[1-9]\d*$/.test(word) ? Number(word) : undefined;
}

/** So many are tried at once: a lookup takes several. */
const NEEDED = 4;

/** Whether descriptors can be had just now. A lookup that lacks them says that there is no such host. */
export function hasFreeDescriptors(): boolean {
  const opened: Deno.FsFile[] = [];
  try {
    while (opened.length < NEEDED) opened.push(Deno.openSync("/dev/null"));
    return true;
  } catch (error) {
    const { code } = error as { code?: string };
    return code !== "EMFILE" && code !== "ENFILE";
  } finally {
    for (const file of opened) file.close();
  }
}
