import { assert, assertEquals, assertRejects } from "@std/assert";
import { setImmediate } from "node:timers";
import type { DeliveryFilter, EventFilter, OutboxReader } from "../../src/outbox/reader.ts";
import { InvalidCursorError } from "../../src/outbox/errors.ts";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { accepted, aDelivery, anEvent, aNewEvent, NOON } from "./building.ts";

async function inMemory(clock: Clock = systemClock): Promise<SqliteOutbox> {
  const db = await openWriter(":memory:");
  const parts = { store: new Store(db), reader: new SqliteReader(db, clock) };
  return new SqliteOutbox(":memory:", parts);
}

/** A clock by which a quarter of a second passes with each look: a call looks at a few slices. */
class HurriedClock implements Clock {
  #ms = 0;

  wall(): number {
    return NOON;
  }

  monotonicMs(): number {
    return this.#ms += 250;
  }

  after(_ms: number, callback: () => void): () => void {
    setImmediate(callback);
    return () => {};
  }
}

/** Stores an event, with a delivery for each subscription; answers the deliveries' ids. */
async function post(
  outbox: SqliteOutbox,
  { id, type, data, metadata, scope, subscriptions = ["crm"], at = NOON }: {
    id?: string;
    type?: string;
    data?: string;
    metadata?: string;
    scope?: ReadonlyMap<string, string>;
    subscriptions?: readonly string[];
    at?: number;
  },
): Promise<[string, string, ...string[]]> {
  const event = anEvent({
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(data !== undefined && { data }),
    ...(metadata !== undefined && { metadata }),
    scope: scope ?? new Map(),
  });
  const deliveries = subscriptions.map((subscription) => aDelivery({ subscription }));
  const { receipts } = accepted(
    await outbox.enqueue({ events: [aNewEvent({ event, deliveries })], at }),
  );
  return receipts[0]!.deliveries.map(({ id }) => id) as [string, string];
}

/** All pages, as somebody reads them who follows `next`. */
async function allDeliveries(
  reader: Pick<OutboxReader, "deliveries">,
  filter: Omit<DeliveryFilter, "limit"> & { limit?: number },
): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await reader.deliveries({ limit: 50, ...filter, ...(cursor && { cursor }) });
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== undefined);
  return ids;
}

async function allEvents(
  reader: Pick<OutboxReader, "events">,
  filter: Omit<EventFilter, "limit"> & { limit?: number },
): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await reader.events({ limit: 50, ...filter, ...(cursor && { cursor }) });
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== undefined);
  return ids;
}

const DATA =
  '{"guest":"Zoë \\"Z\\" Quist","note":"50%_off\\\\ \\n2nd line","total":1.10,"n":9007199254740993,"tags":["a","b"]}';

const FOUND = [
  "Quist",
  "quist",
  "QUIST",
  "zoë",
  "ZOË",
  "Zoë",
  'Zoë "Z"',
  '"guest":"Zo',
  '"guest": "Zo',
  '"tags": [\n    "a"',
  "Zo\\u00eb",
  "50%_off",
  "50%_off\\",
  "\\ \n2nd",
  '"total":1.10',
  '"total": 1.10',
  "9007199254740993",
  "prop_7",
  "from the till",
];

const NOT_FOUND = [
  "Q_ist",
  "50%off",
  "5%off",
  "%",
  "Q.*t",
  "[a-z]",
  "Zoe",
  "1.1,",
  "Quist\0",
  "\0",
  "\\\\n",
  "(",
  "' or 1=1 --",
  "x".repeat(200),
];

Deno.test("search: a text is found however the payload spells it, and nothing else is", async () => {
  const outbox = await inMemory();
  const [id] = await post(outbox, {
    data: DATA,
    metadata: '{"source":"from the till"}',
    scope: new Map([["property_id", '"prop_7"']]),
  });
  await post(outbox, { data: '{"guest":"Ann"}' });
  for (const q of FOUND) {
    assertEquals(await allDeliveries(outbox, { q }), [id], JSON.stringify(q));
    assertEquals((await allEvents(outbox, { q })).length, 1, JSON.stringify(q));
  }
  const percent = await allDeliveries(outbox, { q: "%" });
  assertEquals(percent, [id], "a percent sign is a letter as any other");
  for (const q of NOT_FOUND.filter((text) => text !== "%")) {
    assertEquals(await allDeliveries(outbox, { q }), [], JSON.stringify(q));
    assertEquals(await allEvents(outbox, { q }), [], JSON.stringify(q));
  }
  await outbox.close();
});

