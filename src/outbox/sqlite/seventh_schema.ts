/**
 * What waits, what happened and what is listed, each in tables of its own. Deliveries, outcomes and
 * attempts are only appended; `pending` is the one table whose rows change.
 */
export const SEVENTH_SCHEMA = `
  -- What attempts have in common is stored once: URLs, and the names of headers as a JSON list.
  create table urls (
    id integer primary key,
    name blob not null unique
  ) strict;
  create table header_names (
    id integer primary key,
    name blob not null unique
  ) strict;

  -- Attempts that were stored before keep their own url, and headers as pairs. Rows are as they were, so
  -- the text alone changes.
  pragma writable_schema = on;
  update sqlite_schema set sql = replace(
    replace(sql, 'url blob not null,', 'url blob,'),
    'error_message blob,',
    'error_message blob,
    -- In which state it left its delivery: 0 is pending again, 4 says that it was final already. Null says
    -- that the side tables took the attempt in before this column was.
    state integer,
    url_number integer references urls,
    request_names integer references header_names,
    response_names integer references header_names,'
  ) where type = 'table' and name = 'attempts';
  pragma writable_schema = reset;

  create table new_deliveries (
    seq integer primary key,
    event integer not null references events,
    subscription integer not null references subscriptions,
    type integer not null references types,
    format integer not null references formats,
    cause text not null
      check (cause = 'event' or cause = 'test' or cause = 'redelivery' or cause = 'notice'),
    created_at integer not null,
    redelivery_of text check ((redelivery_of is not null) = (cause = 'redelivery'))
  ) strict;

  -- How a delivery ended. A delivery without a row here is pending.
  create table outcomes (
    delivery integer primary key references deliveries,
    state integer not null check (state between 1 and 3),
    attempt_count integer not null check (attempt_count >= 0),
    -- The delivery's: lists by state come newest first.
    created_at integer not null,
    finished_at integer not null,
    -- How many replays had begun when it finished: a replay sends what finished before it began.
    finished_after integer not null,
    last_status integer,
    reason blob check (state = 1 or reason is not null)
  ) strict;
  insert into outcomes
  select seq, state, attempt_count, created_at, finished_at, finished_after, last_status, reason
  from deliveries where state <> 0 order by seq;
  create index outcomes_by_end on outcomes (state, finished_at);
  create index outcomes_undelivered on outcomes (state, created_at) where state <> 1;
  create index outcomes_refused on outcomes (last_status, created_at) where last_status >= 300;

  -- What waits for its next attempt.
  create table pending (
    delivery integer primary key references deliveries,
    subscription integer not null,
    created_at integer not null,
    due_at integer not null,
    attempt_count integer not null check (attempt_count >= 0),
    is_test integer not null check (is_test = 0 or is_test = 1),
    last_status integer
  ) strict;
  insert into pending
  select seq, subscription, created_at, due_at, attempt_count, cause = 'test', last_status
  from deliveries where state = 0 order by seq;
  create index pending_due on pending (subscription, due_at);
  create index pending_due_tests on pending (subscription, due_at) where is_test = 1;
  create index pending_by_time on pending (created_at);
  create index pending_refused on pending (last_status, created_at) where last_status >= 300;

  -- Deliveries by subscription and by type, as events_of_type has the events.
  create table deliveries_of_subscription (
    subscription integer not null,
    created_at integer not null,
    delivery integer not null,
    primary key (subscription, created_at, delivery)
  ) strict, without rowid;
  insert into deliveries_of_subscription
  select subscription, created_at, seq from deliveries order by 1, 2, 3;
  create table deliveries_of_type (
    type integer not null,
    created_at integer not null,
    delivery integer not null,
    primary key (type, created_at, delivery)
  ) strict, without rowid;
  insert into deliveries_of_type select type, created_at, seq from deliveries order by 1, 2, 3;

  -- What lists and counts lacked so far, they get now. Attempts that no tally has are marked and left to the
  -- daemon, which also counts their deliveries as delivered then; until then they count as pending.
  insert into events_of_type
  select iif(list = 'all', 0, type), accepted_at, seq
  from events cross join (select 'all' as list union all select 'type')
  where seq > (select event from indexed_until) order by 1, 2, 3;
  insert into counts (subscription, pending, delivered, exhausted, cancelled)
  select subscription, sum(state <= 1), 0, sum(state = 2), sum(state = 3)
  from deliveries where seq > (select delivery from indexed_until) and fresh = 1
  group by subscription
  on conflict (subscription) do update set
    pending = pending + excluded.pending,
    exhausted = exhausted + excluded.exhausted,
    cancelled = cancelled + excluded.cancelled;
  update attempts set state = 1 where number = 1 and delivery in (
    select seq from deliveries
    where seq > (select delivery from indexed_until) and fresh = 1 and state = 1
  );

  -- How far the side tables reach. What has a greater number is listed and counted by reading its row.
  create table rolled_up (
    id integer primary key check (id = 1),
    event integer not null,
    delivery integer not null,
    attempt integer not null
  ) strict;
  insert into rolled_up
  select 1,
    (select max(u.event, coalesce(max(seq), 0)) from events),
    (select max(u.delivery, coalesce(max(seq), 0)) from deliveries),
    coalesce(
      (select min(a.seq) - 1 from deliveries d join attempts a on a.delivery = d.seq
        where d.seq > u.delivery and a.state = 1),
      (select max(seq) from attempts),
      0
    )
  from indexed_until u;

  insert into new_deliveries
  select seq, event, subscription, type, format, cause, created_at, redelivery_of
  from deliveries order by seq;
  drop table deliveries;
  drop table indexed_until;
  alter table new_deliveries rename to deliveries;
  create index deliveries_of_event on deliveries (event);
  create index deliveries_by_time on deliveries (created_at);
  create index deliveries_sent_again on deliveries (event, subscription)
    where cause = 'redelivery';

  -- Pending deliveries that the table pending has no row of yet: they are due since they were created.
  create view newly_pending as
  select d.seq as delivery, d.subscription, d.created_at, d.created_at as due_at,
    0 as attempt_count, d.cause = 'test' as is_test
  from deliveries d
  where d.seq > (select delivery from rolled_up)
    and not exists (select 1 from outcomes o where o.delivery = d.seq)
    and not exists (select 1 from pending p where p.delivery = d.seq);

  -- What the table counts does not know yet.
  create view uncounted as
  select d.subscription, 1 as pending, 0 as delivered, 0 as exhausted, 0 as cancelled
  from deliveries d where d.seq > (select delivery from rolled_up)
  union all
  select d.subscription, -1, a.state = 1, a.state = 2, a.state = 3
  from attempts a cross join deliveries d on d.seq = a.delivery
  where a.seq > (select attempt from rolled_up) and a.state between 1 and 3;

  -- Each delivery as it stands.
  create view deliveries_now as
  select d.seq, d.event, d.subscription, d.type, d.format, d.cause, d.created_at, d.redelivery_of,
    coalesce(o.state, 0) as state,
    coalesce(o.attempt_count, p.attempt_count, 0) as attempt_count,
    iif(o.delivery is null, coalesce(p.due_at, d.created_at), null) as due_at,
    iif(o.delivery is null, p.last_status, o.last_status) as last_status,
    o.finished_at, o.finished_after, o.reason
  from deliveries d
    left join outcomes o on o.delivery = d.seq
    left join pending p on p.delivery = d.seq;
`;
