import { setImmediate } from "node:timers";
import type { Clock } from "./clock.ts";

/** So long may one piece of work hold the loop, and at least as long it rests then. */
const LONGEST_MS = 5;

/** Work that can be interrupted wherever it yields, which should be every tenth of a millisecond or so. */
export type Steps<Value> = Generator<undefined, Value>;

/** Carries all steps out at once. */
export function finished<Value>(steps: Steps<Value>): Value {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Carries all steps out; in slices, where others need the loop meanwhile. */
export async function inSlices<Value>(steps: Steps<Value>, turn: Turn | undefined): Promise<Value> {
  return turn ? await turn.run(steps) : finished(steps);
}

/** When the next work that rests may go on. */
const freeAtMs = new WeakMap<Clock, number>();

/**
 * Long work that lets everything else have its turn: it holds the loop for some 5 ms, and rests for as
 * long as it worked. A rest is not one turn of the loop, for to answer a small request takes several.
 * Such works take turns with each other as well, one at a time, so that twenty of them at once hold the
 * loop no longer than one.
 */
export class Turn {
  readonly #clock: Clock;
  /** Undefined before its first look at the clock, and while it rests. */
  #startedMs: number | undefined;
  #workedMs = 0;

  /** The work begins with its first look at the clock: most work is over before it. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Carries all steps out; where they are few, at once. */
  async run<Value>(steps: Steps<Value>): Promise<Value> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (this.isOver) await this.rest();
    }
  }

  /** Whether the work should rest() before it goes on. */
  get isOver(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#startedMs ??= nowMs;
    return nowMs - this.#startedMs >= LONGEST_MS;
  }

  /** For how long it has held the loop in all. */
  get workedMs(): number {
    if (this.#startedMs === undefined) return this.#workedMs;
    return this.#workedMs + this.#clock.monotonicMs() - this.#startedMs;
  }

  /** Lets others run; resolves when it may go on. */
  async rest(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const heldMs = nowMs - this.#startedMs!;
    this.#workedMs += heldMs;
    this.#startedMs = undefined;
    const againAtMs = Math.max(freeAtMs.get(this.#clock) ?? 0, nowMs + heldMs);
    freeAtMs.set(this.#clock, againAtMs + 2 * LONGEST_MS);
    await new Promise<void>((resolve) => this.#clock.after(againAtMs - nowMs, resolve));
    this.#startedMs = this.#clock.monotonicMs();
  }
}

/** Lets whatever is ready run first: awaiting what is there already lets nothing but its own kind run. */
export function nextTurnOfLoop(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
