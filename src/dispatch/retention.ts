import type { Outbox, Pruned } from "../outbox/outbox.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";

/** At most so many rows of each kind in a batch. */
export const BATCH_ROWS = 64;
/** A batch ends when it has held the loop for so long. */
const HOLD_MS = 4;
/** Between two batches while there is more to prune, at the least. */
const BETWEEN_BATCHES_MS = 10;
/**
 * Batches begin at least so many times as far apart as one holds the loop: a tenth of the loop's time
 * is pruning's. Waiting for the disk is not counted, for the loop is free meanwhile.
 */
const LOOP_SHARE = 10;
/** The same once a round takes so long that the backlog must be growing: a quarter. */
const LATE_LOOP_SHARE = 4;
const LATE_AFTER_MS = 10 * 60_000;
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

/** Deletes what finished long enough ago, in batches so short that nobody notices. */
export class Retention {
  readonly #ports: RetentionPorts;
  #cancelTimer: (() => void) | undefined;
  #round = { deliveries: 0, events: 0 };
  #roundStartedMs = 0;
  #stopped = false;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#nextRound();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
  }

  async #batch(): Promise<Pruned> {
    const { clock, steady, outbox, keep } = this.#ports;
    const pruned = await outbox.prune({
      ...keptTimes(steady, keep()),
      limit: BATCH_ROWS,
      hold: { maxMs: HOLD_MS, monotonicMs: () => clock.monotonicMs() },
    });
    this.#round.deliveries += pruned.deliveries;
    this.#round.events += pruned.events;
    return pruned;
  }

  #betweenRoundsMs(): number {
    const { deliveredMs, exhaustedMs } = this.#ports.keep();
    const half = Math.min(deliveredMs, exhaustedMs) / 2;
    return Math.min(Math.max(half, MIN_BETWEEN_ROUNDS_MS), MAX_BETWEEN_ROUNDS_MS);
  }

  #nextRound(): void {
    const waitMs = this.#betweenRoundsMs();
    this.#round = { deliveries: 0, events: 0 };
    this.#roundStartedMs = this.#ports.clock.monotonicMs() + waitMs;
    this.#again(waitMs);
  }

  #again(ms: number): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.after(ms, () => void this.#go());
  }

  async #go(): Promise<void> {
    const { clock, log } = this.#ports;
    const startedMs = clock.monotonicMs();
    try {
      const { mayHaveMore, heldMs } = await this.#batch();
      const endedMs = clock.monotonicMs();
      if (mayHaveMore) {
        const isLate = endedMs - this.#roundStartedMs > LATE_AFTER_MS;
        const apartMs = heldMs * (isLate ? LATE_LOOP_SHARE : LOOP_SHARE);
        return this.#again(Math.max(BETWEEN_BATCHES_MS, apartMs - (endedMs - startedMs)));
      }
      if (this.#round.deliveries + this.#round.events > 0) log.pruned(this.#round);
    } catch (error) {
      log.pruningFailed(error);
    }
    this.#nextRound();
  }
}

/** What is kept no longer, as of now. A clock that was set ahead has nothing pruned early. */
export function keptTimes(
  steady: SteadyClock,
  { deliveredMs, exhaustedMs }: ReturnType<RetentionPorts["keep"]>,
): { delivered: number; exhausted: number } {
  return { delivered: steady.ago(deliveredMs), exhausted: steady.ago(exhaustedMs) };
}
