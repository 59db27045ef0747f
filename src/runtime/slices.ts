import type { Clock } from "./clock.ts";

/** How long a piece of long work may hold the loop before others run. */
const SLICE_MS = 5;

/**
 * Shares the loop between long work and everybody else: a slice holds it for some 5 ms, and then it is
 * left alone for as long. Works that share one of these take turns, so that ten of them hold the loop
 * no more than one does.
 */
export class Slices {
  readonly #clock: Clock;
  /** When the next slice may begin. */
  #freeAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The slices of one piece of work, the first of which begins now. */
  begin(): Slice {
    return new Slice(this.#clock, (workedMs) => this.#rest(workedMs));
  }

  #rest(workedMs: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const beginsAtMs = Math.max(this.#freeAtMs, nowMs + workedMs);
    this.#freeAtMs = beginsAtMs + 2 * SLICE_MS;
    return new Promise((resolve) => this.#clock.after(beginsAtMs - nowMs, resolve));
  }
}

/** One piece of long work. */
export class Slice {
  readonly #clock: Clock;
  readonly #rest: (workedMs: number) => Promise<void>;
  #startedAtMs: number;

  constructor(clock: Clock, rest: (workedMs: number) => Promise<void>) {
    this.#clock = clock;
    this.#rest = rest;
    this.#startedAtMs = clock.monotonicMs();
  }

  /** Whether the work should call rest() before it goes on. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() - this.#startedAtMs >= SLICE_MS;
  }

  /** Lets others run; resolves when the next slice begins. */
  async rest(): Promise<void> {
    await this.#rest(this.#clock.monotonicMs() - this.#startedAtMs);
    this.#startedAtMs = this.#clock.monotonicMs();
  }
}
