import type { Event } from "../domain/event.ts";
import type { Match, Subscription } from "../domain/subscription.ts";
import { SubscriptionIndex } from "./subscription_index.ts";

/** The subscriptions of the current config, found by id or by event. */
export class Registry {
  #byId = new Map<string, Subscription>();
  #index = SubscriptionIndex.of([]);
  /** Sorted on first use, then kept: a client that lists 50 000 asks for 100 at a time. */
  #sortedIds: readonly string[] | undefined;

  constructor(subscriptions: readonly Subscription[]) {
    this.swap(subscriptions, SubscriptionIndex.of(subscriptions));
  }

  /** Replaces all subscriptions atomically. The index is built beforehand, in steps. */
  swap(subscriptions: readonly Subscription[], index: SubscriptionIndex): void {
    this.#byId = new Map(subscriptions.map((subscription) => [subscription.id, subscription]));
    this.#index = index;
    this.#sortedIds = undefined;
  }

  get all(): Iterable<Subscription> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  find(id: string): Subscription | undefined {
    return this.#byId.get(id);
  }

  /** At most `limit` ids that sort after `id`, in order. */
  idsAfter(id: string, limit: number): readonly string[] {
    const ids = this.#sortedIds ??= [...this.#byId.keys()].sort();
    let low = 0, high = ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ids[middle]! <= id) low = middle + 1;
      else high = middle;
    }
    return ids.slice(low, low + limit);
  }

  /** The subscriptions that get the event, in the config's order. */
  matching(event: Event): Subscription[] {
    return this.#index.matching(event);
  }

  /** The current index, for routing in steps; a later reload doesn't change it. */
  now(): Pick<SubscriptionIndex, "ask"> {
    return this.#index;
  }

  /** For every subscription, whether the event matches it, and if not, why. */
  explain(event: Event): { subscription: Subscription; match: Match }[] {
    return [...this.explaining(event)];
  }

  /** Like `explain`, one subscription at a time. */
  *explaining(event: Event): Iterable<{ subscription: Subscription; match: Match }> {
    const { match } = this.#index.ask(event);
    for (const subscription of this.#byId.values()) {
      yield { subscription, match: match(subscription) };
    }
  }
}
