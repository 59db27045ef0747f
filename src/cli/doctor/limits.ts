import type { Finding } from "./finding.ts";

/** How many files the system lets a process of ours have open: each connection is one. */
export async function examineLimits(totalConcurrency: number | undefined): Promise<Finding[]> {
  const limits = await Deno.readTextFile("/proc/self/limits").catch(() => undefined);
  const limit = limits === undefined ? undefined : openFilesIn(limits);
  return limit === undefined ? [] : [judgeOpenFiles(limit, totalConcurrency ?? 256)];
}

/** The soft limit in the words of proc(5); undefined where it is not told. */
export function openFilesIn(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}

/** Whether so many open files do for so many attempts at once. */
export function judgeOpenFiles(limit: number, totalConcurrency: number): Finding {
  const check = "open files";
  const message = limit === Infinity ? "as many as it wants" : `at most ${limit}`;
  // Connections in use, as many idle ones again, publishers, and the database.
  const wanted = 2 * totalConcurrency + 256;
  if (limit >= wanted) return { check, state: "ok", message };
  return {
    check,
    state: limit < totalConcurrency ? "fail" : "warn",
    message: `${message}, where delivery.totalConcurrency asks for some ${wanted}`,
    fix: "LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536",
  };
}
