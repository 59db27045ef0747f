import type { Clock } from "../runtime/clock.ts";

/** How many large requests are worked on at once: one is stored while the next is read. */
const AT_ONCE = 2;
/** No request waits longer for the loop to be shared. */
const LONGEST_REST_MS = 500;
/** Once the first in line has waited so long, whoever comes is to come again later. */
const LONGEST_WAIT_MS = 2_000;
/** How long a rest is for what was taken, and for how long a lag it is longer by as much again. */
const RESTS = 1.5, LAG_PER_REST_MS = 5_000;
/** From here on a busy loop takes in nothing more. */
const LONGEST_LAG_MS = 30_000;
/** How often the loop is looked at, and how much later than that it is busy with something. */
const LOOK_EVERY_MS = 2, LATE_MS = 2;
/** After so many looks in a row that came in time there is nothing else to do. */
const QUIET_LOOKS = 4;
/** What the last look counts for, and from which share of late ones on the loop is busy. */
const LOOK_WEIGHT = 0.02, BUSY = 0.8;

export interface AdmissionPorts {
  readonly clock: Clock;
  /** Whether deliveries that are due wait to be sent. */
  readonly isBehind: () => boolean;
  /** How long those that are sent now have waited. */
  readonly lagMs: () => number;
}

/**
 * Shares the loop between taking events in and sending them. While deliveries wait to be sent, what a
 * request has taken of the loop's time is followed by a rest of one and a half times that, longer the
 * longer deliveries have waited, which the next large request waits for in line; a loop with nothing to
 * do ends it. Who would wait for too long is refused (503), and so is everybody where the loop is busy
 * and deliveries have waited for half a minute.
 */
export class Admission {
  readonly #ports: AdmissionPorts;
  readonly #line: Waiting[] = [];
  #atWork = 0;
  #freeAtMs = 0;
  #isResting = false;
  #isWatching = false;
  #isStopped = false;
  /** The share of looks that came late, the last ones counting most. */
  #busy = 0;

  constructor(ports: AdmissionPorts) {
    this.#ports = ports;
  }

  /** So much of the loop's time went into taking events in. */
  spent(ms: number): void {
    if (!this.#ports.isBehind()) return;
    const rests = RESTS + this.#ports.lagMs() / LAG_PER_REST_MS;
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#ports.clock.monotonicMs()) + ms * rests;
  }

  /** Whether more would only wait: the loop is busy, and what is sent now has waited for long. */
  get isOverloaded(): boolean {
    if (this.#ports.lagMs() < LONGEST_LAG_MS) return false;
    if (!this.#isWatching) void this.#watch();
    return this.#busy > BUSY;
  }

  /** Whoever still waits in line is let go on at once. */
  stop(): void {
    this.#isStopped = true;
    this.#letIn();
  }

  /** Resolves when a large request may be worked on, until it leaves; to false where it is refused. */
  enter(): Promise<boolean> {
    const nowMs = this.#ports.clock.monotonicMs();
    const first = this.#line[0];
    if (first && nowMs - first.sinceMs > LONGEST_WAIT_MS) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#line.push({ sinceMs: nowMs, resolve });
      this.#letIn();
    });
  }

  leave(): void {
    this.#atWork--;
    this.#letIn();
  }

  #letIn(): void {
    if (this.#line.length === 0) return;
    if (!this.#isStopped && (this.#isResting || this.#atWork >= AT_ONCE)) return;
    const nowMs = this.#ports.clock.monotonicMs();
    if (!this.#isStopped && this.#freeAtMs > nowMs) return void this.#rest(nowMs + LONGEST_REST_MS);
    this.#atWork++;
    this.#line.shift()!.resolve(true);
    this.#letIn();
  }

  async #rest(atMostUntilMs: number): Promise<void> {
    this.#isResting = true;
    let quietLooks = 0;
    // What was let in before may go on taking time, which this rest then makes up for as well.
    do quietLooks = await this.#isLoopBusy() ? 0 : quietLooks + 1; while (
      !this.#isStopped && quietLooks < QUIET_LOOKS &&
      this.#ports.clock.monotonicMs() < Math.min(this.#freeAtMs, atMostUntilMs)
    );
    this.#isResting = false;
    this.#freeAtMs = 0;
    this.#letIn();
  }

  /** Keeps an eye on the loop for as long as deliveries have waited for too long. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    this.#busy = 0;
    while (!this.#isStopped && this.#ports.lagMs() >= LONGEST_LAG_MS) {
      const isBusy = await this.#isLoopBusy();
      this.#busy += LOOK_WEIGHT * (Number(isBusy) - this.#busy);
    }
    this.#isWatching = false;
  }

  /** Whether a timer comes late, for the loop has something else to do. */
  async #isLoopBusy(): Promise<boolean> {
    const { clock } = this.#ports;
    const dueMs = clock.monotonicMs() + LOOK_EVERY_MS;
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
    return clock.monotonicMs() - dueMs > LATE_MS;
  }
}

interface Waiting {
  readonly sinceMs: number;
  resolve(isAdmitted: boolean): void;
}
