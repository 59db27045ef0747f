import { assertEquals, assertRejects } from "@std/assert";
import type { Headers } from "../../src/domain/attempt.ts";
import { OutboxUnavailable } from "../../src/outbox/errors.ts";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { accepted, aDelivery, anAttempt, aNewEvent, answered, NOON } from "./building.ts";

async function inMemory() {
  const db = await openWriter(":memory:");
  const parts = { store: new Store(db), reader: new SqliteReader(db) };
  const outbox = new SqliteOutbox(":memory:", parts);
  /** A delivery whose receiver answered with these headers. */
  const deliver = async (headers: Headers, body = "seen"): Promise<string> => {
    const events = [aNewEvent({ deliveries: [aDelivery({ claim: true })] })];
    const [claim] = accepted(await outbox.enqueue({ events, at: NOON })).claims;
    const outcome = { ...answered(200), headers, body: new TextEncoder().encode(body) };
    const attempt = anAttempt({ outcome });
    await outbox.record({ claim: claim!, attempt, verdict: { kind: "delivered" }, at: NOON + 20 });
    return claim!.delivery.id;
  };
  const headersOf = async (delivery: string): Promise<Headers | undefined> => {
    const [attempt] = await outbox.attempts(delivery);
    const outcome = attempt!.outcome;
    return outcome.kind === "answered" ? outcome.headers : undefined;
  };
  const lists = () => Number(db.prepare("select count(*) as n from header_names").get()!.n);
  return { db, outbox, deliver, headersOf, lists };
}

Deno.test("attempts: headers come back in their order and spelling, also twice the same name", async () => {
  const { outbox, deliver, headersOf } = await inMemory();
  const headers: Headers = [["Set-Cookie", "a=1"], ["set-cookie", 'b="2"'], ["X-\u00e9", "\\"]];
  assertEquals(await headersOf(await deliver(headers)), headers);
  assertEquals(await headersOf(await deliver([])), []);
  assertEquals((await outbox.audit()).faults, []);
  await outbox.close();
});

Deno.test("attempts: the names of headers are stored once, and not without end", async () => {
  const { outbox, deliver, headersOf, lists } = await inMemory();
  const ids = new Map<string, Headers>();
  for (let i = 0; i < 1_010; i++) {
    const headers: Headers = [[`x-made-up-${i}`, `${i}`], ["date", "today"]];
    ids.set(await deliver(headers), headers);
  }
  const before = lists();
  for (let i = 0; i < 3; i++) await deliver([["x-made-up-1", "again"], ["date", "today"]]);
  assertEquals([before, lists()], [1_000, 1_000]);
  for (const [id, headers] of ids) assertEquals(await headersOf(id), headers);
  assertEquals((await outbox.audit()).faults, []);
  await outbox.close();
});

Deno.test("attempts: names that a rollback took back are given anew", async () => {
  const { db, outbox, deliver, headersOf } = await inMemory();
  const ask = (name: string) => Number(Object.values(db.prepare(`pragma ${name}`).get()!)[0]);
  db.exec(`pragma max_page_count = ${ask("page_count") - ask("freelist_count") + 12}`);
  const first: Headers = [["x-first", "1"]], second: Headers = [["x-second", "2"]];
  await assertRejects(() => deliver(first, "x".repeat(60_000)), OutboxUnavailable);
  db.exec("pragma max_page_count = 10000");
  assertEquals(await headersOf(await deliver(second)), second);
  assertEquals(await headersOf(await deliver(first)), first);
  await outbox.close();
});
