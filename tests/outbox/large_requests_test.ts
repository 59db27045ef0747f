import { assert, assertEquals } from "@std/assert";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { totalsOf } from "./totals.ts";
import { accepted, aDelivery, aNewEvent, delivered, NOON } from "./building.ts";

async function inMemory(options: { batchRows?: number } = {}) {
  const db = await openWriter(":memory:");
  const open = () =>
    new SqliteOutbox(":memory:", { store: new Store(db, options), reader: new SqliteReader(db) });
  return { db, open, outbox: open() };
}

const list = <Item>(count: number, item: (index: number) => Item) =>
  Array.from({ length: count }, (_, index) => item(index));

Deno.test("SqliteOutbox: what was sent is recorded with the next commit, not behind lists of events", async () => {
  const { outbox } = await inMemory();
  const one = { events: [aNewEvent({ deliveries: [aDelivery({ claim: true })] })], at: NOON };
  const { claims } = accepted(await outbox.enqueue(one));
  const before = outbox.commits;
  const lists = list(5, () => outbox.enqueue({ events: list(300, () => aNewEvent()), at: NOON }));
  assert(await outbox.record(delivered(claims[0]!, NOON + 9)));
  assertEquals(outbox.commits, before + 1);
  await Promise.all(lists);
  assertEquals(outbox.commits, before + 5);
  assertEquals(await outbox.pending(), new Map([["crm", 1_500]]));
  await outbox.close();
});

Deno.test("SqliteOutbox: a step of the clock moves what was asked before it, and nothing that comes after", async () => {
  const { outbox } = await inMemory();
  const enqueue = (subscription: string) =>
    outbox.enqueue({
      events: list(300, () => aNewEvent({ deliveries: [aDelivery({ subscription })] })),
      at: NOON,
    });
  await Promise.all([
    enqueue("before"),
    enqueue("before"),
    outbox.shiftDue(NOON - 1, 500),
    enqueue("after"),
  ]);
  assertEquals(await outbox.nextDue(), new Map([["before", NOON + 500], ["after", NOON]]));
  await outbox.close();
});

Deno.test("SqliteOutbox: deliveries of one event keep their order, formats and causes, however many", async () => {
  const { outbox } = await inMemory();
  const deliveries = list(40, (i) =>
    aDelivery({
      subscription: `sub-${i % 7}-${i}`,
      format: `{"profile":"p${Math.floor(i / 5) % 3}"}`,
      cause: i % 11 === 0 ? "test" : "event",
    }));
  const { receipts } = accepted(
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON }),
  );
  const ids = receipts[0]!.deliveries.map(({ id }) => id);
  assertEquals(
    receipts[0]!.deliveries.map(({ subscription }) => subscription),
    deliveries.map(({ subscription }) => subscription),
  );
  assertEquals(ids, [...new Set(ids)].sort());
  for (const [index, { subscription, format, cause }] of deliveries.entries()) {
    const { claims } = await outbox.claim({ subscription, now: NOON, limit: 9 });
    assertEquals(
      claims.map(({ delivery, format }) => [delivery.id, format, delivery.cause]),
      [[ids[index]!, format, cause]],
    );
  }
  assertEquals((await outbox.audit()).faults, []);
  await outbox.close();
});

Deno.test("SqliteOutbox: a large request is rolled up batch by batch, and all is told alike meanwhile", async () => {
  const { db, outbox, open } = await inMemory({ batchRows: 8 });
  const subscriptions = list(5, (i) => `sub-${i}`);
  const deliveries = list(50, (i) => aDelivery({ subscription: `sub-${i % 5}`, claim: true }));
  const { claims } = accepted(
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON }),
  );
  const notRolledUp = () =>
    db.prepare("select count(*) as n from deliveries where seq > (select delivery from rolled_up)")
      .get() as { n: number };
  const left: number[] = [notRolledUp().n];
  for (const [done, at] of [49, 3, 30].entries()) {
    // Now those at the end, which no batch has reached, now those at the beginning.
    await outbox.record(delivered(claims[at]!, NOON + 10 + done));
    left.push(notRolledUp().n);
    const told = await totalsOf(outbox, { subscriptions });
    const pending = told.counts.map((text) => JSON.parse(text)[1].pending);
    assertEquals(pending.reduce((sum, count) => sum + count), 49 - done);
    assertEquals(told.tallies[0]![0]!.delivered, done + 1);
    assertEquals((await outbox.audit()).faults, []);
    // As after a kill: what is kept in memory comes from the rows alone.
    assertEquals(await totalsOf(open(), { subscriptions }), told);
  }
  assertEquals(left.map((rows, i) => i === 0 ? 8 : left[i - 1]! - rows >= 8), [
    8,
    true,
    true,
    true,
  ]);
  assert(left.at(-1)! > 0, "there was more than four batches");
  await outbox.close();
});

Deno.test("SqliteOutbox: whoever watches is told of all deliveries of a large request, some at a time", async () => {
  const { outbox } = await inMemory();
  const told: number[] = [];
  const seen = new Set<string>();
  outbox.watch((changes) => {
    told.push(changes.length);
    for (const change of changes) if (change.kind === "delivery") seen.add(change.delivery.id);
  });
  const events = list(300, () => aNewEvent({ deliveries: list(4, () => aDelivery()) }));
  await outbox.enqueue({ events, at: NOON });
  // What is asked next is told of afterwards.
  await outbox.enqueue({ events: [aNewEvent()], at: NOON });
  await outbox.close();
  assertEquals([seen.size, Math.max(...told) <= 500], [1_201, true]);
});
