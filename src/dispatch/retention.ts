import type { Outbox } from "../outbox/outbox.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";

/** Rows a bite takes at the most: some milliseconds of a commit. */
export const BITE = 32;
/** Between two bites while there is more to take, at the least. */
const BETWEEN_BITES_MS = 10;
/** So many times as long as a bite took is rested after it: a tenth of the time at the most is pruning's. */
const RESTS = 9;
/** Between two rounds: half of the shortest time that anything is kept, within these. */
const MIN_BETWEEN_ROUNDS_MS = 1_000;
const MAX_BETWEEN_ROUNDS_MS = 60_000;

export interface RetentionPorts {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly log: Log;
  readonly keep: () => { readonly deliveredMs: number; readonly exhaustedMs: number };
}

/** Takes away what finished long enough ago, in bites so small that nobody notices. */
export class Retention {
  readonly #ports: RetentionPorts;
  #cancelTimer: (() => void) | undefined;
  #round = { deliveries: 0, events: 0 };
  #stopped = false;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#again(this.#betweenRoundsMs());
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
  }

  /** One bite; true where there may be more. */
  async bite(): Promise<boolean> {
    const now = this.#ports.steady.now();
    const { deliveredMs, exhaustedMs } = this.#ports.keep();
    const before = { delivered: now - deliveredMs, exhausted: now - exhaustedMs, limit: BITE };
    const pruned = await this.#ports.outbox.prune(before);
    this.#round.deliveries += pruned.deliveries;
    this.#round.events += pruned.events;
    return pruned.deliveries + pruned.events + pruned.others > 0;
  }

  #betweenRoundsMs(): number {
    const { deliveredMs, exhaustedMs } = this.#ports.keep();
    const half = Math.min(deliveredMs, exhaustedMs) / 2;
    return Math.min(Math.max(half, MIN_BETWEEN_ROUNDS_MS), MAX_BETWEEN_ROUNDS_MS);
  }

  #again(ms: number): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.after(ms, () => void this.#go());
  }

  async #go(): Promise<void> {
    const startedMs = this.#ports.clock.monotonicMs();
    try {
      if (await this.bite()) {
        const tookMs = this.#ports.clock.monotonicMs() - startedMs;
        return this.#again(Math.max(BETWEEN_BITES_MS, RESTS * tookMs));
      }
      if (this.#round.deliveries + this.#round.events > 0) this.#ports.log.pruned(this.#round);
    } catch (error) {
      this.#ports.log.pruningFailed(error);
    }
    this.#round = { deliveries: 0, events: 0 };
    this.#again(this.#betweenRoundsMs());
  }
}
