import {
  type AttemptEnd,
  type Health,
  healthAfter,
  type HealthChange,
  UNTRIED,
} from "../domain/health.ts";
import type { Instant } from "../domain/instant.ts";
import type { Verdict } from "../domain/verdict.ts";
import type { NewEvent, Outbox } from "../outbox/outbox.ts";

/**
 * How every subscription's receiver is doing. Memory runs ahead of the outbox by what is on its way
 * there; where the outbox refuses that, what is stored counts again.
 */
export class HealthBoard {
  readonly #outbox: Outbox;
  readonly #health: Map<string, Health>;
  readonly #stored: Map<string, Health>;
  /** How many changes of a subscription are on their way to the outbox. */
  readonly #onTheWay = new Map<string, number>();

  constructor(outbox: Outbox, stored: ReadonlyMap<string, Health>) {
    this.#outbox = outbox;
    this.#health = new Map(stored);
    this.#stored = new Map(stored);
  }

  of(subscription: string): Health {
    return this.#health.get(subscription) ?? UNTRIED;
  }

  isPaused(subscription: string): boolean {
    return this.of(subscription).pausedAt !== undefined;
  }

  /** Takes an attempt into account; whoever records it does so within whileStoring(), in this turn. */
  afterAttempt(
    subscription: string,
    verdict: Verdict,
    end: AttemptEnd,
  ): { health: Health; change?: HealthChange } {
    const after = healthAfter(this.of(subscription), verdict, end);
    this.#health.set(subscription, after.health);
    return after;
  }

  /** Notes since when each subscription is known; whoever asks is told since when its state is so. */
  meet(subscriptions: readonly { readonly id: string }[], at: Instant): void {
    const strangers = subscriptions.filter(({ id }) => this.of(id).changedAt === undefined);
    this.switched(strangers, at);
  }

  /** Notes that the config has enabled or disabled subscriptions. */
  switched(subscriptions: readonly { readonly id: string }[], at: Instant): void {
    if (subscriptions.length === 0) return;
    for (const { id } of subscriptions) {
      this.#health.set(id, { ...this.of(id), changedAt: at });
      // Should it not be stored, the next change takes it along, or the next start notes it again.
      this.#stored.set(id, { ...this.#stored.get(id) ?? UNTRIED, changedAt: at });
    }
    const noted = this.#outbox.noteSwitched(subscriptions.map(({ id }) => id), at);
    for (const { id } of subscriptions) void this.whileStoring(id, () => noted).catch(() => {});
  }

  /** Stores the notices of it along. False where it was paused already. */
  async pause(
    subscription: string,
    action: HealthAction,
    notices: readonly NewEvent[],
  ): Promise<boolean> {
    if (this.isPaused(subscription)) return false;
    const { at, cause: reason } = action;
    const paused = { pausedAt: at, pausedReason: reason, changedAt: at };
    this.#health.set(subscription, { ...this.of(subscription), ...paused });
    const entry = { kind: "paused", subscription, ...action } as const;
    return await this.whileStoring(
      subscription,
      () => this.#outbox.pause({ subscription, at, reason, entry, notices }),
    );
  }

  /** False where it was not paused. */
  async resume(subscription: string, action: HealthAction): Promise<boolean> {
    if (!this.isPaused(subscription)) return false;
    const { at } = action;
    const { pausedAt: _, pausedReason: __, ...rest } = this.of(subscription);
    this.#health.set(subscription, { ...rest, changedAt: at });
    const entry = { kind: "resumed", subscription, ...action } as const;
    return await this.whileStoring(
      subscription,
      () => this.#outbox.resume({ subscription, at, entry }),
    );
  }

  /** Follows what memory has of a subscription to the outbox. */
  async whileStoring<Answer>(subscription: string, store: () => Promise<Answer>): Promise<Answer> {
    const health = this.of(subscription);
    this.#onTheWay.set(subscription, (this.#onTheWay.get(subscription) ?? 0) + 1);
    try {
      const answer = await store();
      this.#stored.set(subscription, health);
      return answer;
    } finally {
      this.#arrived(subscription);
    }
  }

  /** With the last change on its way stored or refused, memory and outbox are one again. */
  #arrived(subscription: string): void {
    const left = this.#onTheWay.get(subscription)! - 1;
    if (left > 0) return void this.#onTheWay.set(subscription, left);
    this.#onTheWay.delete(subscription);
    this.#health.set(subscription, this.#stored.get(subscription) ?? UNTRIED);
  }
}

/** What an operator did to a subscription, and when. */
export interface HealthAction {
  readonly cause: string;
  readonly by: string;
  readonly address?: string;
  readonly at: Instant;
}
