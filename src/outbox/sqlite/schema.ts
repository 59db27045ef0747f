import type { DatabaseSync } from "node:sqlite";

/** Marks a SQLite file as Bellhook's in its header: "BELL". */
export const APPLICATION_ID = 0x42454c4c;

/** The stored number of each state; the partial indexes below know them as literals. */
export const STATES = ["pending", "delivered", "exhausted", "cancelled"] as const;

/** The stored number of what a replay can be asked for; the last is no state, but a set of deliveries. */
export const STATE_FILTERS = [...STATES, "failed"] as const;

/** The type under which events_of_type lists all events; the numbers of types begin at 1. */
export const ALL_TYPES = 0;

/**
 * The schema, one text a version, each leading on from the one before it. A released text never
 * changes.
 *
 * Texts that others wrote are BLOBs of UTF-8, for a TEXT is read back cut at its first NUL. Names
 * that recur by the million are stored once and referred to by number.
 */
export const MIGRATIONS: readonly string[] = [
  `
  create table subscriptions (
    id integer primary key,
    name blob not null unique
  ) strict;

  create table types (
    id integer primary key,
    name blob not null unique
  ) strict;

  create table formats (
    id integer primary key,
    name blob not null unique
  ) strict;

  create table events (
    seq integer primary key,
    id blob not null unique,
    type integer not null references types,
    occurred_at integer not null,
    accepted_at integer not null,
    publisher blob,
    content_hash blob,
    -- How many rows of deliveries refer to it: a row that went missing shows.
    delivery_count integer not null check (delivery_count >= 0),
    scope blob,
    metadata blob,
    data blob not null
  ) strict;
  create index events_by_time on events (accepted_at);
  create index events_by_type on events (type, accepted_at);
  create index events_bare on events (accepted_at) where delivery_count = 0;

  create table deliveries (
    seq integer primary key,
    event integer not null references events,
    subscription integer not null references subscriptions,
    type integer not null references types,
    format integer not null references formats,
    cause text not null check (cause in ('event', 'test', 'redelivery', 'notice')),
    state integer not null check (state between 0 and 3),
    attempt_count integer not null check (attempt_count >= 0),
    due_at integer check ((due_at is not null) = (state = 0)),
    created_at integer not null,
    finished_at integer check ((finished_at is null) = (state = 0)),
    -- How many replays had begun when it finished: a replay sends what finished before it began.
    finished_after integer check ((finished_after is null) = (state = 0)),
    last_status integer,
    reason blob check (state in (0, 1) or reason is not null),
    redelivery_of text check ((redelivery_of is not null) = (cause = 'redelivery'))
  ) strict;
  create index deliveries_due on deliveries (subscription, due_at) where state = 0;
  create index deliveries_due_tests on deliveries (subscription, due_at)
    where state = 0 and cause = 'test';
  create index deliveries_finished on deliveries (state, finished_at) where state <> 0;
  create index deliveries_of_event on deliveries (event);
  create index deliveries_by_time on deliveries (created_at);
  create index deliveries_by_subscription on deliveries (subscription, created_at);
  create index deliveries_by_type on deliveries (type, created_at);
  -- What is delivered, nearly everything, is found newest first without an index of its own.
  create index deliveries_undelivered on deliveries (state, created_at) where state <> 1;
  create index deliveries_refused on deliveries (last_status, created_at) where last_status >= 300;
  create index deliveries_sent_again on deliveries (event, subscription)
    where cause = 'redelivery';

  create table attempts (
    seq integer primary key,
    delivery integer not null references deliveries,
    number integer not null check (number >= 1),
    started_at integer not null,
    duration_ms integer not null check (duration_ms >= 0),
    succeeded integer not null check (succeeded in (0, 1)),
    url blob not null,
    request_headers blob not null,
    remote_address blob,
    status integer,
    response_headers blob,
    response_body blob check (length(response_body) <= 65536),
    truncated integer,
    error_kind text check ((error_kind is null) = (status is not null)),
    error_message blob,
    unique (delivery, number)
  ) strict;

  create table idempotency (
    key blob primary key,
    content blob not null,
    event_ids blob not null,
    created_at integer not null
  ) strict, without rowid;
  create index idempotency_by_time on idempotency (created_at);

  create table health (
    subscription integer primary key references subscriptions,
    failing_since integer,
    paused_at integer,
    paused_reason blob,
    last_success_at integer,
    consecutive_failures integer not null,
    changed_at integer
  ) strict;

  -- Kept along with the deliveries, for counting them walks them all. Nothing is decided by them.
  create table counts (
    subscription integer primary key references subscriptions,
    pending integer not null,
    delivered integer not null,
    exhausted integer not null,
    cancelled integer not null
  ) strict;

  -- How many replays have begun, those that were never opened and those that are pruned among them.
  create table replays_begun (
    id integer primary key check (id = 1),
    count integer not null
  ) strict;
  insert into replays_begun (id, count) values (1, 0);

  create table replays (
    -- It was the how manieth to begin.
    number integer primary key,
    created_at integer not null,
    operator blob not null,
    subscription blob,
    type blob,
    state integer check (state between 1 and 3),
    since integer not null,
    until integer not null,
    -- The last row it has looked at, and the creation time at which there are no more to look at.
    cursor_at integer not null,
    cursor_seq integer not null,
    ends_at integer not null,
    total integer not null,
    done integer not null,
    finished_at integer
  ) strict;
  create index replays_open on replays (number) where finished_at is null;
  create index replays_finished on replays (finished_at) where finished_at is not null;

  create table history (
    seq integer primary key autoincrement,
    at integer not null,
    kind text not null,
    subscription integer references subscriptions,
    delivery blob,
    cause blob not null,
    operator blob
  ) strict;
  create index history_by_time on history (at);
  create index history_of_subscription on history (subscription) where subscription is not null;
  create index history_of_delivery on history (delivery) where delivery is not null;

  -- What attempts came to, slot by slot, kept along with them. A series is a subscription by the
  -- hour; 0 is all of them by the hour, -1 all of them by the minute. Nothing is decided by them.
  create table tallies (
    series integer not null,
    starts_at integer not null,
    first_attempts integer not null,
    first_successes integer not null,
    succeeded integer not null,
    failed integer not null,
    -- Of the failed ones, those that another attempt follows.
    retrying integer not null,
    -- Deliveries that ended by an attempt, well or not.
    delivered integer not null,
    lost integer not null,
    -- JSON: pairs of status and bucket of time (status * 1000 + bucket; 0 where none came), and count.
    answers text not null,
    primary key (series, starts_at)
  ) strict, without rowid;
  create index tallies_by_time on tallies (starts_at);

  -- Written to find out whether anything can be.
  create table probe (
    id integer primary key check (id = 1),
    filler blob not null
  ) strict;
`,
  `
  -- The span that accepted it, as a traceparent; null where no traces were kept.
  alter table events add column trace text;
`,
  `
  -- A fresh delivery is in none of the indexes that an event would touch all over the file: they take
  -- it in later, with some thousand others. Nearly all are delivered by then, and are never due there.
  alter table deliveries add column fresh integer not null default 0 check (fresh in (0, 1));
  drop index deliveries_due;
  create index deliveries_due on deliveries (subscription, due_at)
    where state = 0 and fresh = 0;
  drop index deliveries_due_tests;
  create index deliveries_due_tests on deliveries (subscription, due_at)
    where state = 0 and cause = 'test' and fresh = 0;
  drop index deliveries_finished;
  create index deliveries_finished on deliveries (state, finished_at)
    where state <> 0 and fresh = 0;
  drop index deliveries_by_time;
  create index deliveries_by_time on deliveries (created_at) where fresh = 0;
  drop index deliveries_by_subscription;
  create index deliveries_by_subscription on deliveries (subscription, created_at)
    where fresh = 0;
  drop index deliveries_by_type;
  create index deliveries_by_type on deliveries (type, created_at) where fresh = 0;
  drop index deliveries_undelivered;
  create index deliveries_undelivered on deliveries (state, created_at)
    where state <> 1 and fresh = 0;

  -- The same for events: a table, for marking their rows would write their data again.
  drop index events_by_type;
  create table events_of_type (
    type integer not null,
    accepted_at integer not null,
    event integer not null,
    primary key (type, accepted_at, event)
  ) strict, without rowid;
  insert into events_of_type select type, accepted_at, seq from events order by 1, 2, 3;

  -- The last numbers that the indexes have taken in; what is fresh comes after them.
  create table indexed_until (
    id integer primary key check (id = 1),
    event integer not null,
    delivery integer not null
  ) strict;
  insert into indexed_until
  select 1, (select coalesce(max(seq), 0) from events),
    (select coalesce(max(seq), 0) from deliveries);
`,
  `
  -- The same check of a cause, spelled so that no list is built of the four for every row: half of
  -- what storing a delivery took. Rows are as they were, so the text alone changes (SQLite's ALTER
  -- TABLE, section "Making Other Kinds Of Table Schema Changes").
  pragma writable_schema = on;
  update sqlite_schema set sql = replace(
    sql,
    'check (cause in (''event'', ''test'', ''redelivery'', ''notice''))',
    'check (cause = ''event'' or cause = ''test'' or cause = ''redelivery'' or cause = ''notice'')'
  ) where type = 'table' and name = 'deliveries';
  pragma writable_schema = reset;
`,
  `
  -- Counts, tallies and health take in what is fresh along with the indexes. So far they had it at
  -- once: with nothing fresh, all agree.
  insert into events_of_type
  select type, accepted_at, seq from events
  where seq > (select event from indexed_until) order by 1, 2, 3;
  update deliveries set fresh = 0
  where seq > (select delivery from indexed_until) and fresh = 1;
  update indexed_until set
    event = max(event, (select coalesce(max(seq), 0) from events)),
    delivery = max(delivery, (select coalesce(max(seq), 0) from deliveries));

  -- Events by time are taken in as well: under type 0 all are listed.
  insert into events_of_type select 0, accepted_at, seq from events order by 2, 3;
  drop index events_by_time;
`,
  `
  -- Events' ids belong to their publishers, those of CloudEvents to a source as well. So far an id was
  -- unique in the whole table: the index that came with this becomes one of the events without a source,
  -- which all are that are there, without being built anew. That a publisher has no two of one id is for
  -- the one writer to see to. Nothing of this reads the table, which may be hundreds of gigabytes: ALTER
  -- TABLE would, to check its rows, and so would CREATE INDEX, to find none. So columns are added to the
  -- table's text, and indexes that hold nothing yet are made on an empty table and handed over.
  create table empty (id blob, publisher blob, source blob, sent_as blob) strict;
  create unique index events_by_source on empty (id, coalesce(publisher, x''), source)
    where source is not null;
  create index events_by_sent_as on empty (sent_as) where sent_as is not null;
  pragma writable_schema = on;
  update sqlite_schema set tbl_name = 'events', sql = replace(sql, ' on empty ', ' on events ')
  where type = 'index' and tbl_name = 'empty';
  update sqlite_schema set sql = replace(
    replace(sql, 'id blob not null unique', 'id blob not null'),
    ', trace text)',
    ', trace text,
    source blob,
    -- The id that receivers get, where another event had this one already.
    sent_as blob)'
  ) where type = 'table' and name = 'events';
  update sqlite_schema set name = 'events_by_id',
    sql = 'CREATE INDEX events_by_id on events (id) where source is null'
  where type = 'index' and name = 'sqlite_autoindex_events_1';
  -- From where a request of an operator came.
  update sqlite_schema set sql = replace(
    sql,
    'operator blob',
    'operator blob,
    address blob'
  ) where type = 'table' and name = 'history';
  -- An answer that broke off has a status and an error.
  update sqlite_schema set sql = replace(
    sql,
    'check ((error_kind is null) = (status is not null))',
    'check (error_kind is not null or status is not null)'
  ) where type = 'table' and name = 'attempts';
  -- Replays of what failed for good.
  update sqlite_schema set sql = replace(
    sql,
    'check (state between 1 and 3)',
    'check (state between 0 and 4)'
  ) where type = 'table' and name = 'replays';
  pragma writable_schema = reset;
  drop table empty;

  -- Where the schedule's time stands, for the process that comes after: the last instant that it is known
  -- to have reached, and what it was (at) when the machine had been running for so long.
  create table schedule_time (
    id integer primary key check (id = 1),
    reached_at integer not null,
    boot_id blob,
    at real check ((at is null) = (boot_id is null)),
    least_ms real check ((least_ms is null) = (boot_id is null)),
    most_ms real check ((most_ms is null) = (boot_id is null))
  ) strict;

  -- When attempts of subscriptions with a rate limit by the minute, hour or day started, or were about
  -- to, for as long as the limit counts them.
  create table paced_starts (
    seq integer primary key,
    subscription integer not null references subscriptions,
    at integer not null
  ) strict;
  create index paced_starts_of on paced_starts (subscription, at);

  -- How many deliveries of a publisher's events are pending, of those publishers that had a limit.
  create table limited_publishers (
    name blob primary key,
    pending integer not null check (pending >= 0)
  ) strict, without rowid;

  -- Whether what is pending is cancelled instead of sent.
  alter table replays add column cancels integer not null default 0 check (cancels in (0, 1));
  -- Whether an operator ended it before it was through.
  alter table replays add column stopped integer not null default 0 check (stopped in (0, 1));

  -- When the first of the failures in a row was, and what the last attempt came to.
  alter table health add column failures_since integer;
  alter table health add column last_result_at integer;
  alter table health add column last_status integer;
  alter table health add column last_error_kind text;
  alter table health add column last_error_message blob;

  -- Exhausted deliveries that operators have not been told of yet, by subscription; the first of each is
  -- its example. Without a foreign key all rows are deleted at once, not one by one.
  create table exhausted_untold (
    subscription integer primary key,
    since integer not null,
    deliveries integer not null check (deliveries >= 1),
    delivery blob not null,
    reason blob not null
  ) strict;
`,
];