Deno.test("search: finds by the beginning of any id, of a subscription and of a type", async () => {
  const outbox = await inMemory();
  const [crm, staff] = await post(outbox, {
    id: "bk_12345-created",
    type: "booking.created",
    subscriptions: ["crm", "staff-app"],
  });
  const [other] = await post(outbox, { id: "inv_1", type: "invoice.paid", subscriptions: ["crm"] });
  const sorted = async (q: string, more = {}) =>
    (await allDeliveries(outbox, { q, ...more })).sort();
  const both = [crm, staff].sort();
  assertEquals(await sorted("bk_12345-created"), both);
  assertEquals(await sorted("bk_1"), both);
  assertEquals(await sorted("k_12345"), []);
  assertEquals(await sorted(crm), [crm]);
  assertEquals(await sorted(crm.toLowerCase()), [crm]);
  assertEquals(await sorted(crm.slice(0, -1)), [crm, staff, other].sort());
  assertEquals(await sorted("dlv_"), [crm, staff, other].sort());
  assertEquals(await sorted("dlv_7"), []);
  assertEquals(await sorted("staff-app"), [staff]);
  assertEquals(await sorted("staff"), [staff]);
  assertEquals(await sorted("invoice.paid"), [other]);
  assertEquals(await sorted("invoice"), [other]);
  assertEquals(await sorted("bk_1", { subscription: "staff-app" }), [staff]);
  assertEquals(await sorted("bk_1", { state: "delivered" }), []);
  assertEquals(await sorted("crm", { state: "pending", type: "invoice.paid" }), [other]);
  assertEquals(await sorted("crm", { since: NOON + 1 }), []);
  assertEquals(await sorted("crm", { until: NOON }), []);

  assertEquals(await allEvents(outbox, { q: "bk_123" }), ["bk_12345-created"]);
  assertEquals(await allEvents(outbox, { q: other }), ["inv_1"]);
  assertEquals(await allEvents(outbox, { q: "invoice" }), ["inv_1"]);
  assertEquals(await allEvents(outbox, { q: "bk_", type: "invoice.paid" }), []);
  await outbox.close();
});

Deno.test("search: finds an event that nobody got, and one by the id that receivers know", async () => {
  const outbox = await inMemory();
  await post(outbox, { id: "alone-1", subscriptions: [] });
  await outbox.enqueue({
    events: ["shop", "till"].map((publisher) =>
      aNewEvent({
        event: anEvent({ id: "twice" }),
        publisher,
        contentHash: new Uint8Array(16),
        spareId: () => "spare_77",
      })
    ),
    at: NOON,
  });
  assertEquals(await allEvents(outbox, { q: "alone" }), ["alone-1"]);
  assertEquals(await allEvents(outbox, { q: "spare_7" }), ["twice"]);
  assertEquals((await allDeliveries(outbox, { q: "spare_7" })).length, 1);
  assertEquals((await allDeliveries(outbox, { q: "twi" })).length, 2);
  await outbox.close();
});

Deno.test("search: what hides payloads finds by ids alone", async () => {
  const outbox = await inMemory();
  const [id] = await post(outbox, {
    id: "bk_1",
    data: '"needle"',
    scope: new Map([["a", '"thread"']]),
  });
  for (const q of ["needle", "thread"]) {
    assertEquals(await allDeliveries(outbox, { q, hidesData: true }), [], q);
    assertEquals(await allEvents(outbox, { q, hidesData: true }), [], q);
  }
  assertEquals(await allDeliveries(outbox, { q: "bk_", hidesData: true }), [id]);
  await outbox.close();
});

