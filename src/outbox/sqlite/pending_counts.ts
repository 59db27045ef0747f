import type { DatabaseSync } from "node:sqlite";
import { PENDING_COUNTS } from "./reading.ts";

/** How many deliveries of each subscription are pending: counting their rows would walk them all. */
export class PendingCounts {
  readonly #bySubscription: Map<number, number>;

  constructor(db: DatabaseSync) {
    const rows = db.prepare(PENDING_COUNTS).all() as unknown as CountRow[];
    this.#bySubscription = new Map(rows.map(({ subscription, n }) => [subscription, n]));
  }

  get total(): number {
    return this.#bySubscription.values().reduce((sum, count) => sum + count, 0);
  }

  of(subscription: number): number {
    return this.#bySubscription.get(subscription) ?? 0;
  }

  /** Every subscription that has any. */
  all(): [subscription: number, count: number][] {
    return [...this.#bySubscription];
  }

  /** What a commit changed. */
  add(changes: ReadonlyMap<number, number>): void {
    for (const [subscription, by] of changes) {
      const count = this.of(subscription) + by;
      if (count === 0) this.#bySubscription.delete(subscription);
      else this.#bySubscription.set(subscription, count);
    }
  }
}

interface CountRow {
  readonly subscription: number;
  readonly n: number;
}
