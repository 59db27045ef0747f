import type { Finding } from "./finding.ts";

/** What a file holds decides who may do what with it. */
export interface GuardedFile {
  readonly check: "config file" | "database file" | "secret file";
  readonly path: string;
}

/** Whether others may read or change what is not theirs. Windows has no such rights to look at. */
export async function examineFiles(files: readonly GuardedFile[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const file of files) {
    const mode = await modeOf(file.path);
    if (mode !== undefined) findings.push(judgeMode(file, mode));
  }
  return findings;
}

/** What a file's permission bits mean for what is in it. */
export function judgeMode({ check, path }: GuardedFile, mode: number): Finding {
  const bits = (mode & 0o777).toString(8).padStart(3, "0");
  const message = `"${path}" has mode ${bits}`;
  const writers = mode & 0o022;
  const readers = mode & 0o044;
  if (mode & 0o002) {
    const fix = `chmod o-w ${path}`;
    return { check, state: "fail", message: `${message}: anybody may change it`, fix };
  }
  if (check === "config file") {
    if (!writers) return { check, state: "ok", message };
    const fix = `chmod g-w ${path}`;
    return { check, state: "warn", message: `${message}: its group may change it`, fix };
  }
  if (!readers && !writers) return { check, state: "ok", message };
  const who = mode & 0o004 ? "anybody may" : "its group may";
  const access = writers ? "change it" : "read it";
  return {
    check,
    state: "warn",
    message: `${message}: ${who} ${access}`,
    fix: `chmod 600 ${path}`,
  };
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).mode ?? undefined;
  } catch {
    return undefined; // others tell that it is not there
  }
}
