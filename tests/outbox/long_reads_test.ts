import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { aDelivery, anEvent, aNewEvent, NOON } from "./building.ts";

/** A clock by which time goes on with each look at it: whatever works long enough gets late. */
class BusyClock implements Clock {
  rests = 0;
  #ms = 0;

  wall(): number {
    return NOON;
  }

  monotonicMs(): number {
    return this.#ms++;
  }

  after(ms: number, callback: () => void): () => void {
    this.rests++;
    this.#ms += ms;
    setImmediate(callback);
    return () => {};
  }
}

async function anOutbox(build: (outbox: SqliteOutbox) => Promise<void>) {
  const db = await openWriter(":memory:");
  const clock = new BusyClock();
  const parts = { store: new Store(db), reader: new SqliteReader(db, clock) };
  const outbox = new SqliteOutbox(":memory:", parts);
  await build(outbox);
  await outbox.prune({ delivered: 0, exhausted: 0, limit: 1 });
  clock.rests = 0;
  return { outbox, clock };
}

/** Two thousand events for one subscription. */
async function manyEvents(outbox: SqliteOutbox): Promise<void> {
  for (let stored = 0; stored < 2_000; stored += 500) {
    const events = Array.from({ length: 500 }, () => aNewEvent({ event: anEvent() }));
    await outbox.enqueue({ events, at: NOON });
  }
}

/** One event for two thousand subscriptions. */
async function manySubscriptions(outbox: SqliteOutbox): Promise<void> {
  const deliveries = Array.from(
    { length: 2_000 },
    (_, i) => aDelivery({ subscription: `s${i}` }),
  );
  await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON });
}

const reads: {
  readonly name: string;
  readonly build: (outbox: SqliteOutbox) => Promise<void>;
  readonly read: (outbox: SqliteOutbox) => Promise<unknown>;
}[] = [
  {
    name: "a search for a text",
    build: manyEvents,
    read: (outbox) => outbox.deliveries({ limit: 50, q: "nowhere" }),
  },
  {
    name: "a filter that no index answers",
    build: manyEvents,
    read: (outbox) => outbox.deliveries({ limit: 50, status: 204 }),
  },
  {
    name: "the count of a replay",
    build: manyEvents,
    read: (outbox) => outbox.countReplay({ since: 0, until: NOON + 1 }),
  },
  {
    name: "what waits, of all subscriptions",
    build: manySubscriptions,
    read: (outbox) => outbox.backlog(),
  },
  {
    name: "what is due, of all subscriptions",
    build: manySubscriptions,
    read: (outbox) => outbox.due(NOON),
  },
];

for (const { name, build, read } of reads) {
  Deno.test(`long reads: ${name} rests, and others run meanwhile`, async () => {
    const { outbox, clock } = await anOutbox(build);
    let turns = 0, isOver = false;
    const turn = () => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await read(outbox);
    isOver = true;
    assert(clock.rests > 0);
    assert(turns >= clock.rests, `${turns} turns of the loop, ${clock.rests} rests`);
    await new Promise((resolve) => setImmediate(resolve));
    await outbox.close();
  });
}

Deno.test("long reads: a page that its index answers never rests", async () => {
  const { outbox, clock } = await anOutbox(manyEvents);
  await outbox.deliveries({ limit: 50 });
  await outbox.deliveries({ limit: 50, subscription: "crm", state: "pending" });
  assertEquals(clock.rests, 0);
  await outbox.close();
});