/** Thrown for a database that a later version of Bellhook has written. */
export class NewerSchemaError extends Error {
  override readonly name = "NewerSchemaError";

  constructor(readonly path: string, readonly version: number, known = MIGRATIONS.length) {
    super(
      `cannot open "${path}": its schema is version ${version}, this Bellhook knows ` +
        `${known} at most; start the newer Bellhook that wrote it, or restore a backup`,
    );
  }
}

/** Thrown where a file is no database of ours, or is not there to be read. */
export class NotOurDatabaseError extends Error {
  override readonly name = "NotOurDatabaseError";

  constructor(readonly path: string, why: string) {
    super(`cannot open "${path}": ${why}`);
  }
}

/** Brings a database to the newest schema, in one transaction. Throws before it changes a foreign one. */
export function migrate(db: DatabaseSync, path: string, migrations = MIGRATIONS): void {
  const version = schemaVersion(db, path, migrations);
  if (version === migrations.length) return;
  // A migration may spell a table's text anew.
  const defended = db as unknown as Defended;
  defended.enableDefensive(false);
  db.exec("begin immediate");
  try {
    for (const migration of migrations.slice(version)) db.exec(migration);
    db.exec(versionMark(migrations));
    db.exec("commit");
  } catch (error) {
    if (db.isTransaction) db.exec("rollback");
    throw error;
  } finally {
    defended.enableDefensive(true);
  }
}

