import type { Instant } from "../domain/instant.ts";
import type { BootReading, TimeMark } from "./boot_time.ts";
import type { Clock } from "./clock.ts";

/** A wall clock that differs from the steady one by less is taken for right. */
const TOLERANCE_MS = 1_000;
/** So many steps ahead are remembered one by one. */
const MOST_STEPS = 100;

/** The clock was set ahead: what came before is dated earlier by so much than it would be now. */
interface StepAhead {
  /** The instant right after it. */
  at: Instant;
  byMs: number;
}

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
  /** The latest last; what was taken back later is left out. */
  readonly #stepsAhead: StepAhead[] = [];

  constructor(clock: Clock, startAt = clock.wall()) {
    this.#clock = clock;
    this.#wallAtStart = startAt;
    this.#monotonicAtStart = clock.monotonicMs();
  }

  /**
   * Goes on with the time of the process before, which left a mark, whatever the wall clock has become
   * since. By how much that was stepped, it tells as if it had been running all the while.
   */
  static carriedOn(clock: Clock, mark: TimeMark | undefined, boot: BootReading | undefined) {
    return new SteadyClock(clock, startAfter(mark, { clock, boot }));
  }

  /** What the next process is to go on from; `aheadMs` from now on, where it is about to follow a step. */
  mark(boot: BootReading | undefined, aheadMs = 0): TimeMark {
    const reachedAt = this.now() + aheadMs;
    if (!boot) return { reachedAt };
    const { id, leastMs, mostMs, afterMonotonicMs, beforeMonotonicMs } = boot;
    const at = this.#exact(beforeMonotonicMs) + aheadMs;
    // By then it had become no more than if it was read at once.
    return {
      reachedAt,
      boot: { id, at, leastMs, mostMs: mostMs + beforeMonotonicMs - afterMonotonicMs },
    };
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
    if (stepMs < 0) return this.#takeBack(-stepMs);
    this.#stepsAhead.push({ at: this.now(), byMs: stepMs });
    if (this.#stepsAhead.length <= MOST_STEPS) return;
    const [first] = this.#stepsAhead.splice(0, 1);
    this.#stepsAhead[0]!.byMs += first!.byMs;
  }

  #takeBack(ms: number): void {
    for (let leftMs = ms; leftMs > 0 && this.#stepsAhead.length > 0;) {
      const last = this.#stepsAhead.at(-1)!;
      const backMs = Math.min(leftMs, last.byMs);
      last.at -= backMs;
      last.byMs -= backMs;
      leftMs -= backMs;
      if (last.byMs === 0) this.#stepsAhead.pop();
    }
  }

  /**
   * The instant that was so long ago, as it was dated then: what came before the clock was set a year
   * ahead is not a year older for it. Steps before this process are not known.
   */
  ago(ms: number): Instant {
    let at = this.now() - ms;
    for (const step of this.#stepsAhead.toReversed()) {
      if (at >= step.at) break;
      at -= step.byMs;
    }
    return at;
  }

  /** How many steps ahead are remembered. */
  get stepsAhead(): number {
    return this.#stepsAhead.length;
  }

  /** How far it has followed in all: an instant from before is off by the difference. */
  get followedMs(): number {
    return this.#followedMs;
  }

  #exact(monotonicMs: number): number {
    return this.#wallAtStart + (monotonicMs - this.#monotonicAtStart);
  }
}

/**
 * When the schedule stands now. Where the machine has been running ever since, its own clock tells how
 * much time has passed, within some milliseconds. Where it has not, the wall clock is believed, unless
 * it has gone backwards.
 */
function startAfter(
  mark: TimeMark | undefined,
  { clock, boot }: { clock: Clock; boot: BootReading | undefined },
): Instant {
  const wall = clock.wall();
  if (!mark) return wall;
  if (!boot || boot.id !== mark.boot?.id) return Math.max(wall, mark.reachedAt);
  const sinceMs = clock.monotonicMs() - boot.afterMonotonicMs;
  const leastAt = mark.boot.at + boot.leastMs - mark.boot.mostMs;
  const mostAt = mark.boot.at + boot.mostMs - mark.boot.leastMs + sinceMs;
  // Another machine with the same name, or a time that was wound back with its snapshot.
  if (mostAt < mark.reachedAt) return Math.max(wall, mark.reachedAt);
  return leastAt <= wall && wall <= mostAt ? wall : Math.max(leastAt, mark.reachedAt);
}
