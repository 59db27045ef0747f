import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { FoundEvent } from "../../src/outbox/reader.ts";
import { auditDatabase } from "../../src/outbox/sqlite/audit.ts";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { MIGRATIONS } from "../../src/outbox/sqlite/migrations.ts";
import { migrate } from "../../src/outbox/sqlite/schema.ts";
import { type Log, silentLog } from "../../src/runtime/log.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { delivered } from "./building.ts";

const SCHEMAS = new URL("./schemas/", import.meta.url);

const NOON = Date.UTC(2024, 3, 15, 12);

/** From here on version 6 wrote what is in its database and in none of those before it. */
const SINCE_6 = 1_710_966_670_000;

/** Every schema that a newer one has followed. */
const PAST = MIGRATIONS.map((_, index) => index + 1).slice(0, -1);

for (const version of PAST) {
  Deno.test(`migration: schema version ${version} is as it was released`, async () => {
    using old = opened(":memory:");
    old.exec(await textOf(version));
    using made = opened(":memory:");
    migrate(made, ":memory:", MIGRATIONS.slice(0, version));
    assertEquals(schemaOf(old), schemaOf(made));
    assertEquals(versionOf(old), version);
  });

  Deno.test(`migration: a database of version ${version} comes to the newest whole`, async () => {
    const { folder, path, before } = await aDatabase(version);
    const copied: unknown[] = [];
    using db = await openWriter(path, { onCopied: (copy) => copied.push(copy) });
    using newest = opened(":memory:");
    migrate(newest, ":memory:");
    assertEquals(schemaOf(db), schemaOf(newest));
    assertEquals(versionOf(db), MIGRATIONS.length);
    assertEquals(auditDatabase(db).faults, []);
    assertEquals(rowsOf(db, before), before);
    assertEquals(await talliedIn(db), attemptsIn(db));
    assertThrows(() => db.exec("update deliveries set cause = 'whim'"), Error, "CHECK");

    const copy = `${path}-v${version}-backup`;
    assertEquals(copied, [{ copy, fromVersion: version, toVersion: MIGRATIONS.length }]);
    using kept = opened(copy);
    assertEquals([versionOf(kept), rowsOf(kept, before)], [version, before]);
    await Deno.remove(folder, { recursive: true });
  });

  Deno.test(`story: a daemon on a database of version ${version} says so and delivers the rest`, async () => {
    const { folder, path } = await aDatabase(version);
    const told: unknown[] = [];
    const log: Log = Object.assign(Object.create(silentLog), {
      copiedBeforeMigration: (facts: unknown) => told.push(facts),
    });
    await using receiver = startRawServer();
    const local = { url: receiver.url, allowHttp: true, allowNetworks: ["127.0.0.0/8"] };
    const config = aConfig({ subscriptions: [aSubscription({ id: "bad", ...local })] });
    const onDisk = { ...config, storage: { ...config.storage, path } };
    const daemon = await aDaemon(onDisk, { log });
    const copy = `${path}-v${version}-backup`;
    const versions = { fromVersion: version, toVersion: MIGRATIONS.length };
    assertEquals(told, [{ database: path, copy, ...versions }]);

    const list = (state: string) => daemon.call("GET", `/v1/deliveries?state=${state}`);
    const pending: { id: string }[] = (await list("pending")).body.items;
    assert(pending.length > 0);
    await daemon.call("POST", "/v1/subscriptions/bad/resume");
    await until(async () => (await list("pending")).body.items.length === 0, "the rest goes out");
    assertEquals(receiver.requests.length, pending.length);
    const { body: delivery } = await daemon.call("GET", `/v1/deliveries/${pending[0]!.id}`);
    assertEquals([delivery.state, delivery.attempts.length], ["delivered", 1]);
    await daemon.stop();
    using db = opened(path);
    assertEquals(auditDatabase(db).faults, []);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("migration: what was stored under an id before keeps it, and is met again by its publisher", async () => {
  const { folder, path } = await aDatabase(5);
  {
    using db = opened(path);
    // Of deliveries that finished, two of one subscription, to go on with after the upgrade.
    db.exec(`insert into replays select 2, created_at, operator, subscription, type, state, since,
      until + 1, cursor_at, cursor_seq, ends_at, total, 0, null from replays where number = 1;
      update replays_begun set count = 2`);
  }
  const outbox = await openSqliteOutbox(path);
  const [own, cloud] = await Promise.all(["bk_2", "ce-1"].map((id) => outbox.event(id)));
  const post = async (
    { sameId: _, acceptedAt: __, publisher: ___, ...event }: FoundEvent,
    { publisher, source, of }: { publisher?: string; source?: string; of: string },
  ) => {
    const stored = await outbox.enqueue({
      events: [{
        event,
        ...(publisher === undefined ? {} : { publisher }),
        ...(source === undefined ? {} : { source }),
        contentHash: Uint8Array.fromHex(of),
        spareId: () => `evt_${publisher}${source}`,
        deliveries: [],
      }],
      at: NOON,
    });
    return stored.kind === "accepted" ? stored.stored : stored.kind;
  };
  const hash = "b262bb68accede69e14b5bfce25642a7", other = "00".repeat(16);
  assertEquals(await post(own!, { publisher: "app", of: hash }), 0);
  assertEquals(await post(own!, { publisher: "app", of: other }), "idConflict");
  assertEquals(await post(own!, { publisher: "crm", of: other }), 1);
  const cloudHash = "6cd0ea9bc9a8a98d30fffaf00933e1ec";
  const checkout = { publisher: "app", source: "/checkout" };
  assertEquals(await post(cloud!, { ...checkout, of: cloudHash }), 0);
  assertEquals(await post(cloud!, { ...checkout, of: other }), "idConflict");
  assertEquals(await post(cloud!, { ...checkout, source: "/till", of: other }), 1);
  const { claims } = await outbox.claim({ subscription: "bad", now: NOON, limit: 9 });
  assertEquals(
    claims.map(({ event }) => [event.id, event.sentAs]),
    [["bk_1", undefined], ["ce-1", undefined], ["bk_2", undefined]],
  );
  const [replay] = await outbox.openReplays();
  assertEquals(replay?.filter.subscription, "bad");
  for (let finished = false; !finished;) {
    ({ finished } = await outbox.stepReplay(replay!.id, { limit: 10, at: NOON }));
  }
  assertEquals((await outbox.openReplays()).length, 0);
  assertEquals((await outbox.audit()).faults, []);
  await outbox.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("migration: what waits, is held and is sent again goes on after it, and is counted once", async () => {
  const { folder, path } = await aDatabase(6);
  const outbox = await openSqliteOutbox(path);
  assertEquals(
    await outbox.counts(["good", "bad"]),
    new Map([
      ["good", { pending: 0, delivered: 7, exhausted: 0, cancelled: 0 }],
      ["bad", { pending: 5, delivered: 0, exhausted: 3, cancelled: 2 }],
    ]),
  );
  const health = await outbox.health();
  assertEquals(health.get("good")?.lastSuccessAt, SINCE_6 + 740);
  assertEquals(health.get("bad")?.pausedReason, "paused by local");
  assertEquals(await outbox.exhaustedSince(), SINCE_6 + 340);
  assertEquals(await outbox.timeMark(), { reachedAt: SINCE_6 + 50 });

  // Those of before it began alone, of which two failed and were not sent again yet.
  const [replay] = await outbox.openReplays();
  for (let finished = false; !finished;) {
    ({ finished } = await outbox.stepReplay(replay!.id, { limit: 1, at: SINCE_6 + 1_000 }));
  }
  const replayed = (await outbox.replay(replay!.id))!;
  assertEquals([replayed.state, replayed.done], ["finished", replayed.total]);

  const now = SINCE_6 + 60_000;
  const { claims } = await outbox.claim({ subscription: "bad", now, limit: 99 });
  assertEquals(claims.length, 5 + replayed.done);
  await outbox.release(claims);
  const [test] =
    (await outbox.claim({ subscription: "bad", now, limit: 99, testsOnly: true })).claims;
  assertEquals(test?.event.id, "six_7");
  await outbox.record(delivered(test!, now));
  const counts = (await outbox.counts(["bad"])).get("bad");
  assertEquals(counts, { pending: 4 + replayed.done, delivered: 1, exhausted: 3, cancelled: 2 });
  assertEquals((await outbox.audit()).faults, []);
  await outbox.close();
  await Deno.remove(folder, { recursive: true });
});

/** What the tallies say of all attempts, and what these say themselves. */
async function talliedIn(db: DatabaseSync) {
  const tallies = await new SqliteReader(db).tallies({ slot: "hour", since: 0 });
  const sum = (of: "firstAttempts" | "succeeded" | "failed") =>
    tallies.reduce((total, tally) => total + tally[of], 0);
  return { first: sum("firstAttempts"), succeeded: sum("succeeded"), failed: sum("failed") };
}

function attemptsIn(db: DatabaseSync) {
  const sql = `select sum(number = 1) as first, sum(succeeded) as succeeded,
    sum(succeeded = 0) as failed from attempts`;
  return { ...db.prepare(sql).get() } as Awaited<ReturnType<typeof talliedIn>>;
}

/** A database file of an old version, and what is in it. */
async function aDatabase(version: number) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/old.db`;
  using db = opened(path);
  db.exec(`begin; ${await textOf(version)} commit;`);
  return { folder, path, before: rowsOf(db) };
}

function textOf(version: number): Promise<string> {
  return Deno.readTextFile(new URL(`${version}.sql`, SCHEMAS));
}

function opened(path: string): DatabaseSync {
  return new DatabaseSync(path);
}

type Rows = Record<string, readonly Record<string, unknown>[]>;

/** All rows by table, but for how far side tables reach; of those columns alone that were there `before`. */
function rowsOf(db: DatabaseSync, before?: Rows): Rows {
  const tables = before === undefined ? namesOf(db) : Object.keys(before);
  return Object.fromEntries(tables.map((table) => {
    const columns = Object.keys(before?.[table]?.[0] ?? {}).join(", ") || "*";
    // A delivery's state had columns in its own row once.
    const isSplit = table === "deliveries" && hasView(db, "deliveries_now");
    const from = isSplit ? "deliveries_now order by seq" : table;
    const rows = db.prepare(`select ${columns} from ${from}`).all();
    return [table, rows.map(({ fresh: _, ...row }) => row)];
  }));
}

function hasView(db: DatabaseSync, name: string): boolean {
  const sql = "select 1 from sqlite_schema where type = 'view' and name = ?";
  return db.prepare(sql).get(name) !== undefined;
}

/** Not of lists and counts, which the audit holds against the rows. */
function namesOf(db: DatabaseSync): string[] {
  const tables = `
    select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'
      and name not in ('indexed_until', 'events_of_type', 'counts')`;
  return db.prepare(tables).all().map(({ name }) => String(name));
}

function schemaOf(db: DatabaseSync): unknown[] {
  return db.prepare("select type, name, tbl_name, sql from sqlite_schema order by 1, 2").all();
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare("pragma user_version").get()!.user_version);
}
