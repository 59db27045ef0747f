import type { Instant } from "../domain/instant.ts";
import type { Clock } from "./clock.ts";

/** A wall clock that differs from the steady one by less is taken for right. */
const TOLERANCE_MS = 1_000;

/**
 * The schedule's time: the wall clock as it was at the start, carried on by the monotonic clock. A
 * step of the wall clock does not move it, so nothing that waits for it can start early or get
 * stuck. Once told to, it follows the step, and whoever keeps due times moves them by as much.
 */
export class SteadyClock {
  readonly #clock: Clock;
  #wallAtStart: Instant;
  #monotonicAtStart: number;
  #followedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallAtStart = clock.wall();
    this.#monotonicAtStart = clock.monotonicMs();
  }

  /** The whole millisecond that has begun, now or then: what is due at it may start. */
  now(monotonicMs = this.#clock.monotonicMs()): Instant {
    return Math.floor(this.#exact(monotonicMs));
  }

  /** The next whole millisecond, of now or then: a wait counted from it is never short. */
  justAfter(monotonicMs = this.#clock.monotonicMs()): Instant {
    return Math.ceil(this.#exact(monotonicMs));
  }

  /** How far the wall clock was stepped since the last follow; 0 where it goes as it should. */
  steppedByMs(): number {
    const stepMs = Math.round(this.#clock.wall() - this.#exact(this.#clock.monotonicMs()));
    return Math.abs(stepMs) < TOLERANCE_MS ? 0 : stepMs;
  }

  follow(stepMs: number): void {
    this.#wallAtStart += stepMs;
    this.#followedMs += stepMs;
  }

  /** How far it has followed in all: an instant from before is off by the difference. */
  get followedMs(): number {
    return this.#followedMs;
  }

  #exact(monotonicMs: number): number {
    return this.#wallAtStart + (monotonicMs - this.#monotonicAtStart);
  }
}