/** Marks a database as ours, and as having seen these migrations. */
export function versionMark(migrations: readonly string[]): string {
  return `
    pragma application_id = ${APPLICATION_ID};
    pragma user_version = ${migrations.length};`;
}

/** What the runtime's types of a database lack. */
interface Defended {
  /** Whether statements are refused that could break the database. */
  enableDefensive(active: boolean): void;
}

/** Throws unless a database has exactly the schema that the readers' statements are written for. */
export function assertCurrent(db: DatabaseSync, path: string, migrations = MIGRATIONS): void {
  const version = schemaVersion(db, path, migrations);
  if (version === 0) throw new NotOurDatabaseError(path, "it is an empty database");
  if (version < migrations.length) {
    throw new NotOurDatabaseError(
      path,
      `its schema is version ${version}, not ${migrations.length}; start the daemon once to bring it up to date`,
    );
  }
}

/** How many migrations a database has seen; 0 for one without anything in it. */
export function schemaVersion(
  db: DatabaseSync,
  path: string,
  migrations = MIGRATIONS,
): number {
  const header = readHeader(db, path);
  if (header.applicationId !== APPLICATION_ID) {
    if (header.applicationId === 0 && header.version === 0 && header.tables === 0) return 0;
    throw new NotOurDatabaseError(path, "it is a database of some other program");
  }
  if (header.version > migrations.length) {
    throw new NewerSchemaError(path, header.version, migrations.length);
  }
  return header.version;
}

function readHeader(db: DatabaseSync, path: string) {
  try {
    const ask = (sql: string) => Number(Object.values(db.prepare(sql).get()!)[0]);
    return {
      applicationId: ask("pragma application_id"),
      version: ask("pragma user_version"),
      tables: ask("select count(*) from sqlite_schema"),
    };
  } catch (error) {
    if ((error as { errcode?: number }).errcode !== SQLITE_NOTADB) throw error;
    throw new NotOurDatabaseError(path, "it is no SQLite database");
  }
}

const SQLITE_NOTADB = 26;
