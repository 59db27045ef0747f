import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { auditFile } from "../../src/outbox/sqlite/audit_file.ts";
import { backup } from "../../src/outbox/sqlite/backup.ts";
import { compact } from "../../src/outbox/sqlite/compact.ts";
import { assertRoom, NoRoomError } from "../../src/outbox/sqlite/copy.ts";
import { OutboxLocked } from "../../src/outbox/sqlite/lock.ts";
import { OutboxUnavailable } from "../../src/outbox/errors.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { SqliteThread } from "../../src/outbox/sqlite/sqlite_thread.ts";
import { writeLargeDatabase } from "../support/a_large_database.ts";
import { accepted, aDelivery, aNewEvent, delivered, NOON } from "./building.ts";
import { Interrupted, type Step } from "../../src/runtime/long_work.ts";

function story(what: string, tell: (path: string, folder: string) => Promise<void>): void {
  Deno.test(`long work: ${what}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await tell(`${folder}/a.db`, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => !/-(wal|shm)$/.test(name)).sort();
}

/** All that a database holds, as text. */
function contentOf(path: string): string {
  using db = new DatabaseSync(path, { readOnly: true });
  const rows = (sql: string) => db.prepare(sql).all();
  const schema = rows("select type, name, sql from sqlite_schema order by 1, 2");
  const tables = schema.filter(({ type }) => type === "table").map(({ name }) => `${name}`);
  const marks = ["user_version", "application_id"].map((name) => rows(`pragma ${name}`));
  const all = [marks, schema, tables.map((name) => rows(`select * from "${name}"`))];
  return JSON.stringify(all, (_, value) => value instanceof Uint8Array ? [...value] : value);
}

/** Takes away most of a database's rows. */
function emptyMostOf(path: string, rows: number): void {
  using db = new DatabaseSync(path);
  db.exec(`
    delete from attempts where seq <= ${rows}; delete from outcomes where delivery <= ${rows};
    delete from deliveries_of_subscription where delivery <= ${rows};
    delete from deliveries_of_type where delivery <= ${rows};
    delete from deliveries where seq <= ${rows};
    delete from events_of_type where event <= ${rows}; delete from events where seq <= ${rows};
    update counts set delivered = delivered - ${rows};
    insert into history (at, kind, cause) values (1, 'paused', x'61'), (2, 'paused', x'62');
    delete from history where at = 2;
  `);
}

story("audit keeps no reader in the journal between its slices", async (path) => {
  writeLargeDatabase(path, { rows: 500 });
  using other = new DatabaseSync(path, { timeout: 0 });
  let slices = 0;
  const { faults, events } = await auditFile(path, {
    sliceRows: 50,
    onProgress() {
      slices++;
      other.exec(`insert into history (at, kind, cause) values (${slices}, 'paused', x'61')`);
      // A reader that stands in the journal would keep it from being emptied.
      const [row] = other.prepare("pragma wal_checkpoint(truncate)").all();
      assertEquals(row!.busy, 0, `slice ${slices}`);
    },
  });
  assertEquals([faults, events], [[], 500]);
  assert(slices > 60, `${slices} slices`);
});

story("audit finds no fault in what changes while it reads", async (path) => {
  const outbox = await openSqliteOutbox(path);
  let at = NOON;
  const claims = async () =>
    accepted(
      await outbox.enqueue({
        events: [aNewEvent({ deliveries: [aDelivery({ claim: true }), aDelivery()] })],
        at: at++,
      }),
    ).claims;
  for (let round = 0; round < 100; round++) await claims();
  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      for (const claim of await claims()) await outbox.record(delivered(claim, at++));
      await outbox.prune({ delivered: at - 200, exhausted: 0, limit: 5 });
    }
  })();
  try {
    for (let round = 0; round < 5; round++) {
      assertEquals((await auditFile(path, { sliceRows: 7 })).faults, []);
    }
  } finally {
    isOver = true;
    await writing;
    await outbox.close();
  }
});

story("audit finds a fault in whichever slice it is", async (path) => {
  writeLargeDatabase(path, { rows: 100 });
  using db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  for (const seq of [1, 10, 11, 57, 100]) {
    db.exec(`begin; delete from attempts where delivery = ${seq}`);
    db.exec("commit");
    const { faults } = await auditFile(path, { sliceRows: 10 });
    assert(faults.some((fault) => fault.includes("counts 1 attempts, and has 0")), `${seq}`);
    db.exec(`insert into attempts select ${seq}, ${seq}, number, started_at, duration_ms, succeeded,
      url, request_headers, remote_address, status, response_headers, response_body, truncated,
      error_kind, error_message, state, url_number, request_names, response_names
      from attempts where seq = 50`);
    db.exec(`update attempts set started_at = 1700000000005 + ${seq} where seq = ${seq}`);
  }
  assertEquals(await auditFile(path, { sliceRows: 10 }).then(({ faults }) => faults), []);
  db.exec("insert into events_of_type values (1, 5, 99), (1, 1800000000000, 50)");
  const { faults } = await auditFile(path, { sliceRows: 10 });
  assertEquals(faults.filter((fault) => fault.includes("is listed by a type")).length, 2);
});

story(
  "a backup that is interrupted leaves nothing, and the next one is whole",
  async (path, folder) => {
    writeLargeDatabase(path, { rows: 2_000 });
    for (const moment of ["copying", "checking"] as const) {
      const asked = new AbortController();
      const steps: Step[] = [];
      const backingUp = backup(path, `${folder}/b.db`, {
        signal: asked.signal,
        onProgress(step) {
          steps.push(step);
          if (step.doing === moment) asked.abort();
        },
      });
      await assertRejects(() => backingUp, Interrupted);
      assertEquals(steps.at(-1)!.doing, moment);
      assertEquals(namesIn(folder), ["a.db"]);
    }
    assertEquals((await backup(path, `${folder}/b.db`)).faults, []);
    assertEquals(contentOf(`${folder}/b.db`), contentOf(path));
  },
);

story(
  "a backup that is begun as soon as another was interrupted meets nothing of it",
  async (path, folder) => {
    writeLargeDatabase(path, { rows: 4_000 });
    for (let round = 0; round < 20; round++) {
      const asked = new AbortController();
      // Most of them within the copy, at one step or another.
      let left = 1 + round % 4;
      const onProgress = () => --left === 0 && asked.abort();
      await assertRejects(
        () => backup(path, `${folder}/b.db`, { signal: asked.signal, onProgress }),
        Interrupted,
      );
      assertEquals(namesIn(folder), ["a.db"]);
    }
    assertEquals((await backup(path, `${folder}/b.db`)).faults, []);
    assertEquals(namesIn(folder), ["a.db", "b.db"]);
  },
);

story(
  "what a killed process left of a backup goes, what is being written stays",
  async (path, folder) => {
    writeLargeDatabase(path, { rows: 10 });
    const left = `${folder}/.b.db.999999.partial`;
    await Deno.writeTextFile(left, "half of");
    await Deno.writeTextFile(`${left}-journal`, "half of");
    using busy = await Deno.open(`${folder}/.b.db.999998.partial`, {
      write: true,
      createNew: true,
    });
    await busy.lock(true);
    await Deno.writeTextFile(`${folder}/.c.db.999999.partial`, "another's");
    await backup(path, `${folder}/b.db`);
    assertEquals(namesIn(folder), [".b.db.999998.partial", ".c.db.999999.partial", "a.db", "b.db"]);
  },
);

story(
  "compact gives back what holds nothing, and keeps all else as it is",
  async (path, folder) => {
    writeLargeDatabase(path, { rows: 2_000 });
    emptyMostOf(path, 1_900);
    const content = contentOf(path);
    await Deno.chmod(path, 0o640);
    const { before, after } = await compact(path);
    assertEquals((await Deno.stat(path)).size, after.bytes);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o640);
    assert(
      after.bytes < before.bytes / 5 && after.freeBytes === 0,
      JSON.stringify([before, after]),
    );
    assertEquals(contentOf(path), content);
    assertEquals((await auditFile(path)).faults, []);
    const outbox = await openSqliteOutbox(path);
    await outbox.enqueue({ events: [aNewEvent()], at: NOON });
    assertEquals((await outbox.space()).freeBytes, 0);
    await outbox.close();
    assertEquals(namesIn(folder), ["a.db"]);
  },
);

story(
  "compact refuses beside a daemon, and beside whoever else has it open",
  async (path, folder) => {
    const outbox = await openSqliteOutbox(path);
    const error = await assertRejects(() => compact(path), OutboxLocked);
    assertStringIncludes(error.message, `process ${Deno.pid} is running on it`);
    await outbox.enqueue({ events: [aNewEvent()], at: NOON });
    await outbox.close();
    const content = contentOf(path);
    {
      using reader = new DatabaseSync(path);
      reader.exec("pragma journal_mode = wal; begin; select count(*) from events");
      await assertRejects(() => compact(path), OutboxUnavailable);
    }
    assertEquals([namesIn(folder), contentOf(path)], [["a.db"], content]);
  },
);

story("compact that is interrupted leaves the database as it was", async (path, folder) => {
  writeLargeDatabase(path, { rows: 2_000 });
  const content = contentOf(path);
  for (const moment of ["copying", "indexing", "checking"]) {
    const asked = new AbortController();
    const compacting = compact(path, {
      signal: asked.signal,
      onProgress: ({ doing }) => doing === moment && asked.abort(),
    });
    await assertRejects(() => compacting, Interrupted);
    assertEquals([namesIn(folder), contentOf(path)], [["a.db"], content], moment);
  }
  await compact(path);
  assertEquals(contentOf(path), content);
});

story("compact says where the database is damaged, and leaves it", async (path, folder) => {
  writeLargeDatabase(path, { rows: 2_000 });
  {
    using db = new DatabaseSync(path);
    const sql = "select rootpage from sqlite_schema where name = 'attempts'";
    const page = Number(db.prepare(sql).get()!.rootpage);
    db.exec("pragma wal_checkpoint(truncate); pragma journal_mode = delete");
    const bytes = await Deno.readFile(path);
    bytes.fill(0x58, (page - 1) * 4_096, (page - 1) * 4_096 + 64);
    await Deno.writeFile(path, bytes);
  }
  const before = await Deno.readFile(path);
  const error = await assertRejects(() => compact(path));
  assert(/damaged|corrupt/.test((error as Error).message), String(error));
  assertEquals((await Deno.readFile(path)).length, before.length);
  assertEquals(namesIn(folder), ["a.db"]);
});

story("a copy that can't fit is refused with both sizes", async (_, folder) => {
  const error = await assertRejects(
    () => assertRoom({ bytes: 2 ** 60, folder, what: "a copy" }),
    NoRoomError,
  );
  assertStringIncludes(error.message, `takes ${2 ** 60} bytes`);
});

Deno.test("a thread that is interrupted answers at once, and says what SQLite says of errors", async () => {
  const asked = new AbortController();
  const thread = await SqliteThread.open(":memory:", { signal: asked.signal });
  const [answer] = await thread.read([{ sql: "select :a + 1 as b", params: { a: 1 } }]);
  assertEquals(answer, { rows: [{ b: 2 }] });
  const error = await assertRejects(() => thread.exec("insert into nowhere values (1)"));
  assertEquals((error as { errcode?: number }).errcode ?? 1, 1);
  asked.abort();
  await assertRejects(() => thread.exec("select 1"), Interrupted);
  thread.abandon();
});

Deno.test("start: what a killed process left of a copy or a compaction is removed, and no other file", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/bellhook.db`;
  await (await openSqliteOutbox(path)).close();
  const left = [".bellhook.db.4242.partial", ".bellhook.db-v2-backup.4242.partial"];
  const others = [".other.db.4242.partial", "bellhook.db-v2-backup"];
  for (const name of [...left, ...others]) await Deno.writeTextFile(`${folder}/${name}`, "half");
  await (await openSqliteOutbox(path)).close();
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  assertEquals(left.filter((name) => names.includes(name)), []);
  assertEquals(others.filter((name) => !names.includes(name)), []);
  await Deno.remove(folder, { recursive: true });
});
