import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { backup } from "../../src/outbox/sqlite/backup.ts";
import { openReader } from "../../src/outbox/sqlite/reader.ts";
import { IncompleteDatabaseError } from "../../src/outbox/sqlite/remains.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { anEvent, aNewEvent, NOON } from "./building.ts";

/** What is left in a folder, and what is said of it. */
interface Remains {
  readonly what: string;
  /** Makes them of a database, at `path`, that a killed process left, with its journal. */
  readonly make: (path: string) => Promise<void>;
  readonly said: string;
  /** Whether who only reads can tell: it may look beside a daemon, while the files change. */
  readonly toldToReaders: boolean;
}

const REMAINS: readonly Remains[] = [
  {
    what: "a journal without its database",
    make: (path) => Deno.remove(path),
    said: 'there is no such file, but "PATH-wal" beside it holds',
    toldToReaders: true,
  },
  {
    what: "an empty database with a journal",
    make: (path) => Deno.truncate(path, 0),
    said: 'it is empty, but "PATH-wal" beside it holds',
    toldToReaders: true,
  },
  {
    what: "an empty database with a rollback journal",
    make: async (path) => {
      await Deno.remove(`${path}-wal`);
      await Deno.truncate(path, 0);
      await Deno.writeFile(`${path}-journal`, aRollbackJournal({ pagesBefore: 20 }));
    },
    said: '"PATH-journal" beside it would undo a change',
    toldToReaders: true,
  },
  {
    what: "a database of less than a page",
    make: (path) => Deno.truncate(path, 300),
    said: "it was cut short to 300 bytes",
    toldToReaders: true,
  },
  {
    what: "a database that lacks its last page, without a journal",
    make: async (path) => {
      emptyJournal(path);
      await cut(path, 4_096);
    },
    said: "and 1 of its",
    toldToReaders: true,
  },
  {
    what: "a database that was cut within a page, without a journal",
    make: async (path) => {
      emptyJournal(path);
      await cut(path, 100);
    },
    said: "it was cut short",
    toldToReaders: true,
  },
  {
    what: "a database that lacks half of itself, whose journal does not hold that",
    make: async (path) => {
      emptyJournal(path);
      await beginJournal(path);
      await cut(path, await halfOf(path));
    },
    said: "it was cut short",
    toldToReaders: false,
  },
  {
    what: "a journal of a database with pages of another size",
    make: async (path) => {
      const other = aDatabase(`${path}-other`, "pragma page_size = 8192");
      await Deno.copyFile(`${path}-other-wal`, `${path}-wal`);
      other.close();
      for (const end of ["", "-wal", "-shm"]) {
        await Deno.remove(`${path}-other${end}`).catch(noMatter);
      }
    },
    said: '"PATH-wal" beside it is of another database',
    toldToReaders: false,
  },
  {
    what: "a journal of another program's database",
    make: async (path) => {
      const other = aDatabase(`${path}-other`, "");
      await Deno.copyFile(`${path}-other-wal`, `${path}-wal`);
      other.close();
      for (const end of ["", "-wal", "-shm"]) {
        await Deno.remove(`${path}-other${end}`).catch(noMatter);
      }
    },
    said: '"PATH-wal" beside it is of another database',
    toldToReaders: false,
  },
];

for (const { what, make, said, toldToReaders } of REMAINS) {
  Deno.test(`remains: ${what} is refused, and left as it is`, () =>
    withRemains(async (path) => {
      await make(path);
      const before = await contents(path);
      const words = said.replaceAll("PATH", path);
      const error = await assertRejects(() => openSqliteOutbox(path), IncompleteDatabaseError);
      assertStringIncludes(error.message, words);
      assertStringIncludes(error.message, `cannot open "${path}"`);
      if (toldToReaders) {
        assertThrows(() => openReader(path), IncompleteDatabaseError, words);
        await assertRejects(() => backup(path, `${path}-b`), IncompleteDatabaseError, words);
      }
      assertEquals(await contents(path), before);
    }));
}

Deno.test("remains: what a killed process left is opened, also where its checkpoint was cut off", () =>
  withRemains(async (path) => {
    // All pages that a checkpoint had yet to add are in the journal.
    await cut(path, await halfOf(path));
    const outbox = await openSqliteOutbox(path);
    assertEquals((await outbox.audit()).events, 60);
    assertEquals((await outbox.audit()).faults, []);
    await outbox.close();
  }));

