import type { Replacement } from "../config/diff.ts";
import type { Event } from "../domain/event.ts";
import type { Match, Subscription } from "../domain/subscription.ts";
import { SubscriptionIndex } from "./subscription_index.ts";

/** The subscriptions of the current config, found by id or by event. */
export class Registry {
  #all: readonly Subscription[];
  readonly #byId: Map<string, Subscription>;
  #index: SubscriptionIndex;
  /** Sorted when somebody asks for a page: who lists 50 000 asks for a hundred of them. */
  #sortedIds: readonly string[] | undefined;

  constructor(subscriptions: readonly Subscription[]) {
    this.#all = subscriptions;
    this.#byId = new Map(subscriptions.map((subscription) => [subscription.id, subscription]));
    this.#index = SubscriptionIndex.of(subscriptions);
  }

  /**
   * Puts another config's subscriptions in place, all at once: `replacement` is what differs, and their
   * index was built in steps.
   */
  swap(
    subscriptions: readonly Subscription[],
    { added, replaced, removed }: Replacement,
    index: SubscriptionIndex,
  ): void {
    this.#all = subscriptions;
    this.#index = index;
    for (const { id } of removed) this.#byId.delete(id);
    for (const { after } of replaced) this.#byId.set(after.id, after);
    for (const subscription of added) this.#byId.set(subscription.id, subscription);
    if (added.length + removed.length > 0) this.#sortedIds = undefined;
  }

  /** In the config's order. */
  get all(): Iterable<Subscription> {
    return this.#all;
  }

  get size(): number {
    return this.#all.length;
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
    for (const subscription of this.#all) {
      yield { subscription, match: match(subscription) };
    }
  }
}
