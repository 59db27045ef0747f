import { formatInstant, type Instant } from "../../domain/instant.ts";
import { type Bytes, toText } from "./bytes.ts";
import { isJson } from "./damage.ts";
import { deliveryId } from "./delivery_id.ts";
import { ALL_TYPES, STATES } from "./schema.ts";
import type { Row } from "./sqlite_thread.ts";

/** One promise: what breaks it, and how that is said. */
export interface Check {
  /**
   * Selects the rows that break a promise, of those from `:from` to `:to`. All that it compares is read
   * at once, so that what changes between two slices is no fault.
   */
  readonly sql: string;
  /** Says of one which and how. */
  readonly say: (row: Row) => string;
  /** Looks once more at a row that was selected. */
  readonly isFault?: (row: Row) => boolean;
}

function delivery(row: Row): string {
  const id = deliveryId({ createdAt: row.created_at as Instant, seq: row.seq as number });
  return `delivery ${id}`;
}

function counted(row: Row, prefix: string): string {
  return STATES.map((state) => `${row[prefix + state]} ${state}`).join(", ");
}

function event(row: Row): string {
  return `event "${toText(row.id as Bytes)}"`;
}

/** The file itself: the b-trees of one table and its indexes. SQLite can't divide that further. */
export const STRUCTURE: Check = {
  sql: "select integrity_check from pragma_integrity_check(:table) where integrity_check <> 'ok'",
  say: (row) => `the file is damaged: ${row.integrity_check}`,
};

/** The same without comparing indexes with their tables: a quarter of the time. */
export const QUICK_STRUCTURE: Check = {
  sql:
    "select quick_check as integrity_check from pragma_quick_check(:table) where quick_check <> 'ok'",
  say: STRUCTURE.say,
};

/** A reference that leads nowhere. */
export function referenceCheck({ child, column, parent, key }: Reference): Check {
  return {
    sql: `
      select c.rowid from "${child}" c
      where c.rowid between :from and :to and c."${column}" is not null
        and not exists (select 1 from "${parent}" p where p."${key ?? "rowid"}" = c."${column}")`,
    say: (row) => `row ${row.rowid} of ${child} refers to a row of ${parent} that is gone`,
  };
}

/** A foreign key, as the schema declares it. */
export interface Reference {
  readonly child: string;
  readonly column: string;
  readonly parent: string;
  /** Null where it is the parent's own number. */
  readonly key: string | null;
}

export const REFERENCES = `
  select t.name as child, f."from" as "column", f."table" as parent, f."to" as "key"
  from pragma_table_list t join pragma_foreign_key_list(t.name) f
  where t.schema = 'main' and t.type = 'table' and t.wr = 0`;

export const EVENT_CHECKS: readonly Check[] = [
  {
    sql: `
      select e.id, e.delivery_count, (select count(*) from deliveries where event = e.seq) as found
      from events e where e.seq between :from and :to and found <> e.delivery_count`,
    say: (row) =>
      `${
        event(row)
      } has ${row.found} deliveries on record where ${row.delivery_count} were stored: ` +
      "some were dropped silently",
  },
  {
    sql: `
      select e.id from events e, indexed_until u
      where e.seq between :from and :to and e.seq <= u.event and (
        select count(*) from events_of_type t
        where t.type in (e.type, ${ALL_TYPES}) and t.accepted_at = e.accepted_at
          and t.event = e.seq
      ) <> 2`,
    say: (row) => `${event(row)} is not among all events, or not among those of its type`,
  },
  {
    // No index keeps them apart: the writer does.
    sql: `
      select e.id from events e
      where e.seq between :from and :to and e.source is null and exists (
        select 1 from events o indexed by events_by_id
        where o.source is null and o.id = e.id and o.seq < e.seq
          and coalesce(o.publisher, x'') = coalesce(e.publisher, x'')
      )`,
    say: (row) => `${event(row)} is stored twice for one publisher`,
  },
];

/** That what a table keeps as JSON still is. */
export function jsonCheck(table: string, columns: readonly string[]): Check {
  const isBroken = (column: string) => `json_valid(cast(${column} as text)) = 0`;
  const broken = (row: Row) =>
    columns.filter((column) => row[column] !== null && !isJson(toText(row[column] as Bytes)));
  return {
    sql: `select rowid as number, ${columns.join(", ")} from ${table}
      where rowid between :from and :to and (${columns.map(isBroken).join(" or ")})`,
    isFault: (row) => broken(row).length > 0,
    say: (row) =>
      `row ${row.number} of ${table} is damaged: ${
        broken(row).join(" and ")
      } is not valid JSON any more`,
  };
}

