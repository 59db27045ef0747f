import type { Instant } from "../domain/instant.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { TimeMarks } from "./time_marks.ts";

/** How often the wall clock is compared where nothing else wakes the scheduler. */
const CHECK_MS = 10_000;
/** How long it waits after the outbox could not be written or read. */
const PAUSE_MS = 5_000;

/** What following the clock asks of the scheduler. */
export interface ClockStepsPorts {
  readonly outbox: Pick<Outbox, "shiftDue">;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly timeMarks: TimeMarks;
  readonly log: Log;
  readonly isRunning: () => boolean;
  /** What is known in memory of when things are due moves, from an instant on. */
  readonly shift: (from: Instant, byMs: number) => void;
  /** What is known may be from before the step: everything is looked at anew. */
  readonly refresh: () => Promise<void>;
  /** Called at each check: whoever watches over the daemon hears it live. */
  readonly onBeat: (() => void) | undefined;
}

/** Where the wall clock is stepped, due times move with it, so that no wait gets shorter. */
export class ClockSteps {
  readonly #ports: ClockStepsPorts;
  /** Due times are being moved: nothing is read until they are, or it could be read as due. */
  #isShifting = false;
  #cancelCheck: (() => void) | undefined;

  constructor(ports: ClockStepsPorts) {
    this.#ports = ports;
  }

  get isShifting(): boolean {
    return this.#isShifting;
  }

  /** Compares the clocks every so often, until it is stopped. */
  watch(): void {
    this.#cancelCheck = this.#ports.clock.after(CHECK_MS, () => {
      this.follow();
      if (!this.#isShifting) void this.#ports.timeMarks.beat();
      this.#ports.onBeat?.();
      this.watch();
    });
  }

  stop(): void {
    this.#cancelCheck?.();
  }

  follow(): void {
    if (this.#isShifting || this.#ports.steady.steppedByMs() === 0) return;
    void this.#shiftDue();
  }

  async #shiftDue(): Promise<void> {
    this.#isShifting = true;
    while (!await this.#shiftOnce()) {
      await this.#pause();
      if (!this.#ports.isRunning()) return;
    }
    this.#isShifting = false;
    // What queues know may be from before the step, or from a recording that was under way then.
    while (this.#ports.isRunning() && !await this.#refreshed()) await this.#pause();
  }

  async #refreshed(): Promise<boolean> {
    try {
      await this.#ports.refresh();
      return true;
    } catch (error) {
      this.#ports.log.shiftFailed(0, error);
      return false;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#ports.clock.after(PAUSE_MS, resolve));
  }

  /** False where the outbox can't be written: then nothing has moved, neither here nor there. */
  async #shiftOnce(): Promise<boolean> {
    const { timeMarks, steady, log } = this.#ports;
    await timeMarks.look();
    const stepMs = steady.steppedByMs();
    if (stepMs === 0) return true;
    log.clockStepped(stepMs);
    // The outbox works in order: what was recorded before this moves, what comes after it needn't.
    const shifted = this.#ports.outbox.shiftDue(steady.now(), stepMs, timeMarks.after(stepMs));
    this.#move(stepMs);
    try {
      await shifted;
      return true;
    } catch (error) {
      this.#move(-stepMs);
      log.shiftFailed(stepMs, error);
      return false;
    }
  }

  #move(stepMs: number): void {
    const from = this.#ports.steady.now();
    this.#ports.steady.follow(stepMs);
    this.#ports.shift(from, stepMs);
  }
}
