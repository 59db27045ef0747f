import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { startLoopTime } from "../support/loop_time.ts";
import { bellhook } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { House } from "./a_house.ts";

/** What another program does to the files of a running daemon. */
interface Taking {
  readonly what: string;
  readonly take: (database: string) => Promise<void>;
  /** What the daemon says of it. */
  readonly said: string;
  /** Which file it tells of. */
  readonly file: string;
  /** What has to be done by the operator, if more than to start it again. */
  readonly then: "restore the copy" | "just start";
}

const MOVED = "removed or moved", REPLACED = "put another file in the place of";

const TAKINGS: readonly Taking[] = [
  {
    what: "the database is removed",
    take: (path) => Deno.remove(path),
    said: MOVED,
    file: "bellhook.db",
    then: "restore the copy",
  },
  {
    what: "the journal is removed",
    take: (path) => Deno.remove(`${path}-wal`),
    said: MOVED,
    file: "bellhook.db-wal",
    then: "restore the copy",
  },
  {
    what: "the journal's index is removed",
    take: (path) => Deno.remove(`${path}-shm`),
    said: MOVED,
    file: "bellhook.db-shm",
    then: "just start",
  },
  {
    what: "all files are removed",
    take: async (path) => {
      for (const end of ["", "-wal", "-shm", "-lock"]) await Deno.remove(path + end);
    },
    said: MOVED,
    file: "bellhook.db",
    then: "restore the copy",
  },
  {
    what: "the database is moved",
    take: (path) => Deno.rename(path, `${path}-elsewhere`),
    said: MOVED,
    file: "bellhook.db",
    then: "restore the copy",
  },
  {
    what: "the database is replaced by a copy",
    take: async (path) => {
      await new Deno.Command("cp", { args: [path, `${path}-copy`] }).output();
      await Deno.rename(`${path}-copy`, path);
    },
    said: REPLACED,
    file: "bellhook.db",
    then: "restore the copy",
  },
  {
    what: "the database is replaced by a link to where it was moved",
    take: async (path) => {
      await Deno.rename(path, `${path}-elsewhere`);
      await Deno.symlink(`${path}-elsewhere`, path);
    },
    said: REPLACED,
    file: "bellhook.db",
    then: "restore the copy",
  },
];

for (const { what, take, said, file, then } of TAKINGS) {
  Deno.test(`taken files: ${what}: 503 within two seconds, and nothing acknowledged is lost`, () =>
    withHouse(async (house, folder) => {
      await house.start();
      await Promise.all(Array.from({ length: 8 }, () => house.post()));
      await take(house.database);
      await assertNoticed(house);
      assertEquals(await house.ended(), 1);
      assertStringIncludes(await house.said, said);
      assertStringIncludes(await house.said, `"${folder}/${file}"`);

      if (then === "restore the copy") {
        const refused = await assertRejects(() => house.startAgain(), Error, "ended with 1");
        const rescued = `${house.database}-rescued`;
        assertStringIncludes(refused.message, `rename "${rescued}" to "${house.database}"`);
        for (const end of ["-wal", "-shm"]) await Deno.remove(house.database + end).catch(() => {});
        await Deno.rename(rescued, house.database);
      }
      await house.startAgain();
      await assertAllStored(house, folder);
    }));
}

for (const end of ["", "-wal"]) {
  Deno.test(`taken files: "bellhook.db${end}" is cut short: the daemon ends before it trusts it`, () =>
    withHouse(async (house) => {
      await house.start();
      await Promise.all(Array.from({ length: 8 }, () => house.post()));
      await Deno.truncate(house.database + end, 8_192);
      await assertNoticed(house);
      assertEquals(await house.ended(), 1);
      assertStringIncludes(await house.said, `has cut "${house.database}${end}" short, from `);
    }));
}

Deno.test("taken files: stopped before it notices, the daemon saves all and says so", () =>
  withHouse(async (house) => {
    await house.start();
    await Promise.all(Array.from({ length: 8 }, () => house.post()));
    await Deno.remove(house.database);
    assertEquals(await house.stop(), 1);
    const rescued = `${house.database}-rescued`;
    assertStringIncludes(await house.said, `saved in "${rescued}"`);
    using db = new DatabaseSync(rescued, { readOnly: true });
    assertEquals(db.prepare("select count(*) as n from events").get(), row({ n: 8 }));
  }));

Deno.test("taken files: without its lock file the database still has one daemon, which puts it back", () =>
  withHouse(async (house, folder) => {
    await house.start();
    await Deno.remove(`${house.database}-lock`);
    const config = JSON.parse(await Deno.readTextFile(`${folder}/config.json`));
    config.server.listen = `unix:${folder}/second.sock`;
    await Deno.mkdir(`${folder}/second`);
    config.storage = { url: `sqlite:${house.database}` };
    await Deno.copyFile(`${folder}/secret`, `${folder}/second/secret`);
    await Deno.writeTextFile(`${folder}/second/config.json`, JSON.stringify(config));
    const second = await bellhook(`${folder}/second`, "serve");
    assertEquals(second.code, 1);
    assertStringIncludes(second.stderr, `process ${house.pid} is running on it`);
    await until(
      async () => (await readOrNothing(`${house.database}-lock`)) === `${house.pid}\n`,
      "the lock file is back",
    );
    assertEquals((await house.ready()).status, 200);
    await house.post();
    await house.assertWhole();
  }));

async function withHouse(story: (house: House, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using house = new House(folder);
    await story(house, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Posts go on until one is refused, which is soon; then it is not ready either. */
async function assertNoticed(house: House): Promise<void> {
  const before = house.accepted.length;
  using time = startLoopTime();
  const refused = await until(async () => {
    const answer = await house.post();
    return answer.status === 202 ? undefined : answer;
  }, "a post is refused");
  // Two seconds where nothing else wants the processor, as the other tests do.
  assert(time.ms < 8_000, `it took ${time.ms} ms`);
  assertEquals(refused.status, 503, refused.detail);
  // It hears this for a second more; on a busy machine the daemon may have ended by then.
  const ready = await house.ready().catch(() => undefined);
  assertEquals(ready?.status ?? 503, 503);
  assert(house.accepted.length - before < 2_000);
}

async function assertAllStored(house: House, folder: string): Promise<void> {
  await house.settled();
  assertEquals(await house.stop(), 0);
  using db = new DatabaseSync(house.database, { readOnly: true });
  const rows = db.prepare("select cast(id as text) as id from events").all();
  const stored = new Set(rows.map(({ id }) => id));
  assertEquals(house.accepted.filter((id) => !stored.has(id)), [], "answered 202, and lost");
  const audit = await bellhook(folder, "audit");
  assertEquals([audit.code, audit.stderr], [0, ""], audit.stdout);
}

function row<Values>(values: Values): Values {
  return Object.assign(Object.create(null), values);
}

async function readOrNothing(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}