/** Some of what matters to a filter, in every mixture. */
async function aMixture(outbox: SqliteOutbox): Promise<{ id: string; row: Row }[]> {
  const stored: { id: string; row: Row }[] = [];
  for (let i = 0; i < 240; i++) {
    const row: Row = {
      id: i % 5 === 0 ? `needle-${i}` : `evt-${i}`,
      type: i % 4 === 0 ? "needle" : i % 4 === 1 ? "needle.more" : "other",
      subscription: ["needle", "need", "other"][i % 3]!,
      data: i % 7 === 0 ? '"a NEEDLE here"' : '"hay"',
      at: NOON + Math.floor(i / 3),
    };
    const [id] = await post(outbox, { ...row, subscriptions: [row.subscription] });
    stored.push({ id, row });
  }
  return stored;
}

interface Row {
  readonly id: string;
  readonly type: string;
  readonly subscription: string;
  readonly data: string;
  readonly at: number;
}

const fits = ({ id, type, subscription, data }: Row) =>
  id.startsWith("needle") || type.startsWith("needle") || subscription === "needle" ||
  data.includes("NEEDLE");

Deno.test("search: the pages together hold all that fits, each once, however they are cut", async () => {
  const outbox = await inMemory(new HurriedClock());
  const stored = await aMixture(outbox);
  const expected = (also: (row: Row) => boolean) =>
    stored.filter(({ row }) => fits(row) && also(row)).map(({ id }) => id).sort();
  const filters = [
    [{}, () => true],
    [{ subscription: "other" }, ({ subscription }) => subscription === "other"],
    [{ type: "other" }, ({ type }) => type === "other"],
    [{ state: "pending" }, () => true],
    [{ state: "pending", subscription: "need" }, ({ subscription }) => subscription === "need"],
    [{ since: NOON + 20, until: NOON + 60 }, ({ at }) => at >= NOON + 20 && at < NOON + 60],
    [{ state: "cancelled" }, () => false],
  ] as const satisfies readonly (readonly [Partial<DeliveryFilter>, (row: Row) => boolean])[];
  for (const isIndexed of [false, true]) {
    if (isIndexed) await outbox.countReplay({ since: 0, until: NOON + 1_000 });
    for (const limit of [1, 7, 500]) {
      for (const [filter, also] of filters) {
        const found = await allDeliveries(outbox, { q: "needle", limit, ...filter });
        assertEquals([...found].sort(), expected(also), JSON.stringify({ filter, limit }));
      }
      const events = await allEvents(outbox, { q: "needle", limit });
      const named = stored.filter(({ row }) => fits({ ...row, subscription: "" }));
      assertEquals([...events].sort(), named.map(({ row }) => row.id).sort());
    }
  }
  await outbox.close();
});

Deno.test("search: a page is newest first", async () => {
  const outbox = await inMemory();
  await aMixture(outbox);
  const { items } = await outbox.deliveries({ q: "needle", limit: 500 });
  const ids = items.map(({ id }) => id);
  assertEquals(ids, [...ids].sort().reverse());
  await outbox.close();
});

Deno.test("search: more events than are looked up beforehand are found by their ids all the same", async () => {
  const outbox = await inMemory();
  for (let from = 0; from < 1_200; from += 400) {
    const events = Array.from(
      { length: 400 },
      (_, i) => aNewEvent({ event: anEvent({ id: `many-${from + i}` }) }),
    );
    await outbox.enqueue({ events, at: NOON + from });
  }
  assertEquals((await allDeliveries(outbox, { q: "many-", limit: 500 })).length, 1_200);
  assertEquals((await allEvents(outbox, { q: "many-", limit: 500 })).length, 1_200);
  assertEquals((await allEvents(outbox, { q: "many-119", limit: 500 })).length, 11);
  await outbox.close();
});