/** Of deliveries, each with its attempts. */
export const DELIVERY_CHECKS: readonly Check[] = [
  {
    sql: `
      select seq, created_at, state from deliveries
      where seq between :from and :to and state not between 0 and 3`,
    say: (row) => `${delivery(row)} is in no known state: ${row.state}`,
  },
  {
    sql: `
      select seq, created_at from deliveries
      where seq between :from and :to and state = 0 and due_at is null`,
    say: (row) => `${delivery(row)} is pending and never due: it would not be attempted again`,
  },
  {
    sql: `
      select seq, created_at from deliveries
      where seq between :from and :to and state = 0 and finished_at is not null`,
    say: (row) => `${delivery(row)} is pending and finished at the same time`,
  },
  {
    sql: `
      select seq, created_at, state from deliveries
      where seq between :from and :to and state <> 0 and due_at is not null`,
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]} and yet due`,
  },
  {
    sql: `
      select seq, created_at, state from deliveries
      where seq between :from and :to and state <> 0 and finished_at is null`,
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]}, nobody knows since when`,
  },
  {
    sql: `
      select seq, created_at, state from deliveries
      where seq between :from and :to and state in (2, 3) and reason is null`,
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]} without a reason`,
  },
  {
    sql: `
      select d.seq, d.created_at, d.attempt_count, count(a.number) as found,
        coalesce(max(a.number), 0) as highest
      from deliveries d left join attempts a on a.delivery = d.seq
      where d.seq between :from and :to
      group by d.seq having found <> d.attempt_count or highest <> d.attempt_count`,
    say: (row) =>
      `${delivery(row)} counts ${row.attempt_count} attempts, and has ${row.found} on record, ` +
      `the last of them number ${row.highest}`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries d left join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.seq between :from and :to and d.state = 1 and d.reason is null
        and coalesce(a.succeeded, 0) = 0`,
    say: (row) => `${delivery(row)} is delivered, but its last attempt on record did not succeed`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries d join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.seq between :from and :to and d.state = 0 and a.succeeded = 1`,
    say: (row) => `${delivery(row)} is pending, though its last attempt succeeded`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries d join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.seq between :from and :to and d.last_status is not a.status`,
    say: (row) => `${delivery(row)} has another last status than its last attempt`,
  },
  {
    sql: `
      select d.seq, d.created_at from deliveries d, indexed_until u
      where d.seq between :from and :to and d.fresh = 1 and d.seq <= u.delivery`,
    say: (row) => `${delivery(row)} is in no index: it would not be listed or attempted`,
  },
];

/** Of events_of_type, whose rows have no number: those after one place, up to another. */
export const LIST_CHECK: Check = {
  sql: `
    select t.event from events_of_type t left join events e on e.seq = t.event
    where (t.type, t.accepted_at, t.event) > (:type, :at, :event)
      and (t.type, t.accepted_at, t.event) <= (:toType, :toAt, :toEvent)
      and (t.type not in (e.type, ${ALL_TYPES}) or e.accepted_at is not t.accepted_at)`,
  say: (row) => `event number ${row.event} is listed by a type or time that it does not have`,
};

/** The place that is so many rows after another; none where there are fewer. */
export const LIST_SLICE = `
  select type, accepted_at as at, event from events_of_type
  where (type, accepted_at, event) > (:type, :at, :event)
  order by type, accepted_at, event limit 1 offset :rows - 1`;

/** Of all deliveries at once, for what is counted changes with every one of them. */
export const COUNTS_CHECK: Check = {
  sql: `
    select * from (
      select s.name,
        coalesce(c.pending, 0) + coalesce(f.fresh_pending, 0) as pending,
        coalesce(f.pending, 0) as found_pending,
        coalesce(c.delivered, 0) + coalesce(f.fresh_delivered, 0) as delivered,
        coalesce(f.delivered, 0) as found_delivered,
        coalesce(c.exhausted, 0) + coalesce(f.fresh_exhausted, 0) as exhausted,
        coalesce(f.exhausted, 0) as found_exhausted,
        coalesce(c.cancelled, 0) + coalesce(f.fresh_cancelled, 0) as cancelled,
        coalesce(f.cancelled, 0) as found_cancelled
      from subscriptions s
        left join counts c on c.subscription = s.id
        left join (
          select subscription,
            sum(state = 0) as pending, sum(state = 0 and fresh = 1) as fresh_pending,
            sum(state = 1) as delivered, sum(state = 1 and fresh = 1) as fresh_delivered,
            sum(state = 2) as exhausted, sum(state = 2 and fresh = 1) as fresh_exhausted,
            sum(state = 3) as cancelled, sum(state = 3 and fresh = 1) as fresh_cancelled
          from deliveries group by subscription
        ) f on f.subscription = s.id
    )
    where pending <> found_pending or delivered <> found_delivered
      or exhausted <> found_exhausted or cancelled <> found_cancelled`,
  say: (row) =>
    `subscription "${toText(row.name as Bytes)}" counts ${counted(row, "")} ` +
    `where ${counted(row, "found_")} are on record`,
};

/** What cannot be told from a step of the wall clock, by which all instants are kept. */
export const CLOCK_CHECKS: readonly Check[] = [
  {
    // One millisecond each for the rounding of the three. The attempt that ends a delivery ends with
    // it; one more may be under way when it is cancelled.
    sql: `
      select d.seq, d.created_at, d.state, d.finished_at, count(*) as later
      from deliveries d join attempts a on a.delivery = d.seq
      where d.seq between :from and :to and a.started_at + a.duration_ms > d.finished_at + 3
      group by d.seq having later > (d.state = 3)`,
    say: (row) =>
      `${delivery(row)} was ${STATES[row.state as number]} at ${
        formatInstant(row.finished_at as Instant)
      }, and yet ${row.later} of its attempts ended later` +
      ": the clock was set back, or it did not wait for them",
  },
  {
    // One millisecond each for the rounding of start and length.
    sql: `
      select d.seq, d.created_at, b.number, b.started_at, a.started_at + a.duration_ms as ended_at
      from deliveries d
        cross join attempts a on a.delivery = d.seq
        cross join attempts b on b.delivery = d.seq and b.number = a.number + 1
      where d.seq between :from and :to and b.started_at + 2 < a.started_at + a.duration_ms`,
    say: (row) =>
      `${delivery(row)} began attempt ${row.number} at ${
        formatInstant(row.started_at as Instant)
      }, ` +
      `before the one before it ended at ${formatInstant(row.ended_at as Instant)}` +
      ": the clock was set back, or they ran at once",
  },
];
