import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";

/** A pending delivery, as a claim looks for it. */
export interface DueDelivery {
  readonly seq: number;
  readonly dueAt: Instant;
  readonly isTest: boolean;
}

/**
 * Deliveries that nobody has claimed and that have no row in the table `pending` yet. They are kept in
 * memory, so that a claim needn't read all rows that are not rolled up.
 */
export class NewlyPending {
  readonly #bySubscription = new Map<number, Map<number, DueDelivery>>();

  constructor(db: DatabaseSync) {
    const rows = db.prepare(NEWLY_PENDING_SQL.newlyPending).all() as unknown as NewlyPendingRow[];
    for (const { subscription, seq, dueAt, isTest } of rows) {
      this.add(subscription, { seq, dueAt, isTest: isTest === 1 });
    }
  }

  add(subscription: number, delivery: DueDelivery): void {
    let deliveries = this.#bySubscription.get(subscription);
    if (!deliveries) this.#bySubscription.set(subscription, deliveries = new Map());
    deliveries.set(delivery.seq, delivery);
  }

  remove(subscription: number, seq: number): void {
    const deliveries = this.#bySubscription.get(subscription);
    if (deliveries?.delete(seq) && deliveries.size === 0) this.#bySubscription.delete(subscription);
  }

  of(subscription: number): DueDelivery[] {
    return [...this.#bySubscription.get(subscription)?.values() ?? []];
  }

  /** The deliveries up to this number have rows in `pending` now, or have ended. */
  rolledUp(until: number): void {
    for (const [subscription, deliveries] of this.#bySubscription) {
      for (const seq of deliveries.keys()) if (seq <= until) deliveries.delete(seq);
      if (deliveries.size === 0) this.#bySubscription.delete(subscription);
    }
  }
}

interface NewlyPendingRow {
  readonly subscription: number;
  readonly seq: number;
  readonly dueAt: Instant;
  readonly isTest: number;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const NEWLY_PENDING_SQL = {
  newlyPending: `
    select subscription, delivery as seq, due_at as dueAt, is_test as isTest
    from newly_pending order by delivery`,
} as const;
