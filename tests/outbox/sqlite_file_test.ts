import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { type Health, healthAfter, UNTRIED } from "../../src/domain/health.ts";
import type { Claim, Recording } from "../../src/outbox/outbox.ts";
import { OutboxFailed, OutboxUnavailable } from "../../src/outbox/errors.ts";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { Journal } from "../../src/outbox/sqlite/journal.ts";
import { faultOf } from "../../src/outbox/sqlite/faults.ts";
import { OutboxLocked } from "../../src/outbox/sqlite/lock.ts";
import { LOOKED_ROWS } from "../../src/outbox/sqlite/replaying.ts";
import { openReader, SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { MIGRATIONS } from "../../src/outbox/sqlite/migrations.ts";
import { NewerSchemaError, NotOurDatabaseError } from "../../src/outbox/sqlite/schema.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { totalsOf } from "./totals.ts";
import {
  accepted,
  aDelivery,
  anEvent,
  aNewEvent,
  delivered,
  exhausted,
  NOON,
  toRetry,
} from "./building.ts";

function story(what: string, tell: (path: string) => Promise<void>): void {
  Deno.test(`SqliteOutbox: ${what}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await tell(`${folder}/outbox.db`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

story("commits go on while the journal is moved over, and it never grows long", async (path) => {
  const outbox = await openSqliteOutbox(path);
  const data = JSON.stringify("x".repeat(64 * 1024));
  let longest = 0;
  for (let i = 0; i < 800; i++) {
    await outbox.enqueue({ events: [aNewEvent({ event: anEvent({ data }) })], at: NOON });
    longest = Math.max(longest, (await Deno.stat(`${path}-wal`)).size);
  }
  // 52 MB were written.
  assert(longest > 8_000_000 && longest < 36_000_000, `${longest} bytes`);
  await outbox.close();

  const after = await openSqliteOutbox(path);
  assertEquals(await after.pending(), new Map([["crm", 800]]));
  assertEquals((await after.audit()).faults, []);
  await after.close();
});

story(
  "a foreign reader keeps the journal from ending, and commits do not wait for it",
  async (path) => {
    const outbox = await openSqliteOutbox(path);
    const data = JSON.stringify("x".repeat(64 * 1024));
    const post = () =>
      outbox.enqueue({ events: [aNewEvent({ event: anEvent({ data }) })], at: NOON });
    await post();
    // From the first page on: where nobody reads in it, the journal may begin anew before it is long.
    const reader = new DatabaseSync(path, { readOnly: true });
    reader.exec("begin; select count(*) from events");
    for (let i = 0; i < 270; i++) await post();
    reader.exec("rollback; begin; select count(*) from events");
    let moves = 0;
    const { move } = Journal.prototype;
    Journal.prototype.move = function (checkpoint) {
      moves++;
      return move.call(this, checkpoint);
    };
    try {
      // What the reader sees is moved, and then only a few more wait each time.
      for (let i = 0; i < 120; i++) {
        await post();
        reader.exec("rollback; begin; select count(*) from events");
      }
    } finally {
      Journal.prototype.move = move;
    }
    const length = (await Deno.stat(`${path}-wal`)).size;
    assert(length > 30_000_000, `the reader did not keep it: ${length} bytes`);
    assert(moves < 20, `${moves} moves`);
    reader.close();
    await outbox.close();
  },
);

story("what was stored is there after reopening, claimed by nobody", async (path) => {
  const before = await openSqliteOutbox(path);
  const deliveries = [aDelivery({ claim: true })];
  const { claims } = accepted(
    await before.enqueue({ events: [aNewEvent({ deliveries })], at: NOON }),
  );
  await before.record(toRetry(claims[0]!, { at: NOON + 20, dueAt: NOON + 60 }));
  await before.close();

  const after = await openSqliteOutbox(path);
  assertEquals(await after.nextDue(), new Map([["crm", NOON + 60]]));
  assertEquals(await after.pending(), new Map([["crm", 1]]));
  const [claim] = (await after.claim({ subscription: "crm", now: NOON + 60, limit: 1 })).claims;
  assertEquals(claim!.delivery, { ...claims[0]!.delivery, attemptCount: 1 });
  assertEquals(claim!.event, claims[0]!.event);
  const [receipt] = accepted(await after.enqueue({ events: [aNewEvent()], at: NOON })).receipts;
  assert(receipt!.deliveries[0]!.id > claim!.delivery.id);
  await after.close();
});

story("counts, tallies and health tell the same after a kill -9", async (path) => {
  const outbox = await openSqliteOutbox(path);
  const subscriptions = ["crm", "erp"];
  const deliveries = subscriptions.map((subscription) => aDelivery({ subscription, claim: true }));
  let at = NOON, health: Health = UNTRIED;
  const ends = [delivered, exhausted, delivered, aRetry, delivered, delivered, delivered];
  for (const end of ends) {
    const { claims } = accepted(await outbox.enqueue({ events: [aNewEvent({ deliveries })], at }));
    at += 45_000;
    for (const claim of claims) {
      const recording = end(claim, at);
      const { outcome, result } = recording.attempt;
      const facts = { succeeded: result === "success", outcome, at };
      ({ health } = healthAfter(health, recording.verdict, facts));
      await outbox.record({ ...recording, health });
    }
  }
  const told = await totalsOf(outbox, { subscriptions });
  assertEquals(told.counts[0], '["crm",{"pending":1,"delivered":5,"exhausted":1,"cancelled":0}]');
  assertStringIncludes(told.health[0]!, `"lastSuccessAt":${at}`);

  // As a kill -9 leaves them.
  const killed = `${path}-killed`;
  for (const end of ["", "-wal"]) await Deno.copyFile(path + end, killed + end);
  await outbox.close();
  const after = await openSqliteOutbox(killed);
  assertEquals(await totalsOf(after, { subscriptions }), told);
  await after.shiftDue(NOON, 0);
  assertEquals(await totalsOf(after, { subscriptions }), told);
  const [claim] = (await after.claim({ subscription: "crm", now: Infinity, limit: 1 })).claims;
  await after.record(delivered(claim!, at));
  const { counts } = await totalsOf(after, { subscriptions });
  assertEquals(counts[0], '["crm",{"pending":0,"delivered":6,"exhausted":1,"cancelled":0}]');
  assertEquals((await after.audit()).faults, []);
  await after.close();
});

function aRetry(claim: Claim, at: number): Recording {
  return toRetry(claim, { at, dueAt: at + 60_000 });
}

story("close() leaves one file, which is all of the database", async (path) => {
  const outbox = await openSqliteOutbox(path);
  await outbox.enqueue({ events: [aNewEvent()], at: NOON });
  await outbox.close();
  const names = Array.from(Deno.readDirSync(path.slice(0, path.lastIndexOf("/"))), (f) => f.name);
  assertEquals(names, ["outbox.db"]);
});

story("what was acknowledged survives kill -9, and the next one opens at once", async (path) => {
  const { child, lines } = enqueueForever(path);
  const acknowledged: string[] = [];
  for await (const line of lines) {
    if (line !== "open") acknowledged.push(line);
    if (acknowledged.length >= 700) break;
  }
  child.kill("SIGKILL");
  await child.status;

  const outbox = await openSqliteOutbox(path);
  for (const id of acknowledged) assertEquals((await outbox.event(id))?.id, id);
  const { faults, deliveries } = await outbox.audit();
  assertEquals(faults, []);
  assert(deliveries.pending > 0 && deliveries.delivered > 0);
  await outbox.close();
});

story("a second daemon is refused with the first one's process id", async (path) => {
  const { child, lines } = enqueueForever(path);
  for await (const line of lines) if (line === "open") break;
  const error = await assertRejects(() => openSqliteOutbox(path), OutboxLocked);
  assertEquals(error.pid, child.pid);
  assertStringIncludes(error.message, `process ${child.pid} is running on it`);
  child.kill("SIGKILL");
  await child.status;
});

story("the lock holds for a link to the file too, and goes with close()", async (path) => {
  const first = await openSqliteOutbox(path);
  await Deno.symlink(path, `${path}-link`);
  const error = await assertRejects(() => openSqliteOutbox(`${path}-link`), OutboxLocked);
  assertEquals(error.pid, Deno.pid);
  await first.close();
  await (await openSqliteOutbox(`${path}-link`)).close();
});

story("a newer schema is refused, to write and to read", async (path) => {
  await (await openSqliteOutbox(path)).close();
  change(path, `pragma user_version = ${MIGRATIONS.length + 1}`);
  await assertRejects(
    () => openSqliteOutbox(path),
    NewerSchemaError,
    `schema is version ${MIGRATIONS.length + 1}`,
  );
  assertThrows(() => openReader(path), NewerSchemaError);
});

story("a database of another program is refused, and left as it is", async (path) => {
  change(path, "create table notes (text)");
  const before = await Deno.readFile(path);
  await assertRejects(() => openSqliteOutbox(path), NotOurDatabaseError, "some other program");
  assertEquals(await Deno.readFile(path), before);
});

story("a place that cannot be opened is told with what would help", async (path) => {
  await assertRejects(() => openSqliteOutbox(`${path}/no/such.db`), Error, "there is no folder");
  await Deno.mkdir(path);
  await assertRejects(() => openSqliteOutbox(path), Error, "it is a folder; name a file in it");
  await Deno.writeTextFile(`${path}/file`, "");
  await assertRejects(() => openSqliteOutbox(`${path}/file/outbox.db`), Error, "is no folder");
});

story("a file that is no database is refused", async (path) => {
  await Deno.writeTextFile(path, "Dear diary, ".repeat(500));
  await assertRejects(() => openSqliteOutbox(path), NotOurDatabaseError, "no SQLite database");
});

story("openReader() reads beside the running daemon, and never creates a file", async (path) => {
  assertThrows(() => openReader(path), NotOurDatabaseError, "no such file");
  const outbox = await openSqliteOutbox(path);
  const reader = openReader(path);
  await outbox.enqueue({ events: [aNewEvent()], at: NOON });
  assertEquals((await reader.audit()).events, 1);
  assertEquals(await reader.pending(), new Map([["crm", 1]]));
  reader.close();
  await outbox.close();
});

story("the file is readable by its owner alone", async (path) => {
  const outbox = await openSqliteOutbox(path);
  for (const name of [path, `${path}-wal`, `${path}-lock`]) {
    assertEquals(Deno.statSync(name).mode! & 0o777, 0o600, name);
  }
  await outbox.close();
});

story("what is asked at once shares a commit", async (path) => {
  const outbox = await openSqliteOutbox(path);
  const ask = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => outbox.enqueue({ events: [aNewEvent()], at: NOON })),
    );
  await ask(100);
  assertEquals(outbox.commits, 1);
  // Two rows each, and no commit has more than 500.
  await ask(600);
  assertEquals(outbox.commits, 4);
  await outbox.close();
});

Deno.test("SqliteOutbox: a full disk refuses, and takes again once there is room", async () => {
  const { db, outbox } = await inMemory();
  leaveRoomFor(20, db);
  const large = () => aNewEvent({ event: anEvent({ data: JSON.stringify("x".repeat(30_000)) }) });
  await outbox.enqueue({ events: [large()], at: NOON });
  const refused = () => outbox.enqueue({ events: [large(), large(), large()], at: NOON });
  await assertRejects(refused, OutboxUnavailable, "the disk is full");
  // There is room for a row, and none for an event.
  assertStringIncludes(await outbox.unavailableBecause() ?? "", "the disk is full; make room");
  assertStringIncludes(await outbox.unavailableBecause() ?? "", "the disk is full; make room");
  db.exec("pragma max_page_count = 10000");
  assertEquals(await outbox.unavailableBecause(), undefined);
  assertEquals((await refused()).kind, "accepted");
  const { faults, events } = await outbox.audit();
  assertEquals([faults, events], [[], 4]);
  await outbox.close();
});

Deno.test("SqliteOutbox: a read-only disk is unavailable until it can be written again", async () => {
  const { db, outbox } = await inMemory();
  const ask = () => outbox.enqueue({ events: [aNewEvent()], at: NOON });
  db.exec("pragma query_only = on");
  await assertRejects(ask, OutboxUnavailable, "it is read-only");
  assertStringIncludes(await outbox.unavailableBecause() ?? "", "it is read-only");
  db.exec("pragma query_only = off");
  const commits = outbox.commits;
  assertEquals(await Promise.all([outbox.unavailableBecause(), outbox.unavailableBecause()]), [
    undefined,
    undefined,
  ]);
  // Once it works again nothing more is written to find out.
  assertEquals(await outbox.unavailableBecause(), undefined);
  assertEquals(outbox.commits, commits + 1);
  await outbox.close();
  assertStringIncludes(await outbox.unavailableBecause() ?? "", "Bellhook is stopping");
});

story("a replay goes on after a restart where it stopped", async (path) => {
  const before = await openSqliteOutbox(path);
  const finished: string[] = [];
  for (let i = 0; i < 5; i++) finished.push(await aDelivered(before, NOON + i));
  const filter = { state: "delivered", since: NOON, until: NOON + 99 } as const;
  const { id } = await before.startReplay({ filter, by: "ann", at: NOON + 50 });
  await before.stepReplay(id, { limit: 2, at: NOON + 60 });
  await before.close();

  const after = await openSqliteOutbox(path);
  assertEquals((await after.openReplays()).map((replay) => [replay.id, replay.done]), [[id, 2]]);
  // Finished since: the number of the replay that began is known after the restart too.
  const [late] = (await after.claim({ subscription: "crm", now: NOON + 60, limit: 1 })).claims;
  await after.record(delivered(late!, NOON + 70));
  const step = await after.stepReplay(id, { limit: 9, at: NOON + 80 });
  assertEquals(step, { subscriptions: ["crm"], cancelled: [], finished: true });
  const { items } = await after.deliveries({ limit: 50 });
  const sources = items.flatMap(({ redeliveryOf }) => redeliveryOf ?? []);
  assertEquals(sources.sort(), finished);
  assertEquals((await after.audit()).faults, []);
  await after.close();
});

story("a replay that was killed while it began is never carried out", async (path) => {
  const before = await openSqliteOutbox(path);
  await aDelivered(before, NOON);
  const filter = { since: NOON, until: NOON + 99 };
  const beginning = before.startReplay({ filter, by: "ann", at: NOON + 50 });
  const closing = before.close();
  await assertRejects(() => beginning, OutboxUnavailable);
  await closing;
  const after = await openSqliteOutbox(path);
  assertEquals(await after.openReplays(), []);
  assertEquals((await after.startReplay({ filter, by: "ann", at: NOON + 50 })).total, 1);
  await after.close();
});

Deno.test("SqliteOutbox: a replay that a rollback took back leaves no gap", async () => {
  const { db, outbox } = await inMemory();
  await aDelivered(outbox, NOON);
  const filter = { since: NOON, until: NOON + 99 };
  const begin = () => outbox.startReplay({ filter, by: "ann", at: NOON + 50 });
  db.exec("pragma query_only = on");
  await assertRejects(begin, OutboxUnavailable);
  db.exec("pragma query_only = off");
  await aDelivered(outbox, NOON + 1);
  assertEquals((await begin()).total, 2);
  await outbox.close();
});

Deno.test("SqliteOutbox: a step of a replay is short where nothing fits, and gets on", async () => {
  const { outbox } = await inMemory();
  const pending = Array.from({ length: 1_000 }, () => aNewEvent());
  for (let stored = 0; stored <= LOOKED_ROWS; stored += pending.length) {
    const events = pending.map((incoming) => ({ ...incoming, event: anEvent() }));
    await outbox.enqueue({ events, at: NOON });
  }
  await aDelivered(outbox, NOON + 1);
  const filter = { since: NOON, until: NOON + 99 };
  const { id, total } = await outbox.startReplay({ filter, by: "ann", at: NOON + 50 });
  assertEquals(total, 1);
  const step = () => outbox.stepReplay(id, { limit: 10, at: NOON + 60 });
  assertEquals(await step(), { subscriptions: [], cancelled: [], finished: false });
  assertEquals(await step(), { subscriptions: ["crm"], cancelled: [], finished: true });
  await outbox.close();
});

story("close() ends a count that takes several turns", async (path) => {
  const outbox = await openSqliteOutbox(path);
  const pending = Array.from({ length: 1_000 }, () => aNewEvent());
  for (let stored = 0; stored <= LOOKED_ROWS; stored += pending.length) {
    const events = pending.map((incoming) => ({ ...incoming, event: anEvent() }));
    await outbox.enqueue({ events, at: NOON });
  }
  const counting = outbox.countReplay({ since: NOON, until: NOON + 9 });
  const closing = outbox.close();
  await assertRejects(() => counting, OutboxUnavailable, "is closed");
  await closing;
});

story("cancel() of many shares no commit with more than it takes", async (path) => {
  const outbox = await openSqliteOutbox(path);
  const events = Array.from({ length: 1_000 }, () => aNewEvent());
  const { receipts } = accepted(await outbox.enqueue({ events, at: NOON }));
  const ids = receipts.map(({ deliveries }) => deliveries[0]!.id);
  assertEquals(await outbox.cancel(ids, "enough", NOON + 1), 1_000);
  assertEquals(outbox.commits, 3);
  await outbox.close();
});

Deno.test("SqliteOutbox: names that a rollback took back are given anew", async () => {
  const { db, outbox } = await inMemory();
  leaveRoomFor(12, db);
  const to = (subscription: string, data: string) =>
    aNewEvent({ event: anEvent({ data }), deliveries: [aDelivery({ subscription })] });
  const large = to("a", JSON.stringify("x".repeat(60_000)));
  await assertRejects(() => outbox.enqueue({ events: [large], at: NOON }), OutboxUnavailable);
  db.exec("pragma max_page_count = 10000");
  await outbox.enqueue({ events: [to("b", "1")], at: NOON });
  assertEquals((await outbox.claim({ subscription: "a", now: NOON, limit: 1 })).claims, []);
  assertEquals(await outbox.pending(), new Map([["b", 1]]));
  await outbox.close();
});

story("a locked database refuses, and takes again once it is free", async (path) => {
  const outbox = await openSqliteOutbox(path);
  const other = new DatabaseSync(path);
  other.exec("begin immediate");
  const ask = () => outbox.enqueue({ events: [aNewEvent()], at: NOON });
  await assertRejects(ask, OutboxUnavailable, "another program has locked it");
  other.exec("rollback");
  other.close();
  assertEquals((await ask()).kind, "accepted");
  await outbox.close();
});

story("what is stored after a restart is found, though all before it is pruned", async (path) => {
  const before = await openSqliteOutbox(path);
  await aDelivered(before, NOON);
  await before.prune({ delivered: NOON + 50, exhausted: NOON + 50, limit: 9 });
  assertEquals((await before.audit()).events, 0);
  await before.close();

  const outbox = await openSqliteOutbox(path);
  await outbox.enqueue({ events: [aNewEvent()], at: NOON + 60 });
  assertEquals((await outbox.deliveries({ limit: 9 })).items.length, 1);
  const { claims } = await outbox.claim({ subscription: "crm", now: NOON + 60, limit: 9 });
  assertEquals(claims.length, 1);
  assertEquals((await outbox.audit()).faults, []);
  await outbox.close();
});

story("a corrupt file fails the outbox for good, and says so", async (path) => {
  await (await openSqliteOutbox(path)).close();
  await overwriteRootOf("deliveries_of_event", path);
  const outbox = await openSqliteOutbox(path);
  const ask = () => outbox.enqueue({ events: [aNewEvent()], at: NOON });
  await assertRejects(ask, OutboxFailed, "it is corrupt");
  await assertRejects(ask, OutboxFailed);
  await assertRejects(() => outbox.nextDue(), OutboxFailed);
  await assertRejects(() => outbox.event("evt_1"), OutboxFailed);
  assertStringIncludes((await outbox.failed).message, `cannot trust "${path}" any more`);
  await outbox.close();
});

story("a file too corrupt to open says so", async (path) => {
  await (await openSqliteOutbox(path)).close();
  await overwriteRootOf("pending_due", path);
  await assertRejects(() => openSqliteOutbox(path), OutboxFailed, "it is corrupt");
});

async function overwriteRootOf(index: string, path: string): Promise<void> {
  const db = new DatabaseSync(path);
  const root = db.prepare("select rootpage from sqlite_schema where name = ?").get(index)!;
  db.close();
  const file = await Deno.open(path, { write: true });
  await file.seek((Number(root.rootpage) - 1) * 4_096, Deno.SeekMode.Start);
  await file.write(new Uint8Array(4_096).fill(0xff));
  file.close();
}

Deno.test("SqliteOutbox: what it can't store spoils nothing that is asked with it", async () => {
  const { outbox } = await inMemory();
  // No parser lets such an instant through; if one did, the event could not be stored.
  const event = anEvent({ occurredAt: NaN });
  const ask = () => outbox.enqueue({ events: [aNewEvent({ event })], at: NOON });
  const other = () => outbox.enqueue({ events: [aNewEvent()], at: NOON });
  const answers = await Promise.allSettled([other(), other(), ask(), other()]);
  assertEquals(answers.map(({ status }) => status), [
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  assertEquals((await outbox.audit()).events, 3);
  await outbox.close();
});

Deno.test("SqliteOutbox: what has the indexes brought up to date shares a commit", async () => {
  const { outbox } = await inMemory();
  await outbox.enqueue({ events: [aNewEvent()], at: NOON });
  const before = outbox.commits;
  await Promise.all([
    outbox.shiftDue(NOON, 500),
    outbox.prune({ delivered: NOON, exhausted: NOON, limit: 9 }),
    outbox.countReplay({ since: 0, until: NOON + 1 }),
  ]);
  assertEquals(outbox.commits, before + 1);
  await outbox.close();
});

Deno.test("SqliteOutbox: a failed write means stop, a full index of the journal does not", () => {
  const IOERR_FSYNC = 1034, IOERR_WRITE = 778, IOERR_SHMSIZE = 4874, CORRUPT_INDEX = 779;
  const CONSTRAINT_UNIQUE = 2067, FULL = 13, BUSY_SNAPSHOT = 517, READONLY = 8;
  const kinds = [IOERR_FSYNC, IOERR_WRITE, CORRUPT_INDEX].map(kindOf);
  assertEquals(kinds, Array(3).fill(OutboxFailed));
  assertEquals(
    [IOERR_SHMSIZE, FULL, BUSY_SNAPSHOT, READONLY].map(kindOf),
    Array(4).fill(OutboxUnavailable),
  );
  assertEquals(kindOf(CONSTRAINT_UNIQUE), Error);

  function kindOf(errcode: number) {
    return faultOf(Object.assign(new Error("sqlite"), { errcode }), "x.db").constructor;
  }
});

Deno.test("SqliteOutbox: columns refuse what is not of their type", async () => {
  const db = await openWriter(":memory:");
  assertThrows(
    () => db.exec("insert into types (id, name) values (1, 'a text')"),
    Error,
    "cannot store TEXT value in BLOB column",
  );
  assertThrows(
    () => db.exec("insert into idempotency values (x'00', x'00', x'00', 1.5)"),
    Error,
    "cannot store REAL value in INTEGER column",
  );
  db.close();
});

Deno.test("audit(): each broken promise is told with the id it broke for", async () => {
  for (const [breakIt, told] of BREAKS) {
    const { db, outbox } = await inMemory();
    const deliveries = [aDelivery({ claim: true })];
    const claim = async () =>
      accepted(
        await outbox.enqueue({
          events: [aNewEvent({ event: anEvent({ id: "the event" }), deliveries })],
          at: NOON,
        }),
      ).claims[0]!;
    const first = await claim();
    await outbox.record(toRetry(first, { at: NOON + 20, dueAt: NOON + 60 }));
    const again = (await outbox.claim({ subscription: "crm", now: NOON + 60, limit: 1 }))
      .claims[0]!;
    await outbox.record(delivered(again, NOON + 99));
    const { id } = (await outbox.redeliver(first.delivery.id, NOON + 100))!;
    const last = (await outbox.claim({ subscription: "crm", now: NOON + 100, limit: 1 }))
      .claims[0]!;
    await outbox.record(exhausted(last, NOON + 200));
    const before = await outbox.audit();
    assertEquals([before.faults, before.notes], [[], []]);
    db.exec("pragma foreign_keys = off; pragma ignore_check_constraints = on");
    db.exec(breakIt);
    const { faults, notes } = await outbox.audit();
    const expected = told.replace("FIRST", first.delivery.id).replace("SECOND", id);
    assert(
      [...faults, ...notes].some((one) => one.includes(expected)),
      `${breakIt}: ${expected} is not in\n${[...faults, ...notes].join("\n")}`,
    );
    await outbox.close();
  }
});

story("audit(): a damaged file is told of, and what can be read of it is audited", async (path) => {
  const outbox = await openSqliteOutbox(path);
  await outbox.enqueue({
    events: Array.from({ length: 200 }, (_, i) => aNewEvent({ event: anEvent({ id: `ev-${i}` }) })),
    at: NOON,
  });
  await outbox.close();
  const whole = await Deno.readFile(path);
  const pageBytes = 4_096;
  let damagedPages = 0;
  for (let at = pageBytes; at < whole.length; at += pageBytes) {
    const damaged = whole.slice();
    damaged.fill(0x58, at, at + 64);
    await Deno.writeFile(path, damaged);
    if (isSound(path)) continue; // a page that nothing stands on
    damagedPages++;
    assertMatch(await whatAuditSaysOf(path), /the file is damaged: |it is corrupt/);
  }
  assert(damagedPages > 10, `${damagedPages} damaged pages`);
});

/** Its first fault, or why it can't be asked. */
async function whatAuditSaysOf(path: string): Promise<string> {
  let reader: SqliteReader | undefined;
  try {
    reader = openReader(path);
    return (await reader.audit()).faults[0] ?? "";
  } catch (error) {
    return String(error);
  } finally {
    reader?.close();
  }
}

function isSound(path: string): boolean {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return Object.values(db.prepare("pragma integrity_check(1)").get()!)[0] === "ok";
  } catch {
    return false;
  } finally {
    db.close();
  }
}

/** What breaks a promise, and what the audit says of it. */
const BREAKS: readonly [sql: string, told: string][] = [
  ["delete from deliveries where seq = 2", 'event "the event" has 1 deliveries on record where 2'],
  [
    "insert into events select seq + 1, id, type, occurred_at, accepted_at, publisher, content_hash, 0, " +
    "scope, metadata, data, trace, source, sent_as from events",
    'event "the event" is stored twice for one publisher',
  ],
  ["delete from events", "row 1 of deliveries refers to a row of events that is gone"],
  ["delete from deliveries where seq = 1", "of attempts refers to a row of deliveries"],
  ["update outcomes set state = 7 where delivery = 1", "delivery FIRST is in no known state: 7"],
  [
    "delete from outcomes; update rolled_up set delivery = 2",
    "delivery FIRST is pending and never due",
  ],
  [
    "insert into pending values (1, 1, 0, 0, 0, 0, null)",
    "delivery FIRST is delivered and yet due",
  ],
  ["update outcomes set reason = null", "delivery SECOND is exhausted without a reason"],
  ["update outcomes set created_at = 5", "delivery FIRST is listed by a time or subscription that"],
  [
    "delete from attempts where number = 2",
    "delivery FIRST counts 2 attempts, and has 1 on record",
  ],
  ["update attempts set number = 3 where number = 2", "the last of them number 3"],
  ["update attempts set succeeded = 0", "delivery FIRST is delivered, but its last attempt"],
  [
    "insert into pending select seq, subscription, created_at, 5, 2, 0, 200 from deliveries; " +
    "delete from outcomes",
    "delivery FIRST is pending, though its last attempt succeeded",
  ],
  [
    "insert into counts values (1, -1, 4, 0, 0)",
    'subscription "crm" counts -1 pending, 5 delivered, 1 exhausted, 0 cancelled where 0 pending, ' +
    "1 delivered, 1 exhausted, 0 cancelled are on record",
  ],
  [
    "update rolled_up set delivery = 2, attempt = 3",
    'subscription "crm" counts 0 pending, 0 delivered',
  ],
  [
    "update outcomes set finished_at = finished_at - 20 where delivery = 1",
    "delivery FIRST was delivered at 2024-03-15T12:00:00.079Z, and yet 1 of its attempts ended later",
  ],
  [
    "update outcomes set state = 3, reason = x'00', finished_at = created_at where delivery = 1",
    "delivery FIRST was cancelled at 2024-03-15T12:00:00Z, and yet 2 of its attempts ended later",
  ],
  ["update rolled_up set delivery = 2", "delivery SECOND is not among those of its subscription"],
  ["insert into deliveries_of_type values (1, 5, 99)", "delivery number 99 is listed by a type or"],
  ["update rolled_up set event = 1", 'event "the event" is not among all events, or not'],
  ["insert into events_of_type values (1, 5, 99)", "event number 99 is listed by a type or time"],
  ["update outcomes set last_status = 404", "delivery SECOND has another last status"],
  [
    "update attempts set started_at = started_at - 80 where number = 2",
    "delivery FIRST began attempt 2 at 2024-03-15T12:00:00.007Z, before",
  ],
];

/** The id of a delivery that was created at that time and delivered 20 ms later. */
async function aDelivered(outbox: SqliteOutbox, at: number): Promise<string> {
  const deliveries = [aDelivery({ claim: true })];
  const [claim] = accepted(
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at }),
  ).claims;
  await outbox.record(delivered(claim!, at + 20));
  return claim!.delivery.id;
}

function enqueueForever(path: string) {
  const script = new URL("./enqueue_forever.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", "--allow-read", "--allow-write", script, path],
    stdout: "piped",
  }).spawn();
  return { child, lines: linesOf(child.stdout) };
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** From here on the database may take so many more pages, those among them that are free in it. */
function leaveRoomFor(pages: number, db: DatabaseSync): void {
  const ask = (name: string) => Number(Object.values(db.prepare(`pragma ${name}`).get()!)[0]);
  db.exec(`pragma max_page_count = ${ask("page_count") - ask("freelist_count") + pages}`);
}

/** An outbox in memory, with a hand on its connection. */
async function inMemory(): Promise<{ db: DatabaseSync; outbox: SqliteOutbox }> {
  const db = await openWriter(":memory:");
  const parts = { store: new Store(db), reader: new SqliteReader(db) };
  return { db, outbox: new SqliteOutbox(":memory:", parts) };
}

function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

for (const bytes of [40, 3 * 4_096, 4 * 4_096]) {
  story(`half a page of ${bytes} bytes that a full disk left is no sign of a cut`, async (path) => {
    const outbox = await openSqliteOutbox(path);
    await Deno.truncate(`${path}-wal`, bytes);
    const data = JSON.stringify("x".repeat(40_000));
    const event = aNewEvent({ event: anEvent({ data }), deliveries: [aDelivery({ claim: true })] });
    const { claims } = accepted(await outbox.enqueue({ events: [event], at: NOON }));
    assertEquals(await outbox.record(delivered(claims[0]!, NOON)), true);
    await outbox.close();
  });
}
