/** The first released schema; later ones lead on from it, in migrations.ts. */
export const FIRST_SCHEMA = `
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
`;