Deno.test("remains: a few pages that are neither in the file nor in its journal are too many", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/outbox.db`, living = `${path}-living`;
  const enqueue = async (count: number) => {
    const outbox = await openSqliteOutbox(living);
    const data = JSON.stringify("x".repeat(40_000));
    for (let i = 0; i < count; i++) {
      await outbox.enqueue({ events: [aNewEvent({ event: anEvent({ data }) })], at: NOON });
    }
    return outbox;
  };
  await (await enqueue(20)).close();
  // What follows is in the journal alone.
  const outbox = await enqueue(3);
  for (const end of ["", "-wal"]) await Deno.copyFile(living + end, path + end);
  await outbox.close();
  await cut(path, 3 * 4_096);
  const error = await assertRejects(() => openSqliteOutbox(path), IncompleteDatabaseError);
  assertStringIncludes(error.message, "are neither in it nor in its journal");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("remains: a first start that was killed in its first transaction starts anew", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/outbox.db`;
  await Deno.writeFile(path, new Uint8Array());
  await Deno.writeFile(`${path}-journal`, aRollbackJournal({ pagesBefore: 0 }));
  await (await openSqliteOutbox(path)).close();
  await Deno.remove(folder, { recursive: true });
});

/** A database with sixty events, of which the last are in its journal alone, as kill -9 leaves it. */
async function withRemains(story: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/outbox.db`;
    do await leaveRemains(path); while (await journalRounds(path) > 0);
    await story(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function leaveRemains(path: string): Promise<void> {
  const outbox = await openSqliteOutbox(`${path}-living`);
  const data = JSON.stringify("x".repeat(40_000));
  for (let i = 0; i < 60; i++) {
    await outbox.enqueue({ events: [aNewEvent({ event: anEvent({ data }) })], at: NOON });
  }
  for (const end of ["", "-wal"]) await Deno.copyFile(`${path}-living${end}`, path + end);
  await outbox.close();
  await Deno.remove(`${path}-living`);
}

/** How often a journal began anew: on a busy machine a checkpoint may end before all is stored. */
async function journalRounds(path: string): Promise<number> {
  const head = await Deno.readFile(`${path}-wal`);
  return new DataView(head.buffer).getUint32(12);
}

/** One of another program, with something in its journal. */
function aDatabase(path: string, first: string): DatabaseSync {
  const db = new DatabaseSync(path);
  db.exec(`${first}; pragma journal_mode = wal; create table notes (text)`);
  db.exec("insert into notes values (zeroblob(50000))");
  return db;
}

/** Its head alone: sqlite.org, "Database File Format", 3. */
function aRollbackJournal({ pagesBefore }: { pagesBefore: number }): Uint8Array {
  const view = new DataView(new ArrayBuffer(512));
  view.setUint32(0, 0xd9d505f9);
  view.setUint32(4, 0x20a163d7);
  view.setUint32(16, pagesBefore);
  view.setUint32(20, 512);
  view.setUint32(24, 4_096);
  return new Uint8Array(view.buffer);
}

/** Moves all of it into the database, and leaves that as one file. */
function emptyJournal(path: string): void {
  const db = new DatabaseSync(path);
  db.exec("pragma wal_checkpoint(truncate)");
  db.close();
}

/** Begins one with a change to a page or two, and leaves it as kill -9 does. */
async function beginJournal(path: string): Promise<void> {
  const db = new DatabaseSync(path);
  db.exec("pragma wal_autocheckpoint = 0; update events set delivery_count = 1 where seq = 1");
  await Deno.copyFile(`${path}-wal`, `${path}-kept`);
  db.close();
  await Deno.rename(`${path}-kept`, `${path}-wal`);
}

/** In whole pages. */
async function halfOf(path: string): Promise<number> {
  return Math.floor(await sizeOf(path) / 8_192) * 4_096;
}

async function cut(path: string, bytes: number): Promise<void> {
  await Deno.truncate(path, await sizeOf(path) - bytes);
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path)).size;
}

async function contents(path: string): Promise<Map<string, Uint8Array>> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await Deno.readFile(`${folder}/${name}`)] as const),
    ),
  );
}

function noMatter(): void {}
