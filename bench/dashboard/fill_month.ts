import { DatabaseSync } from "node:sqlite";
import { FILLING, LAST_NUMBERS, rollUp } from "../growth/multiply_rows.ts";

/** The month of deliveries to add to a database. */
export interface Month {
  readonly deliveries: number;
  /** The month's end. */
  readonly until: number;
}

/**
 * Adds a realistic month of deliveries to a database that Bellhook has written, through SQL: most
 * delivered at once, some later, some never, and some of the latest pending. Each is a copy of one
 * that the daemon delivered. The daemon must not be running.
 */
export function fillMonth(path: string, { deliveries, until }: Month): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(FILLING);
    db.exec(PATTERN);
    rollUp(db);
    const last = db.prepare(LAST_NUMBERS).get() as { event: number; delivery: number };
    const since = until - MONTH_MS, perRow = MONTH_MS / deliveries;
    for (let from = 0; from < deliveries; from += CHUNK) {
      const chunk = {
        from,
        to: Math.min(from + CHUNK, deliveries),
        event: last.event,
        since,
        perRow,
      };
      const rows = { ...chunk, delivery: last.delivery };
      db.exec("begin");
      db.prepare(EVENTS).run(chunk);
      db.exec("drop table if exists fates");
      db.prepare(FATES).run({
        ...rows,
        pendingFrom: Math.floor(deliveries * (1 - PENDING_AMONG)),
      });
      for (const sql of [DELIVERIES, OUTCOMES, PENDING]) db.exec(sql);
      db.prepare(ATTEMPTS).run({ delivery: last.delivery, from: chunk.from, to: chunk.to });
      db.exec("commit");
      rollUp(db);
    }
    db.exec("begin");
    db.prepare(COUNTS).run({ delivery: last.delivery });
    db.prepare(HISTORY).run({ delivery: last.delivery });
    fillTallies(db, { deliveries, until });
    db.exec("commit");
    db.exec("drop table pattern; drop table fates");
    db.exec("pragma journal_mode = wal");
  } finally {
    db.close();
  }
}

const CHUNK = 500_000;
const HOUR_MS = 3_600_000, MONTH_MS = 30 * 24 * HOUR_MS;
/** Every fifth of so large a part of them, the latest, waits: none so long that it is due. */
const PENDING_AMONG = 1 / 50;

/** Every hour of every subscription, and the last minutes of all, with answers of every length. */
function fillTallies(db: DatabaseSync, { deliveries, until }: Month): void {
  const insert = db.prepare(TALLY);
  const subscriptions = db.prepare("select id from subscriptions").all() as { id: number }[];
  const perHour = deliveries / (MONTH_MS / HOUR_MS);
  const fill = (
    { series, slotMs, count, perSlot }: Record<"series" | "slotMs" | "count" | "perSlot", number>,
  ) => {
    const end = Math.floor(until / slotMs) * slotMs;
    for (let ago = 0; ago < count; ago++) {
      const answers = perSlot > MANY ? ANSWERS_OF_MANY : ANSWERS_OF_FEW;
      insert.run({ series, startsAt: end - ago * slotMs, n: Math.ceil(perSlot), answers });
    }
  };
  const hours = MONTH_MS / HOUR_MS;
  fill({ series: 0, slotMs: HOUR_MS, count: hours, perSlot: perHour });
  fill({ series: -1, slotMs: 60_000, count: 120, perSlot: perHour / 60 });
  for (const { id } of subscriptions) {
    const perSlot = perHour / subscriptions.length;
    fill({ series: id, slotMs: HOUR_MS, count: hours, perSlot });
  }
}

/** From so many in a slot on, answers take every time that answers take. */
const MANY = 1_000;
const ANSWERS_OF_FEW = answers({ 200: 24, 503: 8, 0: 2 });
const ANSWERS_OF_MANY = answers({ 200: 60, 201: 40, 404: 20, 500: 40, 503: 60, 0: 4 });

/** As the outbox writes them, for each status over so many buckets of time. */
function answers(buckets: Readonly<Record<number, number>>): string {
  return JSON.stringify(
    Object.entries(buckets).flatMap(([status, count]) =>
      Array.from({ length: count }, (_, bucket) => [Number(status) * 1_000 + bucket, 7])
    ),
  );
}

const PATTERN = `
  create table if not exists pattern as
  select row_number() over (order by min(d.seq)) - 1 as i,
    d.subscription, d.type, d.format, a.url_number, a.request_names, a.request_headers,
    a.remote_address, a.response_names, a.response_headers, a.response_body
  from deliveries d join events e on e.seq = d.event join attempts a on a.delivery = d.seq
  where a.succeeded = 1 and d.seq <= 1000
  group by d.subscription`;

