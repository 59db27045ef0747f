import type { Outbox } from "../outbox/outbox.ts";
import type { BootReading, TimeMark } from "../runtime/boot_time.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";

export interface TimeMarksPorts {
  readonly outbox: Pick<Outbox, "keepTime">;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly log: Log;
  /** What the process before left; undefined where there was none. */
  readonly last: TimeMark | undefined;
  readonly boot: BootReading | undefined;
  /** How many transactions there were so far. */
  readonly commits: () => number;
}

/**
 * Leaves marks of where the schedule's time stands, so that the next process goes on with it even if
 * the wall clock was set in between.
 */
export class TimeMarks {
  readonly #ports: TimeMarksPorts;
  #boot: BootReading | undefined;
  /** How many transactions there were at the last mark. */
  #commits = -1;
  #isKeeping = false;

  constructor(ports: TimeMarksPorts) {
    this.#ports = ports;
    this.#boot = ports.boot;
  }

  /** Whether another process worked on this outbox before. */
  get isTakingOver(): boolean {
    return this.#ports.last !== undefined;
  }

  /** Looks at the machine's own clock, before a mark that is to go by it anew. */
  async look(): Promise<void> {
    this.#boot = await this.#ports.clock.boot?.();
  }

  /** The mark of when the schedule will have followed a step. */
  after(stepMs: number): TimeMark {
    return this.#ports.steady.mark(this.#boot, stepMs);
  }

  /** Leaves a mark. One that can't be stored is made good by the next. */
  async keep(): Promise<void> {
    const { outbox, steady, log, commits } = this.#ports;
    this.#isKeeping = true;
    try {
      await outbox.keepTime(steady.mark(this.#boot));
      this.#commits = commits();
    } catch (error) {
      log.timeNotKept(error);
    } finally {
      this.#isKeeping = false;
    }
  }

  /** Leaves one where anything was stored since the last; what is idle writes nothing. */
  async beat(): Promise<void> {
    if (!this.#isKeeping && this.#ports.commits() !== this.#commits) await this.keep();
  }
}
