import { assert, assertEquals, assertMatch } from "@std/assert";
import type { DatabaseSync } from "node:sqlite";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { EVENT_ID_SQL } from "../../src/outbox/sqlite/event_ids.ts";
import { DIGEST_SQL } from "../../src/outbox/sqlite/exhausted_digest.ts";
import { HEALTH_SQL } from "../../src/outbox/sqlite/health_keeping.ts";
import { INDEXING_SQL } from "../../src/outbox/sqlite/indexing.ts";
import { OLDEST_SQL, PRUNING_SQL } from "../../src/outbox/sqlite/pruning.ts";
import { PUBLISHER_SQL } from "../../src/outbox/sqlite/publisher_pending.ts";
import { READER_SQL } from "../../src/outbox/sqlite/reader.ts";
import { SEEN_SQL } from "../../src/outbox/sqlite/seen_types.ts";
import { SCAN_SQL } from "../../src/outbox/sqlite/replay_scan.ts";
import { REPLAYING_SQL } from "../../src/outbox/sqlite/replaying.ts";
import { DELIVERY_LISTS, EVENT_LISTS, SEARCH_SQL } from "../../src/outbox/sqlite/search_sql.ts";
import { SQL } from "../../src/outbox/sqlite/store.ts";
import { TALLYING_SQL } from "../../src/outbox/sqlite/tallying.ts";
import { TIMEKEEPING_SQL } from "../../src/outbox/sqlite/timekeeping.ts";

const STATEMENTS: Record<string, string> = {
  ...SQL,
  ...READER_SQL,
  ...SCAN_SQL,
  ...SEEN_SQL,
  ...REPLAYING_SQL,
  ...TALLYING_SQL,
  ...TIMEKEEPING_SQL,
  ...INDEXING_SQL,
  ...HEALTH_SQL,
  ...DIGEST_SQL,
  ...EVENT_ID_SQL,
  ...PRUNING_SQL,
  ...PUBLISHER_SQL,
  ...SEARCH_SQL,
  ...Object.fromEntries(
    [...Object.entries(DELIVERY_LISTS), ...Object.entries(EVENT_LISTS)].flatMap(([list, sql]) =>
      Object.entries(sql).map(([name, text]) => [`search ${list} ${name}`, text])
    ),
  ),
  ...Object.fromEntries(
    Object.entries(OLDEST_SQL).map(([kind, sql]) => [`oldest ${kind}`, sql]),
  ),
};

/** They walk all that is pending, or open, on purpose, and are asked seldom. */
const WALKS_PARTIAL_INDEX = ["shiftDue", "pending", "openReplays", "countPending"];

/**
 * They sort few rows: one event's, a short backlog, what is fresh, or what a step of a replay looks at.
 */
const SORTS = [
  "byEvent",
  "eventsNamed",
  "eventsOfDeliveries",
  "pendingOf",
  "take",
  "takePending",
  "fresh",
  "freshPending",
  "freshCounts",
  "freshSuccesses",
  "health",
  "pending",
  "mostExhausted",
  "seenFresh",
  "takeInCounts",
  "takeInEvents",
];

Deno.test("query plans: no statement walks a table that grows", async () => {
  const db = await openWriter(":memory:");
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    const walks = planOf(db, sql).filter((step) =>
      /^SCAN (events|deliveries|attempts|d|e|a|r|o|idempotency|history|replays|tallies)\b/.test(
        step,
      )
    );
    const allowed = WALKS_PARTIAL_INDEX.includes(name)
      ? walks.filter((step) => /deliveries_due|replays_open/.test(step))
      : [];
    assertEquals(walks, allowed, name);
  }
  db.close();
});

Deno.test("query plans: lists and claims come sorted from their index", async () => {
  const db = await openWriter(":memory:");
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    // Looked at below: they sort what is fresh.
    if (name.startsWith("search ")) continue;
    const sorts = planOf(db, sql).some((step) => step.includes("TEMP B-TREE"));
    assertEquals(sorts, SORTS.includes(name), name);
  }
  db.close();
});

Deno.test("query plans: a claim reads nothing but the index of what is due", async () => {
  const db = await openWriter(":memory:");
  assertEquals(planOf(db, SQL.due), [
    "SEARCH deliveries USING COVERING INDEX deliveries_due (subscription=?)",
  ]);
  assertEquals(planOf(db, PRUNING_SQL.finished), [
    "SEARCH deliveries USING INDEX deliveries_finished (state=? AND finished_at<?)",
  ]);
  db.close();
});

Deno.test("query plans: a search's slice is a range of an index, upwards and not sorted", async () => {
  const db = await openWriter(":memory:");
  for (const name of ["byTime", "bySubscription", "byType", "byState"] as const) {
    for (const sql of [DELIVERY_LISTS[name].listed, DELIVERY_LISTS[name].found]) {
      const plan = planOf(db, sql);
      assertEquals(plan.filter((step) => step.includes("ORDER BY")), [], name);
      const [indexed] = plan.filter((step) => step.startsWith("SEARCH d "));
      assertMatch(indexed!, /USING INDEX deliveries_.*created_at>\? AND created_at<\?/, name);
    }
    const [ends] = planOf(db, DELIVERY_LISTS[name].end).filter((step) =>
      step.startsWith("SEARCH d ")
    );
    assertMatch(ends!, /USING COVERING INDEX deliveries_.*created_at>\?/, name);
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
  for (const name of ["lookByTime", "lookByState", "lookBySubscription", "lookByType"] as const) {
    const [step, ...more] = planOf(db, SCAN_SQL[name]);
    assertEquals(more, [], name);
    assertMatch(step!, /^SEARCH deliveries USING COVERING INDEX .*created_at>\?/, name);
  }
  db.close();
});

function planOf(db: DatabaseSync, sql: string): string[] {
  if (/^\s*(pragma|begin|commit|rollback)/.test(sql)) return [];
  const statement = db.prepare(`explain query plan ${sql}`);
  const anonymous = sql.match(/\?/g)?.map(() => 1) ?? [];
  const named = Object.fromEntries([...sql.matchAll(/:(\w+)/g)].map(([, name]) => [name!, 1]));
  const rows = anonymous.length > 0 ? statement.all(...anonymous) : statement.all(named);
  return rows.map(({ detail }) => String(detail));
}