// The multiplication spreads regular numbers evenly.
const ROWS = `
  with recursive numbers (n) as (
    select :from + 1 union all select n + 1 from numbers where n < :to
  ),
  rows as (
    select n, n * 7919 % 1000 as lot, pattern.* from numbers
    cross join pattern on pattern.i = n * 104729 / 7 % (select count(*) from pattern)
  )`;

const EVENTS = `
  insert into events (seq, id, type, occurred_at, accepted_at, delivery_count, data)
  ${ROWS}
  select :event + n, cast(printf('evt_month%018d', :event + n) as blob), type,
    cast(:since + n * :perRow as integer), cast(:since + n * :perRow as integer), 1,
    cast(printf('{"booking_id":"bk_%d","guest":"Ada Lovelace","total":"641.50"}', n) as blob)
  from rows order by n`;

// Of a thousand, three are exhausted and one is cancelled; of the latest, every fifth waits.
const FATES = `
  create table fates as
  ${ROWS},
  fated as (
    select *, cast(:since + n * :perRow as integer) as at,
      case when n > :pendingFrom and n % 5 = 0 then 0 when lot < 3 then 2 when lot = 3 then 3
        else 1 end as fate
    from rows
  )
  select :delivery + n as seq, :event + n as event, subscription, type, format, at, fate,
    case fate when 0 then n % 2 when 2 then 6 when 3 then 0 when 1 then 1 + (lot % 50 = 5) end
      as attempts,
    case when fate = 2 or fate = 0 and n % 2 = 1 then 503 when fate = 1 then 200 end as status
  from fated order by n`;

const DELIVERIES = `
  insert into deliveries (seq, event, subscription, type, format, cause, created_at)
  select seq, event, subscription, type, format, 'event', at from fates order by seq`;

const OUTCOMES = `
  insert into outcomes (
    delivery, state, attempt_count, created_at, finished_at, finished_after, last_status, reason
  )
  select seq, fate, attempts, at, at + 200, 0, status,
    case fate when 2 then cast('attempt 6, the last, failed: the receiver answered 503' as blob)
      when 3 then cast('cancelled by ada' as blob) end
  from fates where fate > 0 order by seq`;

const PENDING = `
  insert into pending (
    delivery, subscription, created_at, due_at, attempt_count, is_test, last_status
  )
  select seq, subscription, at, at + 30 * 3600000, attempts, 0, status
  from fates where fate = 0 order by seq`;

const ATTEMPTS = `
  insert into attempts (
    delivery, number, started_at, duration_ms, succeeded, url_number, request_names,
    request_headers, remote_address, status, response_names, response_headers, response_body,
    truncated
  )
  select d.seq, numbers.number, d.created_at, 120, d.state = 1 and numbers.number = d.attempt_count,
    url_number, request_names, request_headers, remote_address,
    iif(d.state = 1 and numbers.number = d.attempt_count, 200, 503), response_names,
    response_headers,
    response_body, 0
  from deliveries_now d
    join pattern on pattern.subscription = d.subscription
    join (select 1 as number union select 2 union select 3 union select 4 union select 5
      union select 6) numbers on numbers.number <= d.attempt_count
  where d.seq > :delivery + :from and d.seq <= :delivery + :to
  order by d.seq, numbers.number`;

// Their attempts say nothing of how they ended, so that tallies are filled on their own.
const COUNTS = `
  update counts set (pending, delivered, exhausted, cancelled) = (
    select pending - sum(state > 0), delivered + sum(state = 1), exhausted + sum(state = 2),
      cancelled + sum(state = 3)
    from deliveries_now d where d.subscription = counts.subscription and d.seq > :delivery
  )`;

const HISTORY = `
  insert into history (at, kind, subscription, cause, operator)
  select finished_at, 'cancelled', subscription, cast('cancelled by ada' as blob),
    cast('ada' as blob)
  from deliveries_now where state = 3 and seq > :delivery order by finished_at`;

const TALLY = `
  insert into tallies (
    series, starts_at, first_attempts, first_successes, succeeded, failed, retrying, delivered,
    lost, answers
  )
  select :series, :startsAt, n, n * 9 / 10, n, n / 5, n / 10, n, n / 20, :answers
  from (select cast(:n as integer) as n) where true
  on conflict (series, starts_at) do nothing`;
