import type { Clock } from "./clock.ts";

/**
 * Waits of one and the same length, of which nearly all are taken back: they come to an end in the
 * order they began in, so one timer serves them all, where each of its own would cost more than what
 * it watches over. A ring of them rather than a set, since a set that is filled and emptied all the
 * time leaves its old tables to the collector.
 */
export class SharedTimer {
  readonly #clock: Clock;
  readonly #waitMs: number;
  /** Stands before the oldest and after the newest one. */
  readonly #ring: Wait = new Wait(Infinity, () => {});
  #cancelTimer: (() => void) | undefined;
  /** Those whose wait is over are being told. */
  #isEnding = false;

  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  /** Calls back once, when the wait that begins now is over; the answer takes it back. */
  after(callback: () => void, nowMs = this.#clock.monotonicMs()): () => void {
    const wait = new Wait(nowMs + this.#waitMs, callback);
    wait.join(this.#ring);
    if (this.#cancelTimer === undefined && !this.#isEnding) this.#arm(this.#waitMs);
    return () => {
      wait.leave();
      // A timer that none waits for any more would keep the process up.
      if (this.#ring.next === this.#ring) this.#disarm();
    };
  }

  /** Ends every wait at once. */
  endAll(): void {
    this.#disarm();
    this.#endUntil(Infinity);
  }

  #arm(inMs: number): void {
    this.#cancelTimer = this.#clock.after(inMs, () => {
      this.#cancelTimer = undefined;
      this.#endUntil(this.#clock.monotonicMs());
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #endUntil(nowMs: number): void {
    const newest = this.#ring.previous;
    this.#isEnding = true;
    for (let isLast = false; !isLast;) {
      const oldest = this.#ring.next;
      if (oldest === this.#ring || oldest.endsAtMs > nowMs) break;
      isLast = oldest === newest;
      oldest.leave();
      oldest.callback();
    }
    this.#isEnding = false;
    const { next } = this.#ring;
    if (next !== this.#ring) this.#arm(Math.max(0, next.endsAtMs - this.#clock.monotonicMs()));
  }
}

class Wait {
  readonly endsAtMs: number;
  readonly callback: () => void;
  previous: Wait = this;
  next: Wait = this;

  constructor(endsAtMs: number, callback: () => void) {
    this.endsAtMs = endsAtMs;
    this.callback = callback;
  }

  /** As the newest of a ring. */
  join(ring: Wait): void {
    this.previous = ring.previous;
    this.next = ring;
    this.previous.next = ring.previous = this;
  }

  /** Alone it stays as it is. */
  leave(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.previous = this.next = this;
  }
}
