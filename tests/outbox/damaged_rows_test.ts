import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openSqliteOutbox, type SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { accepted, aDelivery, anEvent, aNewEvent, NOON } from "./building.ts";

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

/** Ten events, the fourth on pages of its own. */
async function store(path: string): Promise<void> {
  const outbox = await openSqliteOutbox(path);
  for (let number = 1; number <= 10; number++) {
    const filler = number === 4 ? "the fourth event ".repeat(3_000) : "x";
    const event = anEvent({ id: `ev-${number}`, data: JSON.stringify({ number, filler }) });
    accepted(
      await outbox.enqueue({ events: [aNewEvent({ event, deliveries: [aDelivery()] })], at: NOON }),
    );
  }
  await outbox.close();
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
    "select state, cast(reason as text) as reason from deliveries where seq = 4",
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
