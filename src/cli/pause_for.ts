import type { Clock } from "../runtime/clock.ts";

/** Resolves after so many milliseconds. */
export function pauseFor(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
