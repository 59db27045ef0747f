import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import type { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { deliveryId } from "../../src/outbox/ids.ts";
import type { Enqueue, ExhaustedDigest } from "../../src/outbox/outbox.ts";
import { until } from "../support/until.ts";
import { Chance } from "../simulation/chance.ts";
import { accepted, aDelivery, anEvent, aNewEvent, delivered, exhausted, NOON } from "./building.ts";

const PAGE = 4_096;

/** What became of one event's rows, of ten; and how an audit names it. */
interface Damage {
  readonly what: string;
  /** Changes the rows, by statements. */
  readonly sql?: string;
  /** Overwrites the pages of the file that hold this text. */
  readonly overwrite?: string;
  readonly told: string;
}

const DAMAGES: readonly Damage[] = [
  {
    what: "data that is not valid JSON any more",
    sql: `update events set data = cast('{"broken' as blob) where seq = 4`,
    told: "row 4 of events is damaged: data is not valid JSON any more",
  },
  {
    what: "a scope that is not valid JSON any more",
    sql: `update events set scope = x'ff00fe' where seq = 4`,
    told: "row 4 of events is damaged: scope is not valid JSON any more",
  },
  {
    what: "a format that is gone",
    sql: "pragma foreign_keys = off; update deliveries set format = 99 where event = 4",
    told: "of deliveries refers to a row of formats that is gone",
  },
  {
    what: "an event that is gone",
    sql: "pragma foreign_keys = off; delete from events where seq = 4",
    told: "of deliveries refers to a row of events that is gone",
  },
  {
    what: "a type that is gone",
    sql: "pragma foreign_keys = off; update events set type = 99 where seq = 4",
    told: "of events refers to a row of types that is gone",
  },
  {
    what: "a format that is not valid JSON any more",
    sql: `insert into formats (id, name) values (99, cast('{"broken' as blob));
      update deliveries set format = 99 where event = 4`,
    told: "row 99 of formats is damaged: name is not valid JSON any more",
  },
  {
    what: "data on pages that were overwritten",
    overwrite: "the fourth event",
    told: "row 4 of events",
  },
];

for (const { what, sql, overwrite, told } of DAMAGES) {
  Deno.test(`damaged rows: ${what} ends that delivery and no other`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/outbox.db`;
      await store(path);
      if (sql) change(path, sql);
      if (overwrite) await overwritePages(path, overwrite);

      const outbox = await openSqliteOutbox(path);
      const { claims, damaged } = await outbox.claim({ subscription: "crm", now: NOON, limit: 20 });
      assertEquals([claims.length, damaged], [9, 1]);
      const again = await outbox.claim({ subscription: "crm", now: NOON, limit: 20 });
      assertEquals([again.claims.length, again.damaged], [0, undefined]);
      const digests: ExhaustedDigest[] = [];
      await outbox.tellExhausted(NOON, (digest) => void digests.push(digest));
      assertEquals([digests[0]?.deliveries, digests[0]?.most[0]?.example.reason], [
        1,
        "its data is damaged",
      ]);
      assertEquals(await outbox.unavailableBecause(), undefined);
      await assertEnded(outbox, path, told);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("damaged rows: more of them than a claim takes stand in nobody's way", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/outbox.db`;
    await store(path);
    change(path, `update events set data = x'00' where seq <= 8`);
    const outbox = await openSqliteOutbox(path);
    const claimed: number[] = [];
    for (let round = 0; round < 5; round++) {
      const { claims } = await outbox.claim({ subscription: "crm", now: NOON, limit: 2 });
      claimed.push(claims.length);
    }
    assertEquals(claimed, [0, 0, 0, 0, 2]);
    await outbox.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("damaged rows: JSON that is nested deeper than SQLite reads is as sound as any", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/outbox.db`;
    const before = await openSqliteOutbox(path);
    const data = "[".repeat(3_000) + "]".repeat(3_000);
    await before.enqueue({ events: [aNewEvent({ event: anEvent({ data }) })], at: NOON });
    await before.close();
    const outbox = await openSqliteOutbox(path);
    const { claims, damaged } = await outbox.claim({ subscription: "crm", now: NOON, limit: 2 });
    assertEquals([claims[0]?.event.data, damaged], [data, undefined]);
    assertEquals((await outbox.audit()).faults, []);
    await outbox.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const page of ["data", "row"] as const) {
  Deno.test(`damaged rows: what comes upon one whose ${page} is gone goes on with the others`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/outbox.db`;
      const quota = { publisher: "shop", most: 100 };
      await store(path, { quota });
      if (page === "data") await overwritePages(path, "the fourth event");
      else await overwriteRow(path, "ev-4");

      const outbox = await openSqliteOutbox(path);
      const { claims, damaged } = await outbox.claim({ subscription: "crm", now: NOON, limit: 20 });
      assertEquals([claims.length, damaged], [9, 1]);
      const last = claims.pop()!;
      for (const claim of claims) assert(await outbox.record(exhausted(claim, NOON)));
      const more = await outbox.enqueue({
        events: [aNewEvent({ publisher: "shop" })],
        quota,
        at: NOON,
      });
      assertEquals(more.kind, "accepted");
      // In one commit with what can be done.
      const [again, cancelled] = await Promise.allSettled([
        outbox.redeliver(deliveryId({ createdAt: NOON, seq: 4 }), NOON),
        outbox.cancel([last.delivery.id], "no need", NOON),
      ]);
      assertEquals(again.status, "rejected");
      assertTold((again as PromiseRejectedResult).reason);
      assertEquals((cancelled as PromiseFulfilledResult<number>).value, 1);

      const filter = { state: "exhausted", since: 0, until: NOON + 1 } as const;
      const { id } = await outbox.startReplay({ filter, by: "anna", at: NOON });
      assertEquals(await outbox.stepReplay(id, { limit: 100, at: NOON }), {
        subscriptions: ["crm"],
        cancelled: [],
        finished: true,
      });
      assertEquals(await outbox.pending(), new Map([["crm", 9]]));

      const times = { delivered: NOON + 1, exhausted: NOON + 1, limit: 4 };
      const pruned = { deliveries: 0, events: 0 };
      for (let batch = 0; batch < 8; batch++) {
        const { deliveries, events } = await outbox.prune(times);
        pruned.deliveries += deliveries;
        pruned.events += events;
      }
      // What is sent again keeps its event.
      assertEquals(pruned, { deliveries: 10, events: 1 });
      assertEquals(await outbox.unavailableBecause(), undefined);
      await outbox.close();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("damaged rows: deliveries on a damaged page are set aside, and the others go on", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/outbox.db`;
    const before = await openSqliteOutbox(path);
    await before.enqueue({ events: Array.from({ length: 1_000 }, () => aNewEvent()), at: NOON });
    await before.countReplay({ since: 0, until: NOON + 1 });
    await before.close();
    await overwritePageOf(path, "deliveries");

    const outbox = await openSqliteOutbox(path);
    const { claims, damaged } = await outbox.claim({
      subscription: "crm",
      now: NOON,
      limit: 2_000,
    });
    assertEquals(damaged, 1_000 - claims.length);
    assert(claims.length > 800 && claims.length < 1_000, `${claims.length} claims`);
    for (const claim of [claims[0]!, claims.at(-1)!]) {
      assert(await outbox.record(delivered(claim, NOON)));
    }
    const again = await outbox.claim({ subscription: "crm", now: NOON, limit: 2_000 });
    assertEquals([again.claims, again.damaged], [[], undefined]);
    assertEquals(await outbox.unavailableBecause(), undefined);
    await outbox.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("damaged rows: a publisher's pending deliveries are counted without them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/outbox.db`;
    await store(path);
    await overwriteRow(path, "ev-4");
    const outbox = await openSqliteOutbox(path);
    const quota = { publisher: "shop", most: 10 };
    const post = () =>
      outbox.enqueue({ events: [aNewEvent({ publisher: "shop" })], quota, at: NOON });
    // While they are being counted it holds for what is counted so far.
    assertEquals((await post()).kind, "accepted");
    await until(async () => {
      // Too large for its quota whatever is pending, it says how much that is.
      const events = [aNewEvent({ publisher: "shop" }), aNewEvent({ publisher: "shop" })];
      const answer = await outbox.enqueue({ events, quota: { ...quota, most: 1 }, at: NOON });
      return answer.kind === "tooManyPending" && answer.pending === 10;
    }, "all are counted");
    assertEquals(await post(), { kind: "tooManyPending", pending: 10, more: 1 });
    await outbox.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** As a disk does that writes pages in each other's place. */
Deno.test("damaged rows: pages of rows that changed places keep nothing waiting", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const whole = `${folder}/whole.db`;
    await storeMany(whole);
    const chance = new Chance(1);
    const leaves = [...leavesOf(whole), ...leavesOf(whole)];
    for (const [name, pages] of leaves) {
      const path = `${folder}/outbox.db`;
      await Deno.copyFile(whole, path);
      await shufflePages(path, pages, chance);
      const outbox = await openSqliteOutbox(path);
      const { faults } = await outbox.audit();
      assert(faults.length > 0, `nothing is told of ${name}`);
      await outbox.countReplay({ since: 0, until: NOON + 1 }).catch(assertTold);
      await replayAll(outbox).catch(assertTold);
      await outbox.deliveries({ limit: 500, q: "nowhere" }).catch(assertTold);
      await outbox.events({ limit: 500, q: "nowhere" }).catch(assertTold);
      await outbox.close();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Ten events, the fourth on pages of its own. */
async function store(path: string, options: Partial<Enqueue> = {}): Promise<void> {
  const outbox = await openSqliteOutbox(path);
  for (let number = 1; number <= 10; number++) {
    const filler = number === 4 ? "the fourth event ".repeat(3_000) : "x".repeat(2_500);
    const event = anEvent({ id: `ev-${number}`, data: JSON.stringify({ number, filler }) });
    const events = [aNewEvent({ event, publisher: "shop", deliveries: [aDelivery()] })];
    accepted(await outbox.enqueue({ events, at: NOON, ...options }));
  }
  // Has the indexes take them in, as all but the newest rows are.
  await outbox.countReplay({ since: 0, until: NOON + 1 });
  await outbox.close();
}

/** So many events that the rows of each table and index are on several pages. */
async function storeMany(path: string): Promise<void> {
  const outbox = await openSqliteOutbox(path);
  for (let number = 1; number <= 2_000; number += 500) {
    const events = Array.from({ length: 500 }, (_, i) => {
      const data = JSON.stringify({ number: number + i });
      return aNewEvent({
        event: anEvent({ id: `ev-${number + i}`, data }),
        deliveries: [aDelivery()],
      });
    });
    accepted(await outbox.enqueue({ events, at: NOON }));
  }
  const { claims } = await outbox.claim({ subscription: "crm", now: NOON, limit: 2_000 });
  for (const [index, claim] of claims.entries()) {
    void outbox.record(index % 3 === 0 ? exhausted(claim, NOON) : delivered(claim, NOON));
  }
  await outbox.countReplay({ since: 0, until: NOON + 1 });
  await outbox.close();
}

async function replayAll(outbox: SqliteOutbox): Promise<void> {
  const filter = { since: 0, until: NOON + 1 };
  const { id } = await outbox.startReplay({ filter, by: "anna", at: NOON });
  for (let finished = false; !finished;) {
    ({ finished } = await outbox.stepReplay(id, { limit: 1_000, at: NOON }));
  }
}

/** The pages of rows of each table and index that has several. */
function leavesOf(path: string): Map<string, number[]> {
  using db = new DatabaseSync(path);
  const pages = db.prepare(`select name, pageno from dbstat
    where pagetype = 'leaf' and name <> 'sqlite_schema' order by name, path`)
    .all() as { name: string; pageno: number }[];
  const leaves = new Map<string, number[]>();
  for (const { name, pageno } of pages) leaves.set(name, [...leaves.get(name) ?? [], pageno]);
  for (const [name, { length }] of leaves) if (length < 5) leaves.delete(name);
  return leaves;
}

async function shufflePages(path: string, pages: readonly number[], chance: Chance): Promise<void> {
  const bytes = await Deno.readFile(path);
  const page = (number: number) => bytes.subarray((number - 1) * PAGE, number * PAGE);
  for (let last = pages.length - 1; last > 0; last--) {
    const one = page(pages[last]!), other = page(pages[chance.whole(0, last)]!), kept = one.slice();
    one.set(other);
    other.set(kept);
  }
  await Deno.writeFile(path, bytes);
}

async function assertEnded(outbox: SqliteOutbox, path: string, told: string): Promise<void> {
  const { faults } = await outbox.audit();
  assert(faults.some((fault) => fault.includes(told)), `${told}: ${faults.join("\n")}`);
  // Nothing that lists or shows them breaks.
  await outbox.health();
  await outbox.counts(["crm"]);
  assert((await outbox.events({ limit: 50 })).items.length >= 9);
  assert((await outbox.deliveries({ limit: 50, q: "number" })).items.length >= 9);
  const event = await outbox.event("ev-4").catch(assertTold);
  if (event) JSON.parse(event.data);
  await outbox.close();

  using db = new DatabaseSync(path, { readOnly: true });
  const ended = db.prepare(
    "select state, cast(reason as text) as reason from deliveries_now where seq = 4",
  );
  assertEquals({ ...ended.get() }, { state: 2, reason: "its data is damaged" });
}

function assertTold(error: Error): undefined {
  assertStringIncludes(error.message, "its data is damaged; run bellhook audit, which names it");
}

function change(path: string, sql: string): void {
  using db = new DatabaseSync(path);
  db.exec(sql);
}

/** The one page that holds an event's row, and no other's. */
async function overwriteRow(path: string, id: string): Promise<void> {
  const page = await overwritePageOf(path, "events", "and ncell = 1");
  assertStringIncludes(new TextDecoder().decode(page), id);
}

/** The fourth page of a table's rows; answers what it was. */
async function overwritePageOf(path: string, table: string, where = ""): Promise<Uint8Array> {
  using db = new DatabaseSync(path);
  const { pageno } = db.prepare(`select pageno from dbstat where name = ? and pagetype = 'leaf'
    ${where} order by path limit 1 offset 3`).get(table)!;
  db.close();
  const bytes = await Deno.readFile(path);
  const page = bytes.subarray((Number(pageno) - 1) * PAGE, Number(pageno) * PAGE);
  const before = page.slice();
  page.fill(0xff);
  await Deno.writeFile(path, bytes);
  return before;
}

/** As a disk does that gives back other pages than were written. */
async function overwritePages(path: string, text: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  const words = new TextEncoder().encode(text);
  let overwritten = 0;
  for (let at = 0; at < bytes.length; at += PAGE) {
    const page = bytes.subarray(at, at + PAGE);
    const holds = page.some((_, i) => words.every((byte, j) => page[i + j] === byte));
    // Only where all of the page is its own.
    if (!holds || page[0] === 0x0d) continue;
    page.fill(0xff);
    overwritten++;
  }
  assert(overwritten > 5);
  await Deno.writeFile(path, bytes);
}
