import { formatInstant, type Instant } from "../../domain/instant.ts";
import { type Bytes, toText } from "./bytes.ts";
import { isJson } from "./damage.ts";
import { deliveryId } from "../ids.ts";
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
      select e.id from events e, rolled_up u
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

/** Of deliveries, each with its outcome, its row in `pending` and its attempts. */
export const DELIVERY_CHECKS: readonly Check[] = [
  {
    sql: `
      select d.seq, d.created_at from deliveries d, rolled_up u
      where d.seq between :from and :to and d.seq <= u.delivery
        and not exists (select 1 from outcomes o where o.delivery = d.seq)
        and not exists (select 1 from pending p where p.delivery = d.seq)`,
    say: (row) => `${delivery(row)} is pending and never due: it would not be attempted again`,
  },
  {
    sql: `
      select d.seq, d.created_at, o.state
      from deliveries d join outcomes o on o.delivery = d.seq join pending p on p.delivery = d.seq
      where d.seq between :from and :to`,
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]} and yet due`,
  },
  {
    sql: `
      select d.seq, d.created_at, o.state
      from deliveries d join outcomes o on o.delivery = d.seq
      where d.seq between :from and :to and o.state not between 1 and 3`,
    say: (row) => `${delivery(row)} is in no known state: ${row.state}`,
  },
  {
    sql: `
      select d.seq, d.created_at, o.state
      from deliveries d join outcomes o on o.delivery = d.seq
      where d.seq between :from and :to and o.state in (2, 3) and o.reason is null`,
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]} without a reason`,
  },
  {
    sql: `
      select d.seq, d.created_at from deliveries d
        left join outcomes o on o.delivery = d.seq left join pending p on p.delivery = d.seq
      where d.seq between :from and :to
        and (o.created_at is not null and o.created_at <> d.created_at
          or p.created_at is not null
            and (p.created_at <> d.created_at or p.subscription <> d.subscription))`,
    say: (row) => `${delivery(row)} is listed by a time or subscription that it does not have`,
  },
  {
    sql: `
      select d.seq, d.created_at, d.attempt_count, count(a.number) as found,
        coalesce(max(a.number), 0) as highest
      from deliveries_now d left join attempts a on a.delivery = d.seq
      where d.seq between :from and :to
      group by d.seq having found <> d.attempt_count or highest <> d.attempt_count`,
    say: (row) =>
      `${delivery(row)} counts ${row.attempt_count} attempts, and has ${row.found} on record, ` +
      `the last of them number ${row.highest}`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries_now d
        left join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.seq between :from and :to and d.state = 1 and d.reason is null
        and coalesce(a.succeeded, 0) = 0`,
    say: (row) => `${delivery(row)} is delivered, but its last attempt on record did not succeed`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries_now d cross join attempts a
        on a.delivery = d.seq and a.number = d.attempt_count
      where d.seq between :from and :to and d.state = 0 and a.succeeded = 1`,
    say: (row) => `${delivery(row)} is pending, though its last attempt succeeded`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries_now d cross join attempts a
        on a.delivery = d.seq and a.number = d.attempt_count
      where d.seq between :from and :to and d.last_status is not a.status`,
    say: (row) => `${delivery(row)} has another last status than its last attempt`,
  },
  {
    sql: `
      select d.seq, d.created_at from deliveries d, rolled_up u
      where d.seq between :from and :to and d.seq <= u.delivery and not (
        exists (
          select 1 from deliveries_of_subscription l
          where l.subscription = d.subscription and l.created_at = d.created_at
            and l.delivery = d.seq
        ) and exists (
          select 1 from deliveries_of_type l
          where l.type = d.type and l.created_at = d.created_at and l.delivery = d.seq
        )
      )`,
    say: (row) => `${delivery(row)} is not among those of its subscription, or not of its type`,
  },
];

/** A list whose rows have no number: those after one place, up to another. */
export interface ListCheck extends Check {
  readonly table: string;
  /** The place that is so many rows after another; none where there are fewer. */
  readonly slice: string;
}

export const LIST_CHECKS: readonly ListCheck[] = [
  {
    table: "events_of_type",
    slice: `
      select type as key, accepted_at as at, event as row from events_of_type
      where (type, accepted_at, event) > (:key, :at, :row)
      order by type, accepted_at, event limit 1 offset :rows - 1`,
    sql: `
      select t.event from events_of_type t left join events e on e.seq = t.event
      where (t.type, t.accepted_at, t.event) > (:key, :at, :row)
        and (t.type, t.accepted_at, t.event) <= (:toKey, :toAt, :toRow)
        and (t.type not in (e.type, ${ALL_TYPES}) or e.accepted_at is not t.accepted_at)`,
    say: (row) => `event number ${row.event} is listed by a type or time that it does not have`,
  },
  deliveryListCheck("deliveries_of_subscription", "subscription"),
  deliveryListCheck("deliveries_of_type", "type"),
];

function deliveryListCheck(table: string, column: string): ListCheck {
  return {
    table,
    slice: `
      select ${column} as key, created_at as at, delivery as row from ${table}
      where (${column}, created_at, delivery) > (:key, :at, :row)
      order by ${column}, created_at, delivery limit 1 offset :rows - 1`,
    sql: `
      select l.delivery from ${table} l left join deliveries d on d.seq = l.delivery
      where (l.${column}, l.created_at, l.delivery) > (:key, :at, :row)
        and (l.${column}, l.created_at, l.delivery) <= (:toKey, :toAt, :toRow)
        and (d.${column} is not l.${column} or d.created_at is not l.created_at)`,
    say: (row) =>
      `delivery number ${row.delivery} is listed by a ${column} or time that it does not have`,
  };
}

/** Of all deliveries at once, for what is counted changes with every one of them. */
export const COUNTS_CHECK: Check = {
  sql: `
    select * from (select s.name,
      coalesce(c.pending, 0) as pending, coalesce(f.pending, 0) as found_pending,
      coalesce(c.delivered, 0) as delivered, coalesce(f.delivered, 0) as found_delivered,
      coalesce(c.exhausted, 0) as exhausted, coalesce(f.exhausted, 0) as found_exhausted,
      coalesce(c.cancelled, 0) as cancelled, coalesce(f.cancelled, 0) as found_cancelled
    from subscriptions s
      left join (
        select subscription, sum(pending) as pending, sum(delivered) as delivered,
          sum(exhausted) as exhausted, sum(cancelled) as cancelled
        from (select * from counts union all select * from uncounted) group by subscription
      ) c on c.subscription = s.id
      left join (
        select d.subscription, sum(o.delivery is null) as pending,
          coalesce(sum(o.state = 1), 0) as delivered, coalesce(sum(o.state = 2), 0) as exhausted,
          coalesce(sum(o.state = 3), 0) as cancelled
        from deliveries d left join outcomes o on o.delivery = d.seq group by d.subscription
      ) f on f.subscription = s.id)
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
      from deliveries_now d cross join attempts a on a.delivery = d.seq
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
