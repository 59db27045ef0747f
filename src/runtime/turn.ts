import { setImmediate } from "node:timers";
import type { Clock } from "./clock.ts";

/** So long may one piece of work hold the loop. */
const LONGEST_MS = 10;
/** The clock is looked at once in so many steps: each takes about as long as the look. */
const STEPS_PER_LOOK = 64;

/**
 * Work of many small steps that lets everything else have its turn: after each step it asks whether it
 * has held the loop for long enough. Such works take turns with each other as well, one at a time, so
 * that twenty of them at once hold the loop no longer than one.
 */
export class Turn {
  readonly #clock: Clock;
  #startedMs: number | undefined;
  #steps = 0;
  #workedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** After a small step: undefined while it may go on, else what to wait for before it does. */
  step(): Promise<void> | undefined {
    return ++this.#steps % STEPS_PER_LOOK === 0 ? this.look() : undefined;
  }

  /** After a step that may have taken a while: the same. */
  look(): Promise<void> | undefined {
    const nowMs = this.#clock.monotonicMs();
    this.#startedMs ??= nowMs;
    return nowMs - this.#startedMs < LONGEST_MS ? undefined : this.#next();
  }

  /** For how long it has held the loop in all. */
  get workedMs(): number {
    if (this.#startedMs === undefined) return this.#workedMs;
    return this.#workedMs + this.#clock.monotonicMs() - this.#startedMs;
  }

  async #next(): Promise<void> {
    this.#workedMs = this.workedMs;
    this.#startedMs = undefined;
    await nextTurn();
    this.#startedMs = this.#clock.monotonicMs();
  }
}

/** Resolves in a later turn of the loop, which no other that waits for one has. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(serveNext);
  });
}

const waiting: (() => void)[] = [];

function serveNext(): void {
  waiting.shift()!();
  if (waiting.length > 0) setImmediate(serveNext);
}
