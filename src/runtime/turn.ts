import type { Clock } from "./clock.ts";

/** So long may one piece of work hold the loop, and as long it rests then. */
const LONGEST_MS = 5;

/** Work that can be interrupted wherever it yields, which should be every tenth of a millisecond or so. */
export type Steps<Value> = Generator<undefined, Value>;

/**
 * Work of many small steps that lets everything else have its turn: after each step it looks whether it
 * has held the loop for long enough. A rest is as long, not one turn of the loop, for to answer a small
 * request takes several. Such works take turns with each other as well, one at a time, so that twenty
 * of them at once hold the loop no longer than one.
 */
export class Turn {
  readonly #clock: Clock;
  /** Undefined while it rests. */
  #startedMs: number | undefined;
  #workedMs = 0;

  /** The work begins now. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** Carries all steps out; where they are few, at once. */
  async run<Value>(steps: Steps<Value>): Promise<Value> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (this.#clock.monotonicMs() - this.#startedMs! >= LONGEST_MS) await this.#rest();
    }
  }

  /** For how long it has held the loop in all. */
  get workedMs(): number {
    if (this.#startedMs === undefined) return this.#workedMs;
    return this.#workedMs + this.#clock.monotonicMs() - this.#startedMs;
  }

  async #rest(): Promise<void> {
    this.#workedMs = this.workedMs;
    this.#startedMs = undefined;
    await new Promise<void>((resolve) => {
      resting.push(resolve);
      if (resting.length === 1) wakeFirst(this.#clock, LONGEST_MS);
    });
    this.#startedMs = this.#clock.monotonicMs();
  }
}

const resting: (() => void)[] = [];

/** The next goes on when that one has worked, and all have rested again. */
function wakeFirst(clock: Clock, inMs: number): void {
  clock.after(inMs, () => {
    resting.shift()!();
    if (resting.length > 0) wakeFirst(clock, 2 * LONGEST_MS);
  });
}
