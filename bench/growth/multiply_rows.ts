import { DatabaseSync } from "node:sqlite";
import { Store } from "../../src/outbox/sqlite/store.ts";

/** The rows to add to a database that Bellhook has written. */
export interface Multiplication {
  /** Delivered, each with its event and its attempt. */
  readonly finished?: { readonly count: number; readonly at: number };
  readonly pending?: { readonly count: number; readonly dueAt: number };
}

/**
 * Multiplies the deliveries of a database, through SQL. Each new one is a copy of one that the daemon
 * stored and delivered, with new numbers, ids and times. The daemon must not be running.
 */
export function multiplyRows(
  path: string,
  { finished, pending }: Multiplication,
): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(FILLING);
    db.exec(PATTERN);
    rollUp(db);
    if (finished) {
      inChunks(finished.count, (count) => addFinished(db, count, finished.at));
    }
    if (pending) {
      inChunks(pending.count, (count) => addPending(db, count, pending.dueAt));
    }
    db.exec("drop table pattern");
    db.exec("pragma journal_mode = wal");
  } finally {
    db.close();
  }
  // Otherwise the daemon would wait at its start until all of it is on the disk.
  using file = Deno.openSync(path, { read: true, write: true });
  file.syncSync();
}

const CHUNK = 500_000;

function inChunks(total: number, add: (count: number) => void): void {
  for (let left = total; left > 0; left -= CHUNK) add(Math.min(CHUNK, left));
}

function addFinished(db: DatabaseSync, count: number, at: number): void {
  const bounds = { ...lastNumbers(db), count };
  db.exec("begin");
  db.prepare(EVENTS).run({ ...named(bounds, "event"), at });
  db.prepare(DELIVERIES).run({ ...named(bounds, "event", "delivery"), at });
  db.prepare(OUTCOMES).run({ ...named(bounds, "delivery"), at });
  db.prepare(ATTEMPTS).run({ ...named(bounds, "delivery", "attempt"), at });
  db.exec("commit");
  rollUp(db);
}

function addPending(db: DatabaseSync, count: number, dueAt: number): void {
  const bounds = { ...lastNumbers(db), count };
  db.exec("begin");
  const at = dueAt - 3_600_000;
  db.prepare(EVENTS).run({ ...named(bounds, "event"), at });
  db.prepare(DELIVERIES).run({ ...named(bounds, "event", "delivery"), at });
  db.prepare(PENDING).run({ ...named(bounds, "delivery"), dueAt });
  db.exec("commit");
  rollUp(db);
}

interface Numbers {
  readonly event: number;
  readonly delivery: number;
  readonly attempt: number;
}

function lastNumbers(db: DatabaseSync): Numbers {
  return db.prepare(LAST_NUMBERS).get() as unknown as Numbers;
}

/** Only the parameters that the statement uses: SQLite refuses others. */
function named(
  numbers: Numbers & { readonly count: number },
  ...names: readonly (keyof Numbers)[]
): Record<string, number> {
  return Object.fromEntries(
    [...names, "count" as const].map((name) => [name, numbers[name]]),
  );
}

/** Fast settings: nothing here has to survive a crash. */
export const FILLING = `
  pragma journal_mode = off;
  pragma synchronous = off;
  pragma cache_size = -1000000;
  pragma temp_store = memory;
`;

/** Extends the side tables by the daemon's own rows, and by those that were added. */
export function rollUp(db: DatabaseSync): void {
  new Store(db).apply([{ kind: "rollUp", request: undefined }]);
}

const PATTERN = `
  create table if not exists pattern as
  select row_number() over (order by min(d.seq)) - 1 as i,
    d.subscription, d.type, d.format, e.data, a.url_number, a.request_names, a.request_headers,
    a.remote_address, a.status, a.response_names, a.response_headers, a.response_body
  from deliveries d join events e on e.seq = d.event join attempts a on a.delivery = d.seq
  where a.succeeded = 1 and d.seq <= 1000
  group by d.subscription`;

/** The latest rows. */
export const LAST_NUMBERS = `
  select coalesce((select max(seq) from events), 0) as event,
    coalesce((select max(seq) from deliveries), 0) as delivery,
    coalesce((select max(seq) from attempts), 0) as attempt`;

const ROWS = `
  with recursive numbers (n) as (
    select 1 union all select n + 1 from numbers where n < :count
  ),
  rows as (
    select n, pattern.* from numbers
    cross join pattern on pattern.i = n % (select count(*) from pattern)
  )`;

const EVENTS = `
  insert into events (seq, id, type, occurred_at, accepted_at, delivery_count, data)
  ${ROWS}
  select :event + n, cast(printf('evt_grown%018d', :event + n) as blob), type, :at, :at, 1, data
  from rows order by n`;

const DELIVERIES = `
  insert into deliveries (seq, event, subscription, type, format, cause, created_at)
  ${ROWS}
  select :delivery + n, :event + n, subscription, type, format, 'event', :at from rows order by n`;

const OUTCOMES = `
  insert into outcomes (
    delivery, state, attempt_count, created_at, finished_at, finished_after, last_status
  )
  ${ROWS}
  select :delivery + n, 1, 1, :at, :at, 0, status from rows order by n`;

const ATTEMPTS = `
  insert into attempts (
    seq, delivery, number, started_at, duration_ms, succeeded, url_number, request_names,
    request_headers, remote_address, status, response_names, response_headers, response_body,
    truncated, state
  )
  ${ROWS}
  select :attempt + n, :delivery + n, 1, :at, 1, 1, url_number, request_names, request_headers,
    remote_address, status, response_names, response_headers, response_body, 0, 1
  from rows order by n`;

const PENDING = `
  insert into pending (delivery, subscription, created_at, due_at, attempt_count, is_test)
  ${ROWS}
  select :delivery + n, subscription, :dueAt - 3600000, :dueAt, 0, 0 from rows order by n`;
