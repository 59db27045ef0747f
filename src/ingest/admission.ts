import type { Clock } from "../runtime/clock.ts";

/** How many large requests are processed at once: one is stored while the next is read. */
const MAX_CONCURRENT = 2;
/** The longest pause. */
const MAX_PAUSE_MS = 500;
/** Once the first request in the queue has waited this long, new ones are refused. */
const MAX_WAIT_MS = 2_000;
/** Length of a pause, as a multiple of the time spent. */
const PAUSE_FACTOR = 1.5;
/** The factor grows by 1 for each 5 s that deliveries are late. */
const LAG_PER_FACTOR_MS = 5_000;
/** With this lag and a busy event loop, every request is refused. */
const MAX_LAG_MS = 30_000;
/** How often a probe measures the event loop. */
const PROBE_EVERY_MS = 2;
/** A probe's timer that fires later than this shows a busy event loop. */
const LATE_MS = 2;
/** After this many probes on time in a row, the event loop is idle. */
const IDLE_PROBES = 4;
/** Weight of the newest probe in the moving average. */
const PROBE_WEIGHT = 0.02;
/** Above this share of late probes the event loop is busy. */
const BUSY_SHARE = 0.8;

export interface AdmissionPorts {
  readonly clock: Clock;
  /** Whether due deliveries are waiting to be sent. */
  readonly isBehind: () => boolean;
  /** How late the deliveries being sent now are. */
  readonly lagMs: () => number;
}

/**
 * Shares the event loop between accepting events and sending them. While due deliveries wait, each
 * request is followed by a pause of 1.5 times the event loop's time it used, and more if deliveries
 * are late. The next large request queues until the pause ends; an idle event loop ends it early.
 * A large request is refused (503) if the queue is too slow. Every request is refused if the event
 * loop is busy and deliveries are 30 s late.
 */
export class Admission {
  readonly #ports: AdmissionPorts;
  readonly #queue: Waiting[] = [];
  #inProgress = 0;
  #pauseEndsAtMs = 0;
  #isPaused = false;
  #isMonitoring = false;
  #isStopped = false;
  /** Share of late probes, as an exponential moving average. */
  #lateShare = 0;

  constructor(ports: AdmissionPorts) {
    this.#ports = ports;
  }

  /** Records how much of the event loop's time a request used. */
  spent(ms: number): void {
    if (!this.#ports.isBehind()) return;
    const factor = PAUSE_FACTOR + this.#ports.lagMs() / LAG_PER_FACTOR_MS;
    this.#pauseEndsAtMs = Math.max(this.#pauseEndsAtMs, this.#ports.clock.monotonicMs()) +
      ms * factor;
  }

  /** Whether the event loop is busy and deliveries are late, so that new events would only wait. */
  get isOverloaded(): boolean {
    if (this.#ports.lagMs() < MAX_LAG_MS) return false;
    if (!this.#isMonitoring) void this.#monitor();
    return this.#lateShare > BUSY_SHARE;
  }

  /** Admits everything in the queue at once. */
  stop(): void {
    this.#isStopped = true;
    this.#admit();
  }

  /** Queues a large request. Resolves to true when it may start (then call `leave`), false if refused. */
  enter(): Promise<boolean> {
    const nowMs = this.#ports.clock.monotonicMs();
    const first = this.#queue[0];
    if (first && nowMs - first.queuedAtMs > MAX_WAIT_MS) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#queue.push({ queuedAtMs: nowMs, resolve });
      this.#admit();
    });
  }

  leave(): void {
    this.#inProgress--;
    this.#admit();
  }

  #admit(): void {
    if (this.#queue.length === 0) return;
    if (!this.#isStopped && (this.#isPaused || this.#inProgress >= MAX_CONCURRENT)) return;
    const nowMs = this.#ports.clock.monotonicMs();
    if (!this.#isStopped && this.#pauseEndsAtMs > nowMs) {
      return void this.#pause(nowMs + MAX_PAUSE_MS);
    }
    this.#inProgress++;
    this.#queue.shift()!.resolve(true);
    this.#admit();
  }

  async #pause(latestEndMs: number): Promise<void> {
    this.#isPaused = true;
    let idleProbes = 0;
    // Requests admitted earlier may use more time meanwhile: that makes this pause longer.
    do idleProbes = await this.#isLoopBusy() ? 0 : idleProbes + 1; while (
      !this.#isStopped && idleProbes < IDLE_PROBES &&
      this.#ports.clock.monotonicMs() < Math.min(this.#pauseEndsAtMs, latestEndMs)
    );
    this.#isPaused = false;
    this.#pauseEndsAtMs = 0;
    this.#admit();
  }

  /** Measures the event loop for as long as deliveries are too late. */
  async #monitor(): Promise<void> {
    this.#isMonitoring = true;
    this.#lateShare = 0;
    while (!this.#isStopped && this.#ports.lagMs() >= MAX_LAG_MS) {
      const isBusy = await this.#isLoopBusy();
      this.#lateShare += PROBE_WEIGHT * (Number(isBusy) - this.#lateShare);
    }
    this.#isMonitoring = false;
  }

  /** Whether a timer fires late because the event loop is doing something else. */
  async #isLoopBusy(): Promise<boolean> {
    const { clock } = this.#ports;
    const dueMs = clock.monotonicMs() + PROBE_EVERY_MS;
    await new Promise<void>((resolve) => clock.after(PROBE_EVERY_MS, resolve));
    return clock.monotonicMs() - dueMs > LATE_MS;
  }
}

interface Waiting {
  readonly queuedAtMs: number;
  resolve(isAdmitted: boolean): void;
}
