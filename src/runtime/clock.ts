import { setImmediate } from "node:timers";
import type { Instant } from "../domain/instant.ts";
import { type BootReading, readBootTime } from "./boot_time.ts";

/** The only source of time. Tests put a clock of their own in its place. */
export interface Clock {
  /** The wall clock; it may step either way at any moment. */
  wall(): Instant;
  /** Milliseconds that only ever go forward, from an arbitrary start. */
  monotonicMs(): number;
  /** Calls back once, after so many milliseconds of monotonic time; the answer takes it back. */
  after(ms: number, callback: () => void): () => void;
  /** The machine's time since its start, which nobody sets; undefined where it can't be read. */
  boot?(): Promise<BootReading | undefined>;
}

/** Longer timers overflow to an immediate one in setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A timer as late as that was kept waiting: the process stood still. */
const STOOD_STILL_MS = 500;
/** So many turns of the loop, of so many milliseconds each, it then gets to read what arrived. */
const CATCHING_UP_TURNS = 10, TURN_MS = 20;

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonicMs: () => performance.now(),
  boot: readBootTime,
  after(ms, callback) {
    const dueMs = performance.now() + Math.min(Math.max(0, Math.ceil(ms)), MAX_TIMER_MS);
    let isTakenBack = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let turnsLeft: number | undefined;
    function begin() {
      if (!isTakenBack) timer = setTimeout(fire, Math.max(0, Math.ceil(dueMs - performance.now())));
    }
    function fire() {
      // The loop looks at its timers first: an answer may be there and not be read yet.
      turnsLeft ??= performance.now() - dueMs > STOOD_STILL_MS ? CATCHING_UP_TURNS : 0;
      if (turnsLeft-- > 0) timer = setTimeout(fire, TURN_MS);
      else callback();
    }
    atEndOfTurn(begin);
    return () => {
      isTakenBack = true;
      clearTimeout(timer);
    };
  },
};

/**
 * Timers begin at the end of the turn of the loop: most are taken back before it, for what they watch
 * over is there at once, and setting one would cost more than all the rest of waiting.
 */
function atEndOfTurn(begin: () => void): void {
  if (beginning.length === 0) setImmediate(beginAll);
  beginning.push(begin);
}

let beginning: (() => void)[] = [];

function beginAll(): void {
  const all = beginning;
  beginning = [];
  for (const begin of all) begin();
}
