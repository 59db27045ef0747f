import type { DatabaseSync } from "node:sqlite";
import type { HealthKeeping } from "./health_keeping.ts";
import type { RowNumbers } from "./numbers.ts";
import { ALL_TYPES } from "./schema.ts";
import { ADD_TO_COUNTS, prepareAll, type Statements } from "./statements.ts";
import type { Tallying } from "./tallying.ts";

/**
 * Rolled up once so many rows are new, events, deliveries and attempts together: some 5 ms, and 12 where
 * they are of 1 000 subscriptions (December 2026).
 */
export const BATCH_ROWS = 2_048;
/** The same while little is asked for: nobody is to wait for so long then, and it costs little. */
const SMALL_BATCH_ROWS = 256;
/** So many rows in a transaction, on average since the last batch, are little. */
const FEW_ROWS = 6;

/** Those of the side tables that are written by statements of their own. */
interface SideTables {
  readonly tallying: Tallying;
  readonly health: HealthKeeping;
}

/**
 * Extends the side tables by the rows that were added since they were extended last: what waits, lists
 * by subscription and type, counts, tallies, last successes. Each of them then writes a page for many
 * rows, where it would write one for every row.
 */
export class RollingUp {
  readonly #sql: Statements<keyof typeof ROLLING_UP_SQL>;
  readonly #sideTables: SideTables;
  readonly #batchRows: number;
  /** How far the side tables reach, as of the last commit. */
  #committed: RowNumbers;
  #reached: RowNumbers;
  /** How many transactions there were since the last batch. */
  #transactions = 0;

  constructor(db: DatabaseSync, sideTables: SideTables, batchRows: number) {
    this.#sql = prepareAll(db, ROLLING_UP_SQL);
    this.#sideTables = sideTables;
    this.#batchRows = batchRows;
    this.#committed = this.#reached = this.#sql.reached.get() as unknown as RowNumbers;
  }

  /** How far the side tables reach, as of the open transaction. */
  get reached(): RowNumbers {
    return this.#reached;
  }

  /** Whether a pending delivery has its row in `pending`, of which so many attempts were made. */
  hasRow(seq: number, attemptCount: number): boolean {
    return attemptCount > 0 || seq <= this.#reached.delivery;
  }

  /** Whether the side tables lack any row. */
  isBehind(last: RowNumbers): boolean {
    return this.#rowsBehind(last) > 0;
  }

  #rowsBehind({ event, delivery, attempt }: RowNumbers): number {
    const reached = this.#reached;
    return event - reached.event + delivery - reached.delivery + attempt - reached.attempt;
  }

  /** Whether they lack enough rows for a batch. */
  isDue(last: RowNumbers): boolean {
    const rows = this.#rowsBehind(last);
    if (rows >= this.#batchRows) return true;
    return rows >= SMALL_BATCH_ROWS && rows <= this.#transactions * FEW_ROWS;
  }

  /** Within a transaction: a batch of the oldest rows. One request may bring five batches at once. */
  rollUpSome(last: RowNumbers): void {
    const { event, delivery, attempt } = this.#reached;
    this.rollUp({
      event: Math.min(last.event, event + this.#batchRows),
      delivery: Math.min(last.delivery, delivery + this.#batchRows),
      attempt: Math.min(last.attempt, attempt + this.#batchRows),
    });
  }

  /** Within a transaction: all rows up to these numbers. */
  rollUp(until: RowNumbers): void {
    const { event, delivery, attempt } = this.#reached;
    if (until.delivery > delivery) {
      const range = [delivery, until.delivery];
      this.#sql.listPending.run(until.delivery);
      this.#sql.listSubscriptions.run(...range);
      this.#sql.listTypes.run(...range);
      this.#sql.countDeliveries.run(...range);
    }
    if (until.event > event) this.#sql.listEvents.run(event, until.event);
    if (until.attempt > attempt) {
      const range = { after: attempt, until: until.attempt };
      this.#sql.countOutcomes.run(attempt, until.attempt);
      this.#sideTables.tallying.add(range);
      this.#sideTables.health.addSuccesses(range);
    }
    this.#sql.moveOn.run(until.event, until.delivery, until.attempt);
    this.#reached = until;
  }

  committed(): void {
    this.#transactions = this.#reached === this.#committed ? this.#transactions + 1 : 0;
    this.#committed = this.#reached;
  }

  rolledBack(): void {
    this.#reached = this.#committed;
  }
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const ROLLING_UP_SQL = {
  reached: "select event, delivery, attempt from rolled_up",

  listPending: `
    insert into pending (delivery, subscription, created_at, due_at, attempt_count, is_test)
    select delivery, subscription, created_at, due_at, attempt_count, is_test
    from newly_pending where delivery <= ? order by delivery`,

  listSubscriptions: `
    insert into deliveries_of_subscription (subscription, created_at, delivery)
    select subscription, created_at, seq from deliveries
    where seq > ? and seq <= ? order by 1, 2, 3`,

  listTypes: `
    insert into deliveries_of_type (type, created_at, delivery)
    select type, created_at, seq from deliveries
    where seq > ? and seq <= ? order by 1, 2, 3`,

  listEvents: `
    insert into events_of_type (type, accepted_at, event)
    select iif(list = 'all', ${ALL_TYPES}, type), accepted_at, seq
    from events cross join (select 'all' as list union all select 'type')
    where seq > ? and seq <= ? order by 1, 2, 3`,

  countDeliveries: `
    insert into counts (subscription, pending, delivered, exhausted, cancelled)
    select subscription, count(*), 0, 0, 0 from deliveries
    where seq > ? and seq <= ? group by subscription ${ADD_TO_COUNTS}`,

  countOutcomes: `
    insert into counts (subscription, pending, delivered, exhausted, cancelled)
    select d.subscription, -count(*), sum(a.state = 1), sum(a.state = 2), sum(a.state = 3)
    from attempts a cross join deliveries d on d.seq = a.delivery
    where a.seq > ? and a.seq <= ? and a.state between 1 and 3
    group by d.subscription ${ADD_TO_COUNTS}`,

  moveOn: "update rolled_up set event = ?, delivery = ?, attempt = ?",
} as const;
