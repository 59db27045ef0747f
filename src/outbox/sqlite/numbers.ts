import type { DatabaseSync } from "node:sqlite";

/** The number of an event, of a delivery and of an attempt. */
export interface RowNumbers {
  readonly event: number;
  readonly delivery: number;
  readonly attempt: number;
}

/**
 * Hands out the numbers of new rows. There is only one writer, so ids are known before the commit. A
 * number that a rollback takes back is not used again.
 */
export class Numbers implements RowNumbers {
  event: number;
  delivery: number;
  attempt: number;

  constructor(db: DatabaseSync) {
    const last = db.prepare(NUMBERS_SQL.last).get() as unknown as RowNumbers;
    this.event = last.event;
    this.delivery = last.delivery;
    this.attempt = last.attempt;
  }

  /** The last numbers that were handed out. */
  get last(): RowNumbers {
    const { event, delivery, attempt } = this;
    return { event, delivery, attempt };
  }
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const NUMBERS_SQL = {
  // Pruning may have deleted the last rows, and what is not rolled up is told by its number.
  last: `
    select max(event, coalesce((select max(seq) from events), 0)) as event,
      max(delivery, coalesce((select max(seq) from deliveries), 0)) as delivery,
      max(attempt, coalesce((select max(seq) from attempts), 0)) as attempt
    from rolled_up`,
} as const;
