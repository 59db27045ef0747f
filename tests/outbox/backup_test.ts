import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { auditDatabase } from "../../src/outbox/sqlite/audit.ts";
import { backup } from "../../src/outbox/sqlite/backup.ts";
import { BackupExistsError } from "../../src/outbox/sqlite/copy.ts";
import { copyLive } from "../../src/outbox/sqlite/live_copy.ts";
import { MIGRATIONS } from "../../src/outbox/sqlite/migrations.ts";
import { NotOurDatabaseError } from "../../src/outbox/sqlite/schema.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { writeLargeDatabase } from "../support/a_large_database.ts";
import { until } from "../support/until.ts";
import { aDelivery, aNewEvent, NOON } from "./building.ts";

function story(what: string, tell: (folder: string) => Promise<void>): void {
  Deno.test(`backup: ${what}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await tell(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** A made-up second version of the schema. */
const NEXT = [...MIGRATIONS, "create table guests (id integer primary key) strict;"];

/** How the copy is called that is made before that. */
const BEFORE = `v${MIGRATIONS.length}-backup`;

const store = { events: [aNewEvent({ deliveries: [aDelivery()] })], at: NOON };

/** What is in a folder, but for the journal that a reader beside a database needs. */
function names(folder: string): string[] {
  const all = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return all.filter((name) => !/^a\.db-(shm|wal)$/.test(name));
}

function tables(path: string, name: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(
      db.prepare("select count(*) as n from sqlite_schema where name = ?").get(name)!.n,
    );
  } finally {
    db.close();
  }
}

story("an open outbox is copied as of that moment, for its owner's eyes alone", async (folder) => {
  const outbox = await openSqliteOutbox(`${folder}/a.db`);
  await outbox.enqueue(store);
  const { events, deliveries, faults } = await backup(`${folder}/a.db`, `${folder}/b.db`);
  assertEquals([events, deliveries.pending, faults], [1, 1, []]);
  assertEquals((await Deno.stat(`${folder}/b.db`)).mode! & 0o777, 0o600);
  await outbox.close();
  assertEquals(names(folder), ["a.db", "b.db"]);

  const copy = await openSqliteOutbox(`${folder}/b.db`);
  assertEquals(await copy.nextDue(), new Map([["crm", NOON]]));
  await copy.close();
});

story("what is there already stays as it is", async (folder) => {
  await (await openSqliteOutbox(`${folder}/a.db`)).close();
  await Deno.writeTextFile(`${folder}/b.db`, "mine");
  await assertRejects(() => backup(`${folder}/a.db`, `${folder}/b.db`), BackupExistsError);
  assertEquals(await Deno.readTextFile(`${folder}/b.db`), "mine");
  await Deno.symlink(`${folder}/nowhere`, `${folder}/link.db`);
  await assertRejects(() => backup(`${folder}/a.db`, `${folder}/link.db`), BackupExistsError);
  assertEquals(names(folder), ["a.db", "b.db", "link.db"]);
});

story("a copy that can't be written leaves nothing behind", async (folder) => {
  await Deno.writeTextFile(`${folder}/a.db`, "no database, whatever its name says, is in here");
  await assertRejects(() => backup(`${folder}/a.db`, `${folder}/b.db`), NotOurDatabaseError);
  assertEquals(names(folder), ["a.db"]);
});

story("what the promises find wrong in the database, they find in the copy", async (folder) => {
  const outbox = await openSqliteOutbox(`${folder}/a.db`);
  await outbox.enqueue(store);
  await outbox.close();
  const db = new DatabaseSync(`${folder}/a.db`);
  db.exec("update events set delivery_count = 2");
  db.close();
  const { faults } = await backup(`${folder}/a.db`, `${folder}/b.db`);
  assertStringIncludes(faults[0]!, "dropped silently");
});

story("before a migration the database is copied, and then brought up to date", async (folder) => {
  const path = `${folder}/a.db`;
  const outbox = await openSqliteOutbox(path);
  await outbox.enqueue(store);
  await outbox.close();

  const newer = await openSqliteOutbox(path, { migrations: NEXT });
  assertEquals(await newer.pending(), new Map([["crm", 1]]));
  await newer.close();
  assertEquals(names(folder), ["a.db", `a.db-${BEFORE}`]);
  assertEquals([tables(path, "guests"), tables(`${path}-${BEFORE}`, "guests")], [1, 0]);

  // The older Bellhook goes on with the copy.
  const older = await openSqliteOutbox(`${path}-${BEFORE}`);
  assertEquals(await older.pending(), new Map([["crm", 1]]));
  await older.close();
});

story(
  "a migration that fails keeps the database, and no copy of what it has not changed",
  async (folder) => {
    const path = `${folder}/a.db`;
    await (await openSqliteOutbox(path)).close();
    const migrations = [...MIGRATIONS, "create table guests (id nonsense) strict;"];
    for (const _ of [1, 2]) await assertRejects(() => openSqliteOutbox(path, { migrations }));
    assertEquals(names(folder), ["a.db"]);
    assertEquals(tables(path, "guests"), 0);
    await (await openSqliteOutbox(path)).close();
  },
);

story("a database without a past is not copied", async (folder) => {
  for (const _ of [1, 2]) {
    await (await openSqliteOutbox(`${folder}/a.db`, { migrations: NEXT })).close();
  }
  assertEquals(names(folder), ["a.db"]);
});

story("what a killed process left of one with our number is in nobody's way", async (folder) => {
  await (await openSqliteOutbox(`${folder}/a.db`)).close();
  await Deno.writeTextFile(`${folder}/.b.db.${Deno.pid}.partial`, "half of");
  await backup(`${folder}/a.db`, `${folder}/b.db`);
  assertEquals(names(folder), ["a.db", "b.db"]);
});

story(
  "a backup beside a busy writer is as of one moment, and stands in nobody's journal",
  async (folder) => {
    const path = `${folder}/a.db`;
    writeLargeDatabase(path, { rows: 20_000 });
    const script = new URL("./enqueue_forever.ts", import.meta.url).pathname;
    await using writer = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-check", "--allow-read", "--allow-write", script, path],
      stdout: "piped",
    }).spawn();
    let stored = 0;
    const reading = writer.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({ write: (text) => void (stored += text.split("\n").length - 1) }),
    );
    try {
      await until(() => stored > 20, "it writes");
      for (const round of [1, 2, 3]) {
        const before = stored;
        const partial = `${folder}/live-${round}.db`;
        await Deno.writeTextFile(partial, "");
        const asked = { onProgress() {}, signal: undefined };
        assertEquals(await copyLive(path, partial, asked), true);
        using copy = new DatabaseSync(partial);
        copy.exec("pragma journal_mode = delete");
        assertEquals(auditDatabase(copy).faults, []);
        const { n, last } = copy.prepare("select count(*) as n, max(seq) as last from events")
          .get()!;
        assertEquals(n, last, "all up to one event, and none after it");
        assert(Number(n) >= 20_000 + before, `${n} events, ${before} of them new`);
      }
      const { faults } = await backup(path, `${folder}/b.db`);
      assertEquals(faults, []);
    } finally {
      writer.kill("SIGKILL");
      await Promise.allSettled([writer.status, reading]);
    }
  },
);
