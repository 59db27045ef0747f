import type { Clock } from "./clock.ts";

/**
 * Waits of one and the same length, of which nearly all are taken back: they come to an end in the
 * order they began in, so one timer serves them all, where each of its own would cost more than what
 * it watches over.
 */
export class SharedTimer {
  readonly #clock: Clock;
  readonly #waitMs: number;
  /** The oldest first. */
  readonly #waits = new Set<Wait>();
  #cancelTimer: (() => void) | undefined;
  /** The timer has fired, and whose wait is over is being told. */
  #isEnding = false;

  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  /** Calls back once, when the wait is over; the answer takes it back. */
  after(callback: () => void): () => void {
    const wait = { endsAtMs: this.#clock.monotonicMs() + this.#waitMs, callback };
    this.#waits.add(wait);
    if (this.#cancelTimer === undefined && !this.#isEnding) this.#arm(this.#waitMs);
    return () => {
      // A timer that none waits for any more would keep the process up.
      if (this.#waits.delete(wait) && this.#waits.size === 0) this.#disarm();
    };
  }

  #arm(inMs: number): void {
    this.#cancelTimer = this.#clock.after(inMs, () => {
      this.#cancelTimer = undefined;
      this.#end(this.#clock.monotonicMs());
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #end(nowMs: number): void {
    this.#isEnding = true;
    for (const wait of this.#waits) {
      if (wait.endsAtMs > nowMs) break;
      this.#waits.delete(wait);
      wait.callback();
    }
    this.#isEnding = false;
    const [oldest] = this.#waits;
    if (oldest) this.#arm(Math.max(0, oldest.endsAtMs - nowMs));
  }
}

interface Wait {
  readonly endsAtMs: number;
  readonly callback: () => void;
}
