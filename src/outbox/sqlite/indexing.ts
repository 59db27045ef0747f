import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { CreatedDelivery, DeliveryNumbers } from "./changes.ts";
import { IS_FRESH } from "./reading.ts";
import { ALL_TYPES } from "./schema.ts";
import { ADD_TO_COUNTS, prepareAll, type Statements } from "./statements.ts";

/** Events and deliveries together: taking in so many takes some eight milliseconds. */
export const BITE_ROWS = 2_048;
/**
 * The same while little is asked for: then each commit writes a dozen pages for a row or two anyway,
 * and nobody is to wait for eight milliseconds.
 */
const SMALL_BITE_ROWS = 256;
/** So many rows in a transaction, on the average since the last bite, are little. */
const FEW_ROWS = 4;

/** The last numbers of events and deliveries. */
export interface LastNumbers {
  readonly event: number;
  readonly delivery: number;
}

/** A fresh delivery that waits for its attempt, unclaimed. */
export interface WaitingDelivery {
  readonly seq: number;
  readonly due_at: Instant;
  readonly isTest: boolean;
}

/**
 * Has the indexes and counts take in what is fresh, some thousand rows at a time: each then writes a
 * page for many rows, where it would write one for every row. Until then those that wait unclaimed are
 * kept here.
 */
export class Indexing {
  readonly #sql: Statements<keyof typeof INDEXING_SQL>;
  readonly #biteRows: number;
  readonly #waiting = new Map<number, Map<number, WaitingDelivery>>();
  /** The last numbers that are taken in, as of the last commit. */
  #until: LastNumbers;
  #taken: LastNumbers;
  /** How many there were since the last bite. */
  #transactions = 0;

  constructor(db: DatabaseSync, biteRows: number) {
    this.#biteRows = biteRows;
    this.#sql = prepareAll(db, INDEXING_SQL);
    this.#until = this.#taken = this.#sql.until.get() as unknown as LastNumbers;
    const waiting = this.#sql.waiting.all() as unknown as CreatedDelivery[];
    for (const delivery of waiting) this.wait(delivery);
  }

  /** The last numbers that are taken in, as of the transaction that is open. */
  get taken(): LastNumbers {
    return this.#taken;
  }

  /** Whether the transaction that is open has taken anything in. */
  get takesIn(): boolean {
    return this.#taken !== this.#until;
  }

  /** Whether a delivery is in no index yet, of which so many attempts were made. */
  isFresh(seq: number, attemptCount: number): boolean {
    // What is to be attempted again is indexed, however new it is.
    return attemptCount === 0 && seq > this.#taken.delivery;
  }

  /** Whether enough is fresh for a bite. */
  isDue(last: LastNumbers): boolean {
    const { event, delivery } = this.#taken;
    const rows = last.event - event + last.delivery - delivery;
    if (rows >= this.#biteRows) return true;
    return rows >= SMALL_BITE_ROWS && rows <= this.#transactions * FEW_ROWS;
  }

  /**
   * Within a transaction: a bite of the oldest rows, and of the others what is not pending, for the
   * tallies and health count all that was attempted so far. One request may bring five bites at once.
   */
  takeInSome(last: LastNumbers): void {
    this.takeIn({
      event: Math.min(last.event, this.#taken.event + this.#biteRows),
      delivery: Math.min(last.delivery, this.#taken.delivery + this.#biteRows),
    });
  }

  /** Within a transaction: all rows up to these numbers, and all that is not pending. */
  takeIn(until: LastNumbers): void {
    const { event, delivery } = this.#taken;
    if (until.event === event && until.delivery === delivery) return;
    this.#sql.takeInCounts.run(delivery, until.delivery);
    this.#sql.takeInDeliveries.run(delivery, until.delivery);
    this.#sql.takeInEvents.run(event, until.event);
    this.#sql.moveOn.run(until.event, until.delivery);
    this.#taken = until;
  }

  committed(): void {
    this.#transactions++;
    if (!this.takesIn) return;
    this.#transactions = 0;
    this.#until = this.#taken;
    for (const [subscription, waiting] of this.#waiting) {
      for (const seq of waiting.keys()) if (seq <= this.#until.delivery) waiting.delete(seq);
      if (waiting.size === 0) this.#waiting.delete(subscription);
    }
  }

  rolledBack(): void {
    this.#taken = this.#until;
  }

  /** One that no attempt was made of is to be found by whoever claims next, if it is fresh. */
  wait({ subscription, seq, createdAt, cause }: CreatedDelivery): void {
    if (seq <= this.#until.delivery) return;
    const delivery = { seq, due_at: createdAt, isTest: cause === "test" };
    let ofSubscription = this.#waiting.get(subscription);
    if (!ofSubscription) this.#waiting.set(subscription, ofSubscription = new Map());
    ofSubscription.set(seq, delivery);
  }

  /** It was claimed, or has ended. */
  leave({ subscription, seq }: DeliveryNumbers): void {
    const ofSubscription = this.#waiting.get(subscription);
    if (ofSubscription?.delete(seq) && ofSubscription.size === 0) {
      this.#waiting.delete(subscription);
    }
  }

  /** What waits for a subscription, and is fresh. */
  waiting(subscription: number): Iterable<WaitingDelivery> {
    return this.#waiting.get(subscription)?.values() ?? [];
  }
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const INDEXING_SQL = {
  until: "select event, delivery from indexed_until",

  waiting: `
    select seq, subscription, created_at as createdAt, cause from deliveries
    where ${IS_FRESH} and state = 0 order by seq`,

  takeInCounts: `
    insert into counts (subscription, pending, delivered, exhausted, cancelled)
    select subscription, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3)
    from deliveries where seq > ? and fresh = 1 and (seq <= ? or state <> 0)
    group by subscription ${ADD_TO_COUNTS}`,

  takeInDeliveries: `
    update deliveries set fresh = 0 where seq > ? and fresh = 1 and (seq <= ? or state <> 0)`,

  takeInEvents: `
    insert into events_of_type (type, accepted_at, event)
    select iif(list = 'all', ${ALL_TYPES}, type), accepted_at, seq
    from events cross join (select 'all' as list union all select 'type')
    where seq > ? and seq <= ? order by 1, 2, 3`,

  moveOn: "update indexed_until set event = ?, delivery = ?",
} as const;
