import type { Clock } from "../runtime/clock.ts";

/** One that is running: what has to be over, and when. */
export interface Deadline<T> {
  readonly what: T;
  /** On the monotonic clock. */
  readonly atMs: number;
  /** Its neighbours: the one that passes before it, and the one after it. */
  before: Deadline<T>;
  after: Deadline<T>;
}

/**
 * Deadlines that are all equally long, on one timer: they pass in the order in which they began,
 * and a timer for each request would cost a third of the request. A ring of them rather than a set,
 * since a set that is filled and emptied all the time leaves its old tables to the collector.
 */
export class Deadlines<T> {
  readonly #clock: Clock;
  readonly #lengthMs: number;
  readonly #onPassed: (what: T) => void;
  /** Stands before the first and after the last one. */
  readonly #ring: Deadline<T>;
  #stopTimer: (() => void) | undefined;

  constructor(clock: Clock, lengthMs: number, onPassed: (what: T) => void) {
    this.#clock = clock;
    this.#lengthMs = lengthMs;
    this.#onPassed = onPassed;
    const ring = {} as Deadline<T>;
    ring.before = ring.after = ring;
    this.#ring = ring;
  }

  /** Begins one. */
  start(what: T): Deadline<T> {
    const last = this.#ring.before;
    const atMs = this.#clock.monotonicMs() + this.#lengthMs;
    const deadline = { what, atMs, before: last, after: this.#ring };
    last.after = this.#ring.before = deadline;
    this.#stopTimer ??= this.#clock.after(this.#lengthMs, this.#onTimer);
    return deadline;
  }

  /** It is over in time, or has passed. The timer stays, for the next one. */
  stop({ before, after }: Deadline<T>): void {
    before.after = after;
    after.before = before;
  }

  /** All that has to be over and is not yet; no deadline of them passes any more. */
  close(): readonly T[] {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const running: T[] = [];
    for (let one = this.#ring.after; one !== this.#ring; one = one.after) running.push(one.what);
    return running;
  }

  readonly #onTimer = (): void => {
    this.#stopTimer = undefined;
    const now = this.#clock.monotonicMs();
    for (let one = this.#ring.after; one !== this.#ring; one = one.after) {
      if (one.atMs > now) {
        this.#stopTimer = this.#clock.after(one.atMs - now, this.#onTimer);
        return;
      }
      this.#onPassed(one.what);
    }
  };
}
