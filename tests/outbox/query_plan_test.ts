import { assert, assertEquals, assertMatch } from "@std/assert";
import type { DatabaseSync } from "node:sqlite";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { BACKLOG_SQL } from "../../src/outbox/sqlite/backlogs.ts";
import { CLAIMING_SQL } from "../../src/outbox/sqlite/claiming.ts";
import { ENQUEUEING_SQL } from "../../src/outbox/sqlite/enqueueing.ts";
import { EVENT_ID_SQL } from "../../src/outbox/sqlite/event_ids.ts";
import { DIGEST_SQL } from "../../src/outbox/sqlite/exhausted_digest.ts";
import { HEADER_SQL } from "../../src/outbox/sqlite/header_texts.ts";
import { HEALTH_SQL } from "../../src/outbox/sqlite/health_keeping.ts";
import { HISTORY_SQL } from "../../src/outbox/sqlite/history.ts";
import { NAMED_SQL } from "../../src/outbox/sqlite/named_events.ts";
import { NEWLY_PENDING_SQL } from "../../src/outbox/sqlite/newly_pending.ts";
import { NUMBERS_SQL } from "../../src/outbox/sqlite/numbers.ts";
import { OPERATOR_SQL } from "../../src/outbox/sqlite/operator_actions.ts";
import { OLDEST_SQL, PRUNING_SQL } from "../../src/outbox/sqlite/pruning.ts";
import { PUBLISHER_SQL } from "../../src/outbox/sqlite/publisher_pending.ts";
import { READER_SQL } from "../../src/outbox/sqlite/reader.ts";
import { RECORDING_SQL } from "../../src/outbox/sqlite/recording.ts";
import { SEEN_SQL } from "../../src/outbox/sqlite/seen_types.ts";
import { SCAN_SQL } from "../../src/outbox/sqlite/replay_scan.ts";
import { REPLAYING_SQL } from "../../src/outbox/sqlite/replaying.ts";
import { ROLLING_UP_SQL } from "../../src/outbox/sqlite/rolling_up.ts";
import { DELIVERY_LISTS, EVENT_LISTS, SEARCH_SQL } from "../../src/outbox/sqlite/search_sql.ts";
import { SQL } from "../../src/outbox/sqlite/store.ts";
import { PARTS_SQL } from "../../src/outbox/sqlite/store_parts.ts";
import { TALLYING_SQL } from "../../src/outbox/sqlite/tallying.ts";
import { TIMEKEEPING_SQL } from "../../src/outbox/sqlite/timekeeping.ts";
import { TOTALS_SQL } from "../../src/outbox/sqlite/totals.ts";

/** Every statement by the file that it is in, and its name. */
const STATEMENTS: Record<string, string> = {
  ...named("store", SQL),
  ...named("parts", PARTS_SQL),
  ...named("backlogs", BACKLOG_SQL),
  ...named("claiming", CLAIMING_SQL),
  ...named("enqueueing", ENQUEUEING_SQL),
  ...named("events", EVENT_ID_SQL),
  ...named("digest", DIGEST_SQL),
  ...named("health", HEALTH_SQL),
  ...named("headers", HEADER_SQL),
  ...named("history", HISTORY_SQL),
  ...named("named", NAMED_SQL),
  ...named("newly pending", NEWLY_PENDING_SQL),
  ...named("numbers", NUMBERS_SQL),
  ...named("actions", OPERATOR_SQL),
  ...named("pruning", PRUNING_SQL),
  ...named("oldest", OLDEST_SQL),
  ...named("publishers", PUBLISHER_SQL),
  ...named("reader", READER_SQL),
  ...named("recording", RECORDING_SQL),
  ...named("seen", SEEN_SQL),
  ...named("scan", SCAN_SQL),
  ...named("replaying", REPLAYING_SQL),
  ...named("rolling up", ROLLING_UP_SQL),
  ...named("tallying", TALLYING_SQL),
  ...named("totals", TOTALS_SQL),
  ...named("timekeeping", TIMEKEEPING_SQL),
  ...named("search", SEARCH_SQL),
  ...Object.fromEntries(
    [...Object.entries(DELIVERY_LISTS), ...Object.entries(EVENT_LISTS)].flatMap(([list, sql]) =>
      Object.entries(sql).map(([name, text]) => [`list ${list} ${name}`, text])
    ),
  ),
};

function named(file: string, statements: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(statements).map(([name, sql]) => [`${file}: ${name}`, sql]),
  );
}

/** They walk all that is pending, or open, on purpose, and are asked seldom. */
const WALKS_WHAT_WAITS = [
  "actions: shiftDue",
  "publishers: countPending",
  "reader: pending",
  "replaying: openReplays",
  "reader: openReplays",
];

