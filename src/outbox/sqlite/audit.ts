import type { DatabaseSync } from "node:sqlite";
import { formatInstant, type Instant } from "../../domain/instant.ts";
import type { Audit } from "../outbox.ts";
import { type Bytes, toText } from "./bytes.ts";
import { isCorrupt, JSON_CHECKS, unreadableRows } from "./damage.ts";
import { deliveryId } from "./delivery_id.ts";
import { ALL_TYPES, STATES } from "./schema.ts";

/** Holds the promises against the rows, all of them as of one moment. */
export function auditDatabase(db: DatabaseSync): Audit {
  db.exec("begin");
  try {
    // A damaged file may be told of by several checks in the same words.
    const found = (
      checks: readonly Check[],
    ) => [...new Set(checks.flatMap((check) => runCheck(db, check)))];
    const faults = found([...CHECKS, ...JSON_CHECKS]);
    if (faults.some((fault) => fault.startsWith(DAMAGED_FILE))) faults.push(...unreadableRows(db));
    return { ...count(db), faults, notes: found(CLOCK_CHECKS) };
  } finally {
    db.exec("rollback");
  }
}

const DAMAGED_FILE = "the file is damaged: ";

/** A database that is badly broken would fill the memory with its faults. */
const MOST_FAULTS = 1_000;

type Row = Readonly<Record<string, unknown>>;

interface Check {
  /** Selects the rows that break a promise. */
  readonly sql: string;
  /** Says of one which and how. */
  readonly say: (row: Row) => string;
  /** Looks once more at a row that was selected. */
  readonly isFault?: (row: Row) => boolean;
}

function count(db: DatabaseSync): Pick<Audit, "events" | "deliveries" | "attempts"> {
  const deliveries = { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 };
  const counts = { events: 0, deliveries, attempts: 0 };
  unlessDamaged(() => {
    Object.assign(counts, db.prepare(COUNTS).get());
    for (const { state, n } of db.prepare(STATE_COUNTS).all() as { state: number; n: number }[]) {
      const name = STATES[state];
      if (name) deliveries[name] = n;
    }
  });
  return counts;
}

function runCheck(db: DatabaseSync, { sql, say, isFault = () => true }: Check): string[] {
  const faults: string[] = [];
  const damage = unlessDamaged(() => {
    // Not iterate(), which ends as if there were no more rows where SQLite fails.
    const rows = db.prepare(`select * from (${sql}) limit ${MOST_FAULTS + 1}`).all();
    faults.push(...rows.slice(0, MOST_FAULTS).filter(isFault).map(say));
    if (rows.length > MOST_FAULTS) {
      faults.push(`… and more of the same kind as the last ${MOST_FAULTS}`);
    }
  });
  return damage === undefined ? faults : [`${DAMAGED_FILE}${damage}`];
}

/** What SQLite says where a file is so damaged that rows can't be read; other errors are thrown. */
function unlessDamaged(read: () => void): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    return (error as { errstr?: string }).errstr ?? (error as Error).message;
  }
}

const COUNTS = `
  select (select count(*) from events) as events, (select count(*) from attempts) as attempts`;

const STATE_COUNTS = "select state, count(*) as n from deliveries group by state";

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

