import { FIRST_SCHEMA } from "./first_schema.ts";
import { SEVENTH_SCHEMA } from "./seventh_schema.ts";

/**
 * The schema, one text a version, each leading on from the one before it. A released text never
 * changes.
 *
 * Texts that others wrote are BLOBs of UTF-8, for a TEXT is read back cut at its first NUL. Names
 * that recur by the million are stored once and referred to by number.
 */
export const MIGRATIONS: readonly string[] = [
  FIRST_SCHEMA,
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
  SEVENTH_SCHEMA,
];
