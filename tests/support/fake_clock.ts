import type { Instant } from "../../src/domain/instant.ts";
import type { BootReading } from "../../src/runtime/boot_time.ts";
import type { Clock } from "../../src/runtime/clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that the test advances. The wall clock can be set; the monotonic time only increases. */
export class FakeClock implements Clock {
  #wall: Instant;
  #monotonicMs = 0;
  #timers: Timer[] = [];
  /** Identifies the boot of the machine; undefined if unknown. */
  bootId: string | undefined = "boot-1";
  #asleepMs = 0;

  constructor(startAt: Instant = Date.UTC(2024, 2, 15, 10, 30)) {
    this.#wall = startAt;
  }

  wall(): Instant {
    return this.#wall;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#monotonicMs + Math.max(0, ms), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Advances the time, and fires due timers in order. */
  advance(ms: number): void {
    const until = this.#monotonicMs + ms;
    for (;;) {
      const next = this.#timers.reduce<Timer | undefined>(
        (first, timer) => timer.at <= until && (!first || timer.at < first.at) ? timer : first,
        undefined,
      );
      if (!next) break;
      this.#goTo(Math.max(next.at, this.#monotonicMs));
      this.#timers = this.#timers.filter((timer) => timer !== next);
      next.callback();
    }
    this.#goTo(until);
  }

  /** Sets the wall clock forward or back, like an administrator or NTP. */
  step(ms: number): void {
    this.#wall += ms;
  }

  boot(): Promise<BootReading | undefined> {
    if (this.bootId === undefined) return Promise.resolve(undefined);
    const ms = this.#monotonicMs + this.#asleepMs, now = this.#monotonicMs;
    return Promise.resolve({
      id: this.bootId,
      leastMs: ms,
      mostMs: ms,
      afterMonotonicMs: now,
      beforeMonotonicMs: now,
    });
  }

  /** The machine sleeps: the monotonic clock stops, all others continue. */
  sleep(ms: number): void {
    this.#wall += ms;
    this.#asleepMs += ms;
  }

  #goTo(monotonicMs: number): void {
    this.#wall += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}