const CHECKS: readonly Check[] = [
  {
    sql: "select integrity_check from pragma_integrity_check where integrity_check <> 'ok'",
    say: (row) => `${DAMAGED_FILE}${row.integrity_check}`,
  },
  {
    sql: 'select rowid, "table", parent from pragma_foreign_key_check',
    say: (row) => `row ${row.rowid} of ${row.table} refers to a row of ${row.parent} that is gone`,
  },
  {
    sql: `
      select e.id, e.delivery_count, (select count(*) from deliveries where event = e.seq) as found
      from events e where found <> e.delivery_count`,
    say: (row) =>
      `${
        event(row)
      } has ${row.found} deliveries on record where ${row.delivery_count} were stored: ` +
      "some were dropped silently",
  },
  {
    // No index keeps them apart: the writer does.
    sql: `
      select e.id from (
        select id from events indexed by events_by_id where source is null
        group by id having count(*) > 1
      ) twice join events e on e.id = twice.id and e.source is null
      group by e.id, coalesce(e.publisher, x'') having count(*) > 1`,
    say: (row) => `${event(row)} is stored twice for one publisher`,
  },
  {
    sql: "select seq, created_at, state from deliveries where state not between 0 and 3",
    say: (row) => `${delivery(row)} is in no known state: ${row.state}`,
  },
  {
    sql: "select seq, created_at from deliveries where state = 0 and due_at is null",
    say: (row) => `${delivery(row)} is pending and never due: it would not be attempted again`,
  },
  {
    sql: "select seq, created_at from deliveries where state = 0 and finished_at is not null",
    say: (row) => `${delivery(row)} is pending and finished at once`,
  },
  {
    sql: "select seq, created_at, state from deliveries where state <> 0 and due_at is not null",
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]} and yet due`,
  },
  {
    sql: "select seq, created_at, state from deliveries where state <> 0 and finished_at is null",
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]}, nobody knows since when`,
  },
  {
    sql: "select seq, created_at, state from deliveries where state in (2, 3) and reason is null",
    say: (row) => `${delivery(row)} is ${STATES[row.state as number]} without a reason`,
  },
  {
    sql: `
      select d.seq, d.created_at, d.attempt_count, count(a.number) as found,
        coalesce(max(a.number), 0) as highest
      from deliveries d left join attempts a on a.delivery = d.seq
      group by d.seq having found <> d.attempt_count or highest <> d.attempt_count`,
    say: (row) =>
      `${delivery(row)} counts ${row.attempt_count} attempts, and has ${row.found} on record, ` +
      `the last of them number ${row.highest}`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries d left join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.state = 1 and d.reason is null and coalesce(a.succeeded, 0) = 0`,
    say: (row) => `${delivery(row)} is delivered, but its last attempt on record did not succeed`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries d join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.state = 0 and a.succeeded = 1`,
    say: (row) => `${delivery(row)} is pending, though its last attempt succeeded`,
  },
  {
    sql: `
      select d.seq, d.created_at
      from deliveries d join attempts a on a.delivery = d.seq and a.number = d.attempt_count
      where d.last_status is not a.status`,
    say: (row) => `${delivery(row)} tells another last status than its last attempt`,
  },
  {
    sql: `
      select d.seq, d.created_at from deliveries d, indexed_until u
      where d.fresh = 1 and d.seq <= u.delivery`,
    say: (row) => `${delivery(row)} is in no index: neither lists nor attempts would find it`,
  },
  {
    sql: `
      select e.id from events e, indexed_until u
      where e.seq <= u.event and (
        select count(*) from events_of_type t
        where t.type in (e.type, ${ALL_TYPES}) and t.accepted_at = e.accepted_at
          and t.event = e.seq
      ) <> 2`,
    say: (row) => `${event(row)} is not among all events, or not among those of its type`,
  },
  {
    sql: `
      select t.event from events_of_type t left join events e on e.seq = t.event
      where t.type not in (e.type, ${ALL_TYPES}) or e.accepted_at is not t.accepted_at`,
    say: (row) => `event number ${row.event} is listed by a type or time that it does not have`,
  },
  {
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
  },
];

/** What cannot be told from a step of the wall clock, by which all instants are kept. */
const CLOCK_CHECKS: readonly Check[] = [
  {
    // One millisecond each for the rounding of the three. The attempt that ends a delivery ends with
    // it; one more may be under way when it is cancelled.
    sql: `
      select d.seq, d.created_at, d.state, d.finished_at, count(*) as later
      from deliveries d join attempts a on a.delivery = d.seq
      where a.started_at + a.duration_ms > d.finished_at + 3
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
      from attempts a
        join attempts b on b.delivery = a.delivery and b.number = a.number + 1
        join deliveries d on d.seq = a.delivery
      where b.started_at + 2 < a.started_at + a.duration_ms`,
    say: (row) =>
      `${delivery(row)} began attempt ${row.number} at ${
        formatInstant(row.started_at as Instant)
      }, ` +
      `before the one before it ended at ${formatInstant(row.ended_at as Instant)}` +
      ": the clock was set back, or they ran at once",
  },
];
