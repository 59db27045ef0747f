import type { Event } from "../domain/event.ts";
import { type Match, matches, type Subscription } from "../domain/subscription.ts";

/** How many event types' subscriptions are remembered; publishers choose types, so it is bounded. */
const MAX_REMEMBERED_TYPES = 10_000;

/** The subscriptions of the config in force, found by id or by the event they want. */
export class Registry {
  #byId = new Map<string, Subscription>();
  #byType = new Map<string, readonly Subscription[]>();

  constructor(subscriptions: readonly Subscription[]) {
    this.swap(subscriptions);
  }

  /** Puts another config's subscriptions in place, all at once. */
  swap(subscriptions: readonly Subscription[]): void {
    this.#byId = new Map(subscriptions.map((subscription) => [subscription.id, subscription]));
    this.#byType = new Map();
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

  /** Who gets the event, in the config's order. */
  matching(event: Event): Subscription[] {
    return this.#wanting(event.type).filter((subscription) => matches(subscription, event).matches);
  }

  /** What every subscription has to say of the event. */
  explain(event: Event): { subscription: Subscription; match: Match }[] {
    return [...this.#byId.values()].map((subscription) => ({
      subscription,
      match: matches(subscription, event),
    }));
  }

  #wanting(type: string): readonly Subscription[] {
    const known = this.#byType.get(type);
    if (known) return known;
    const wanting = [...this.#byId.values()].filter(({ events }) =>
      events.some((pattern) => pattern.matches(type))
    );
    if (this.#byType.size >= MAX_REMEMBERED_TYPES) this.#byType.clear();
    this.#byType.set(type, wanting);
    return wanting;
  }
}