/** They sort few rows: one event's, a short backlog, what is not rolled up, or what a replay looks at. */
const SORTS = [
  "backlogs: added",
  "backlogs: uncounted",
  "digest: mostExhausted",
  "health: addSuccesses",
  "totals: counts",
  "reader: health",
  "reader: pending",
  "rolling up: countDeliveries",
  "rolling up: countOutcomes",
  "rolling up: listEvents",
  "rolling up: listSubscriptions",
  "rolling up: listTypes",
  "scan: take",
  "scan: takePending",
  "search: eventsNamed",
  "search: eventsOfDeliveries",
  "seen: seenNew",
];

Deno.test("query plans: no statement walks a table that grows", async () => {
  const db = await openWriter(":memory:");
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    const walks = planOf(db, sql).filter((step) =>
      /^SCAN (events|deliveries|outcomes|pending|attempts|[adelopr]|idempotency|history|replays|tallies)\b/
        .test(
          step,
        )
    );
    const allowed = WALKS_WHAT_WAITS.includes(name)
      ? walks.filter((step) => /\b(pending|p)\b|replays_open/.test(step))
      : [];
    assertEquals(walks, allowed, name);
  }
  db.close();
});

Deno.test("query plans: lists and claims come sorted from their index", async () => {
  const db = await openWriter(":memory:");
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    // Looked at below: they sort what is not rolled up.
    if (name.startsWith("list ")) continue;
    const sorts = planOf(db, sql).some((step) => step.includes("TEMP B-TREE"));
    assertEquals(sorts, SORTS.includes(name), name);
  }
  db.close();
});

Deno.test("query plans: a claim reads nothing but the index of what is due", async () => {
  const db = await openWriter(":memory:");
  assertEquals(planOf(db, CLAIMING_SQL.due), [
    "SEARCH pending USING COVERING INDEX pending_due (subscription=?)",
  ]);
  assertEquals(
    planOf(db, PRUNING_SQL.finished)[0],
    "SEARCH o USING COVERING INDEX outcomes_by_end (state=? AND finished_at<?)",
  );
  db.close();
});

Deno.test("query plans: a search's slice is a range of an index, upwards and not sorted", async () => {
  const db = await openWriter(":memory:");
  for (const name of ["byTime", "bySubscription", "byType", "byState", "byPending"] as const) {
    for (const sql of [DELIVERY_LISTS[name].listed, DELIVERY_LISTS[name].found]) {
      const plan = planOf(db, sql);
      assertEquals(plan.filter((step) => step.includes("ORDER BY")), [], name);
      const [listed] = plan.filter((step) => step.startsWith("SEARCH l "));
      assertMatch(listed!, /USING (COVERING INDEX|PRIMARY KEY) .*created_at[^)]*\)?>/, name);
    }
    const [ends] = planOf(db, DELIVERY_LISTS[name].end).filter((step) =>
      step.startsWith("SEARCH l ")
    );
    assertMatch(ends!, /USING (COVERING INDEX|PRIMARY KEY) .*created_at[^)]*\)?>/, name);
  }
  const plan = planOf(db, EVENT_LISTS.byType.found);
  assertEquals(plan.filter((step) => step.includes("ORDER BY")), []);
  assert(
    plan.some((step) => /^SEARCH l USING PRIMARY KEY .*accepted_at,event\)>/.test(step)),
    plan.join("\n"),
  );
  db.close();
});

Deno.test("query plans: a replay looks at rows by nothing but an index", async () => {
  const db = await openWriter(":memory:");
  for (const name of LOOKS) {
    const [step, ...more] = planOf(db, SCAN_SQL[name]);
    assertEquals(more, [], name);
    assertMatch(
      step!,
      /^SEARCH \w+ USING (COVERING INDEX|PRIMARY KEY) .*created_at[^)]*\)?>/,
      name,
    );
  }
  db.close();
});

const LOOKS = [
  "lookByTime",
  "lookByState",
  "lookByPending",
  "lookBySubscription",
  "lookByType",
] as const;

function planOf(db: DatabaseSync, sql: string): string[] {
  if (/^\s*(pragma|begin|commit|rollback)/.test(sql)) return [];
  const statement = db.prepare(`explain query plan ${sql}`);
  const anonymous = sql.match(/\?/g)?.map(() => 1) ?? [];
  const named = Object.fromEntries([...sql.matchAll(/:(\w+)/g)].map(([, name]) => [name!, 1]));
  const rows = anonymous.length > 0 ? statement.all(...anonymous) : statement.all(named);
  return rows.map(({ detail }) => String(detail));
}
