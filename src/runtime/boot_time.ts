import type { Instant } from "../domain/instant.ts";
import { procText } from "./proc_text.ts";

/** The time since the machine started, read between two instants of the monotonic clock. */
export interface BootReading {
  /** Tells one start of the machine from another. */
  readonly id: string;
  /** When it was read, it was not less than the first and not more than the second. */
  readonly leastMs: number;
  readonly mostMs: number;
  readonly afterMonotonicMs: number;
  readonly beforeMonotonicMs: number;
}

/** `/proc/uptime` has hundredths of a second, rounded down. */
const UPTIME_STEP_MS = 10;

/**
 * Reads for how long the machine has been running, by a clock that nobody can set and that goes on
 * while the machine sleeps. Undefined where there is no such clock to be read: only Linux has it.
 */
export async function readBootTime(): Promise<BootReading | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const afterMonotonicMs = performance.now();
  const text = await procText(["/proc/sys/kernel/random/boot_id", "/proc/uptime"]);
  const beforeMonotonicMs = performance.now();
  const [, id, uptime] = /^([\da-f-]{36})\n(\d+\.\d+) /.exec(text) ?? [];
  if (id === undefined) return undefined;
  const leastMs = Math.round(Number(uptime) * 1_000);
  const mostMs = leastMs + UPTIME_STEP_MS;
  return { id, leastMs, mostMs, afterMonotonicMs, beforeMonotonicMs };
}

/** Where the schedule's time stands, as it is kept for the next process. */
export interface TimeMark {
  /** The schedule had reached this instant. */
  readonly reachedAt: Instant;
  /** What the schedule's time was at a moment of the machine's; undefined where that is not known. */
  readonly boot?: {
    readonly id: string;
    readonly at: Instant;
    readonly leastMs: number;
    readonly mostMs: number;
  };
}
