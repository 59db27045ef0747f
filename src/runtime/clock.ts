import type { Instant } from "../domain/instant.ts";

/** The only source of time. Tests put a clock of their own in its place. */
export interface Clock {
  /** The wall clock; it may step either way at any moment. */
  wall(): Instant;
  /** Milliseconds that only ever go forward, from an arbitrary start. */
  monotonicMs(): number;
  /** Calls back once, after so many milliseconds of monotonic time; the answer takes it back. */
  after(ms: number, callback: () => void): () => void;
}

/** Longer timers overflow to an immediate one in setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(ms)), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
