create table bellhook_outbox (
  id integer primary key autoincrement, -- PostgreSQL: bigint generated always as identity
  event_id varchar(256) not null unique,
  body text not null,
  posted_at timestamp,
  refused text
);
create index bellhook_outbox_waiting on bellhook_outbox (id)
  where posted_at is null and refused is null;
