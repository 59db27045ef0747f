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
    return nowMs - this.#startedMs < LONGEST_MS ? undefined : this.#rest();
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
      if (resting.length === 1) wakeNext(this.#clock);
    });
    this.#startedMs = this.#clock.monotonicMs();
  }
}

const resting: (() => void)[] = [];

/** The first goes on after a rest, and the next after another. */
function wakeNext(clock: Clock): void {
  clock.after(LONGEST_MS, () => {
    resting.shift()!();
    if (resting.length > 0) wakeNext(clock);
  });
}