Deno.test("search: a call ends in time, says how far back it is, and goes on from there", async () => {
  const outbox = await inMemory(new HurriedClock());
  await post(outbox, { data: '"needle"', at: NOON - 60_000 });
  for (let stored = 0; stored < 400; stored += 100) {
    const events = Array.from({ length: 100 }, () => aNewEvent());
    await outbox.enqueue({ events, at: NOON + stored });
  }
  await outbox.countReplay({ since: 0, until: NOON + 9_999 });
  const first = await outbox.deliveries({ q: "needle", limit: 10 });
  assertEquals(first.items, []);
  const { backTo, rows, of } = first.searched!;
  assert(backTo >= NOON && backTo < NOON + 400, `back to ${backTo - NOON}`);
  assert(rows > 0 && rows < 401, `${rows} rows`);
  assertEquals(of, 401);
  let calls = 1, last = rows;
  for (let page = first; page.next !== undefined; calls++) {
    page = await outbox.deliveries({ q: "needle", limit: 10, cursor: page.next });
    if (page.next === undefined) assertEquals(page.items.length, 1);
    else assert(page.searched!.rows > last, "it gets on");
    last = page.searched?.rows ?? last;
  }
  assert(calls > 2 && calls < 150, `${calls} calls`);
  await outbox.close();
});

Deno.test("search: goes on where retention took away what it had reached", async () => {
  const outbox = await inMemory(new HurriedClock());
  const [kept] = await post(outbox, { data: '"needle"', at: NOON });
  for (let i = 1; i <= 400; i++) await post(outbox, { at: NOON + i });
  await outbox.countReplay({ since: 0, until: NOON + 9_999 });
  const first = await outbox.deliveries({ q: "needle", limit: 10 });
  const ids = await allDeliveries(outbox, { since: NOON + 1 });
  await outbox.cancel(ids, "no longer wanted", NOON + 500);
  while (
    (await outbox.prune({ delivered: NOON + 900, exhausted: NOON + 900, limit: 500 })).mayHaveMore
  );
  const found: string[] = [];
  for (let { next } = first; next !== undefined;) {
    const page = await outbox.deliveries({ q: "needle", limit: 10, cursor: next });
    found.push(...page.items.map(({ id }) => id));
    next = page.next;
  }
  assertEquals(found, [kept]);
  await outbox.close();
});

Deno.test("search: no cursor is taken that no search hands out", async () => {
  const outbox = await inMemory();
  await post(outbox, {});
  for (const cursor of ["", "x", "e", "e\n", "z01HS1JB3Y00000000000000042", "s".repeat(27), "\0"]) {
    await assertRejects(
      () => outbox.deliveries({ q: "x", limit: 1, cursor }),
      InvalidCursorError,
      undefined,
      JSON.stringify(cursor),
    );
    await assertRejects(() => outbox.events({ q: "x", limit: 1, cursor }), InvalidCursorError);
  }
  // Of another search: it goes on with the next that this one has.
  const foreign = `s01HS1JB3Y00000000000000042`;
  assertEquals((await outbox.deliveries({ q: "x", limit: 1, cursor: foreign })).items, []);
  await outbox.close();
});

Deno.test("search: in a file it walks on a thread, several at once, while events are stored", async () => {
  const folder = await Deno.makeTempDir();
  const outbox = await openSqliteOutbox(`${folder}/outbox.db`);
  try {
    const [id] = await post(outbox, { data: '"needle"', at: NOON - 1 });
    for (let stored = 0; stored < 4_000; stored += 1_000) {
      await outbox.enqueue({ events: Array.from({ length: 1_000 }, () => aNewEvent()), at: NOON });
    }
    const searches = Promise.all([
      allDeliveries(outbox, { q: "NEEDLE" }),
      allDeliveries(outbox, { q: "needle", state: "pending" }),
      allDeliveries(outbox, { q: "nowhere" }),
      allEvents(outbox, { q: "needle" }),
    ]);
    const [later] = await post(outbox, { data: '"later"', at: NOON + 1 });
    const [first, second, third, events] = await searches;
    assertEquals([first, second, third], [[id], [id], []]);
    assertEquals(events.length, 1);
    assertEquals(await allDeliveries(outbox, { q: "later" }), [later], "it sees what was stored");
  } finally {
    await outbox.close();
    await Deno.remove(folder, { recursive: true });
  }
});
