import type { Settings } from "../config/settings.ts";
import type { Rate } from "../domain/duration.ts";
import type { Instant } from "../domain/instant.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { SubscriptionQueue } from "./subscription_queue.ts";

/**
 * Starts under a rate limit of a longer window are kept on the disk. Those of a shorter one are not: a
 * new process waits for one window instead.
 */
const SHORT_WINDOW_MS = 1_000;
/** A start is kept as this much later than now, for it begins once that is on the disk. */
const START_LEAD_MS = 1_000;

/** Keeps starts within their subscription's rate limit, also across a restart. */
export class RateLimits {
  readonly #outbox: Pick<Outbox, "noteStart" | "starts">;
  readonly #steady: SteadyClock;
  /** When this process took over from another, whose last starts are not known. */
  #tookOverAt = -Infinity;

  constructor(outbox: Pick<Outbox, "noteStart" | "starts">, steady: SteadyClock) {
    this.#outbox = outbox;
    this.#steady = steady;
  }

  /** Takes over from the process before. */
  async begin(
    { isTakingOver, queue }: {
      readonly isTakingOver: boolean;
      readonly queue: (id: string) => SubscriptionQueue;
    },
  ): Promise<void> {
    for (const [id, startedAt] of await this.#outbox.starts()) {
      queue(id).rememberStarts(startedAt);
    }
    if (isTakingOver) this.#tookOverAt = this.#steady.justAfter();
  }

  /** When the next start may be. */
  paceAt(queue: SubscriptionQueue, limit: Settings["rateLimit"]): Instant {
    const paceAt = queue.paceAt(limit);
    if (!limit || limit.perMs > SHORT_WINDOW_MS) return paceAt;
    return Math.max(paceAt, this.#tookOverAt + limit.perMs);
  }

  /** Counts a start; one that counts for long is on the disk before it begins, which is awaited. */
  noteStart(queue: SubscriptionQueue, limit: Settings["rateLimit"]): Promise<void> | undefined {
    if (limit === undefined) queue.forgetStarts();
    else if (limit.perMs > SHORT_WINDOW_MS) return this.#keepStart(queue, limit);
    else queue.noteStart(limit, this.#steady.justAfter());
  }

  async #keepStart(queue: SubscriptionQueue, limit: Rate): Promise<void> {
    const giveBack = queue.reserveStart();
    try {
      for (let leadMs = START_LEAD_MS, isKept = false; !isKept; leadMs *= 2) {
        const at = this.#steady.justAfter() + leadMs;
        await this.#outbox.noteStart({ subscription: queue.id, at, perMs: limit.perMs });
        // Where the disk took longer, it is kept again, as later.
        isKept = this.#steady.justAfter() <= at;
      }
    } finally {
      giveBack();
    }
    queue.noteStart(limit, this.#steady.justAfter());
  }

  /** The schedule follows a step of the wall clock. */
  shift(byMs: number): void {
    this.#tookOverAt += byMs;
  }
}
