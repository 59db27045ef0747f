import { type Health, healthAfter, type HealthChange, UNTRIED } from "../domain/health.ts";
import type { Instant } from "../domain/instant.ts";
import type { Verdict } from "../domain/verdict.ts";
import type { HistoryEntry, Outbox } from "../outbox/outbox.ts";

/** How every subscription's receiver is doing, kept in memory as the outbox has it. */
export class HealthBoard {
  readonly #outbox: Outbox;
  readonly #health: Map<string, Health>;

  constructor(outbox: Outbox, stored: ReadonlyMap<string, Health>) {
    this.#outbox = outbox;
    this.#health = new Map(stored);
  }

  of(subscription: string): Health {
    return this.#health.get(subscription) ?? UNTRIED;
  }

  isPaused(subscription: string): boolean {
    return this.of(subscription).pausedAt !== undefined;
  }

  /** Takes an attempt into account; whoever records the attempt stores the answer with it. */
  afterAttempt(
    subscription: string,
    verdict: Verdict,
    facts: { succeeded: boolean; at: Instant },
  ): { health: Health; change?: HealthChange } {
    const after = healthAfter(this.of(subscription), verdict, facts);
    this.#health.set(subscription, after.health);
    return after;
  }

  /** False where it was paused already. */
  async pause(subscription: string, deed: HealthDeed): Promise<boolean> {
    if (this.isPaused(subscription)) return false;
    const { at, cause } = deed;
    const paused = { pausedAt: at, pausedReason: cause, changedAt: at };
    const health = { ...this.of(subscription), ...paused };
    await this.#store(subscription, health, { kind: "paused", subscription, ...deed });
    return true;
  }

  /** False where it was not paused. */
  async resume(subscription: string, deed: HealthDeed): Promise<boolean> {
    if (!this.isPaused(subscription)) return false;
    const { pausedAt: _, pausedReason: __, ...rest } = this.of(subscription);
    const health = { ...rest, changedAt: deed.at };
    await this.#store(subscription, health, { kind: "resumed", subscription, ...deed });
    return true;
  }

  /** Stores a health that memory has already, where the attempt that led to it left no record. */
  async keep(subscription: string): Promise<void> {
    await this.#outbox.setHealth(subscription, this.of(subscription));
  }

  async #store(subscription: string, health: Health, entry: HistoryEntry): Promise<void> {
    const before = this.of(subscription);
    this.#health.set(subscription, health);
    try {
      await this.#outbox.setHealth(subscription, health, entry);
    } catch (error) {
      this.#health.set(subscription, before);
      throw error;
    }
  }
}

/** What an operator did to a subscription, and when. */
export interface HealthDeed {
  readonly cause: string;
  readonly by: string;
  readonly at: Instant;
}
