import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "../../src/outbox/sqlite/migrations.ts";
import { migrate } from "../../src/outbox/sqlite/schema.ts";

/** The body of the standard profile. */
const FORMAT = JSON.stringify({
  format: 1,
  body: [["type", { from: "type" }], ["timestamp", { from: "timestamp" }], ["data", {
    from: "data",
  }]],
});

/** All of them are delivered. */
const DELIVERIES = {
  before7: `
    insert into deliveries (seq, event, subscription, type, format, cause, state, attempt_count,
      created_at, finished_at, finished_after, last_status)
    select seq, seq, 1, 1, 1, 'event', 1, 1, accepted_at, accepted_at + 50, 0, 200 from events;`,
  since7: `
    insert into deliveries (seq, event, subscription, type, format, cause, created_at)
    select seq, seq, 1, 1, 1, 'event', accepted_at from events;`,
};

/** Writes a database with this many delivered events, in a given version of the schema. */
export function writeLargeDatabase(
  path: string,
  { rows, version = MIGRATIONS.length }: { readonly rows: number; readonly version?: number },
): void {
  using db = new DatabaseSync(path);
  migrate(db, path, MIGRATIONS.slice(0, version));
  db.exec("pragma journal_mode = wal; pragma synchronous = off; begin");
  db.exec(`
    insert into subscriptions values (1, cast('sub' as blob));
    insert into types values (1, cast('t' as blob));
    insert into formats values (1, cast('${FORMAT}' as blob));
    with recursive c (x) as (select 1 union all select x + 1 from c where x < ${rows})
    insert into events (seq, id, type, occurred_at, accepted_at, delivery_count, data)
    select x, cast('evt_' || x as blob), 1, 1700000000000 + x, 1700000000000 + x, 1,
      cast('"' || hex(randomblob(200)) || '"' as blob) from c;
${DELIVERIES[version >= 7 ? "since7" : "before7"]}
    insert into attempts (seq, delivery, number, started_at, duration_ms, succeeded, url,
      request_headers, status, response_headers, response_body, truncated)
    select seq, seq, 1, created_at + 5, 20, 1, cast('https://app.example' as blob),
      cast('{}' as blob), 200, cast('{}' as blob), x'6f6b', 0 from deliveries;
    insert into counts values (1, 0, ${rows}, 0, 0);
  `);
  if (version >= 3 && version < 7) {
    db.exec(`
      insert into events_of_type select type, accepted_at, seq from events;
      update indexed_until set event = ${rows}, delivery = ${rows};`);
  }
  if (version >= 7) {
    db.exec(`
      insert into outcomes
      select seq, 1, 1, created_at, created_at + 50, 0, 200, null from deliveries;
      insert into events_of_type select type, accepted_at, seq from events;
      insert into deliveries_of_subscription select subscription, created_at, seq from deliveries;
      insert into deliveries_of_type select type, created_at, seq from deliveries;
      update rolled_up set event = ${rows}, delivery = ${rows}, attempt = ${rows};`);
  }
  if (version >= 5) db.exec("insert into events_of_type select 0, accepted_at, seq from events");
  db.exec("commit; pragma wal_checkpoint(truncate)");
}
