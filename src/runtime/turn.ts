import type { Clock } from "./clock.ts";

/** So long may one piece of work hold the loop, and as long it rests then. */
const LONGEST_MS = 5;
/** The clock is looked at once in so many steps: each takes about as long as the look. */
const STEPS_PER_LOOK = 64;

/**
 * Work of many small steps that lets everything else have its turn: after each step it asks whether it
 * has held the loop for long enough. A rest is as long, not one turn of the loop, for to answer a small
 * request takes several. Such works take turns with each other as well, one at a time, so that twenty
 * of them at once hold the loop no longer than one.
 */
export class Turn {
  readonly #clock: Clock;
  /** Undefined while it rests. */
  #startedMs: number | undefined;
  #steps = 0;
  #workedMs = 0;

  /** The work begins now. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** After a small step: undefined while it may go on, else what to wait for before it does. */
  step(): Promise<void> | undefined {
    return ++this.#steps % STEPS_PER_LOOK === 0 ? this.look() : undefined;
  }

  /** After a step that may have taken a while: the same. */
  look(): Promise<void> | undefined {
    const heldMs = this.#clock.monotonicMs() - this.#startedMs!;
    return heldMs < LONGEST_MS ? undefined : this.#rest();
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
