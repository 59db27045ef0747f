import { setImmediate } from "node:timers";
import type { Change } from "../reader.ts";
import type { Applied, Store } from "./store.ts";
import type { Trust } from "./trust.ts";

/** So many changed deliveries are read at once. */
const READ_AT_ONCE = 500;

type Listener = (changes: readonly Change[]) => void;

/** Tells whoever watches what each commit changed. */
export class Watchers {
  readonly #store: Store;
  readonly #trust: Trust;
  readonly #listeners = new Set<Listener>();

  constructor(store: Store, trust: Trust) {
    this.#store = store;
    this.#trust = trust;
  }

  get areThere(): boolean {
    return this.#listeners.size > 0;
  }

  add(listener: Listener): () => void {
    // Of its own, so that one function can watch twice.
    const own: Listener = (changes) => listener(changes);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Nothing that goes wrong here undoes the commit, or may look as if it had. */
  async tell({ deliveries, subscriptions }: Applied): Promise<void> {
    const changed = [...deliveries];
    for (let from = 0; from < changed.length; from += READ_AT_ONCE) {
      if (from > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const some = changed.slice(from, from + READ_AT_ONCE);
      try {
        this.#tellAll(
          this.#store.deliveries(some).map((delivery) => ({ kind: "delivery", delivery })),
        );
      } catch (error) {
        this.#trust.judge(error);
      }
    }
    if (subscriptions.size === 0) return;
    this.#tellAll(
      Array.from(subscriptions, ([subscription, health]) => ({
        kind: "subscription",
        subscription,
        health,
        pending: this.#store.pendingOf(subscription),
      })),
    );
  }

  #tellAll(changes: readonly Change[]): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(changes);
      } catch {
        // Its own trouble.
      }
    }
  }
}
