import { assertEquals } from "@std/assert";
import type { DatabaseSync } from "node:sqlite";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import {
  BARE_EVENTS,
  DELETE_ATTEMPTS,
  DELETE_EVENT,
  DELETE_KEYS,
  FINISHED,
} from "../../src/outbox/sqlite/pruning.ts";
import { READER_SQL } from "../../src/outbox/sqlite/reader.ts";
import { SQL } from "../../src/outbox/sqlite/store.ts";

const PRUNING = { BARE_EVENTS, DELETE_ATTEMPTS, DELETE_EVENT, DELETE_KEYS, FINISHED };

/** They walk all that is pending, on purpose, and are asked seldom. */
const WALKS_PENDING = ["shiftDue", "pending"];

/** They sort few rows: one event's, or a short backlog. */
const SORTS = ["byEvent", "pendingOf"];

Deno.test("query plans: no statement walks a table that grows", async () => {
  const db = await openWriter(":memory:");
  for (const [name, sql] of Object.entries({ ...SQL, ...READER_SQL, ...PRUNING })) {
    const walks = planOf(db, sql).filter((step) =>
      /^SCAN (events|deliveries|attempts|d|e|a|idempotency)\b/.test(step)
    );
    const allowed = WALKS_PENDING.includes(name)
      ? walks.filter((step) => step.includes("deliveries_due"))
      : [];
    assertEquals(walks, allowed, name);
  }
  db.close();
});

Deno.test("query plans: lists and claims come sorted from their index", async () => {
  const db = await openWriter(":memory:");
  for (const [name, sql] of Object.entries({ ...SQL, ...READER_SQL, ...PRUNING })) {
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
  assertEquals(planOf(db, FINISHED), [
    "SEARCH deliveries USING INDEX deliveries_finished (state=? AND finished_at<?)",
  ]);
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
