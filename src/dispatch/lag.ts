import type { Instant } from "../domain/instant.ts";
import type { Claim } from "../outbox/outbox.ts";
import type { SubscriptionQueue } from "./subscription_queue.ts";

/** It is looked at once in so many starts how long a delivery has waited, and holds for so long. */
const STARTS_A_LOOK = 16, HOLDS_MS = 1_000;

/**
 * How long first attempts have waited for the daemon alone. What a receiver, a pause or a rate limit
 * keeps waiting is not counted, nor are retries.
 */
export class Lag {
  #ms = 0;
  #at: Instant = 0;
  #starts = 0;

  msAt(now: Instant): number {
    return now - this.#at < HOLDS_MS ? this.#ms : 0;
  }

  /** An attempt starts. */
  note(
    queue: SubscriptionQueue,
    { delivery: { attemptCount, cause, createdAt } }: Claim,
    now: () => Instant,
  ): void {
    if (++this.#starts % STARTS_A_LOOK !== 0 || attemptCount > 0 || cause !== "event") return;
    this.#at = now();
    this.#ms = Math.max(0, this.#at - Math.max(createdAt, queue.freeSince));
  }
}
