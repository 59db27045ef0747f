import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { writeLargeDatabase } from "../support/a_large_database.ts";
import { bellhook, freePort, kill, startServe } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aDirectory, finish } from "./captured.ts";
import { Interrupted } from "../../src/runtime/long_work.ts";

/** Enough for each step to take longer than a look at the folder does. */
const ROWS = 20_000;

/** The real command line on a database of its own, and what it leaves there. */
async function aHouse(version?: number) {
  const port = freePort();
  const directory = await aDirectory({
    "config.json": JSON.stringify({ server: { listen: `127.0.0.1:${port}` }, subscriptions: [] }),
  });
  const path = `${directory.path}/bellhook.db`;
  writeLargeDatabase(path, { rows: ROWS, ...(version !== undefined && { version }) });
  return {
    ...directory,
    port,
    database: path,
    config: `${directory.path}/config.json`,
    /** The files beside the config, without the journal. */
    names: () =>
      [...Deno.readDirSync(directory.path)].map(({ name }) => name)
        .filter((name) => !/-(wal|shm|lock)$/.test(name) && name !== "config.json").sort(),
  };
}

/** A daemon that says this has done all its work. */
const READY = "bellhook is ready";

/**
 * Starts a command as a process, and ends it by the signal at some point of its work. A command that
 * has done all of its work before anybody saw it there starts again on the database as it was.
 */
async function endedAt(
  house: { path: string },
  { args, isThere, signal = "SIGKILL" }: {
    args: string[];
    isThere: (said: string) => boolean;
    signal?: Deno.Signal;
  },
): Promise<Deno.CommandStatus> {
  const { path } = house;
  const before = await filesIn(path);
  for (let tries = 0; tries < 50; tries++) {
    const process = await stoppedAt(args, isThere);
    if (process) {
      // It hears of a signal before it goes on.
      process.kill(signal);
      if (signal !== "SIGKILL") process.kill("SIGCONT");
      return await process.status;
    }
    for (const name of (await filesIn(path)).keys()) await Deno.remove(`${path}/${name}`);
    for (const [name, bytes] of before) await Deno.writeFile(`${path}/${name}`, bytes);
  }
  throw new Error(`"${args[0]}" was never seen there: ${isThere}`);
}

async function filesIn(folder: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(folder)) {
    files.set(name, await Deno.readFile(`${folder}/${name}`));
  }
  return files;
}

/** The process stands still at that point; undefined where it has passed it. */
async function stoppedAt(
  args: string[],
  isThere: (said: string) => boolean,
): Promise<Deno.ChildProcess | undefined> {
  const rights = ["net", "read", "write", "env", "sys", "run"].map((name) => `--allow-${name}`);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", ...rights, "main.ts", ...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let said = "";
  void process.stderr.pipeThrough(new TextDecoderStream())
    .pipeTo(new WritableStream({ write: (text) => void (said += text) })).catch(() => {});
  let hasEnded = false;
  void process.status.then(() => hasEnded = true);
  const isDone = () => hasEnded || said.includes(READY);
  await until(() => isDone() || isThere(said), "it is there");
  try {
    process.kill("SIGSTOP");
  } catch {
    // It has ended meanwhile.
  }
  // What it said or did just before is known by then.
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  if (!isDone()) return process;
  await kill(process);
  return undefined;
}

function isPartial(name: string): boolean {
  return name.endsWith(".partial");
}

function sizeOf(folder: string, is: (name: string) => boolean): number {
  let bytes = 0;
  for (const { name } of Deno.readDirSync(folder)) {
    try {
      if (is(name)) bytes += Deno.statSync(`${folder}/${name}`).size;
    } catch {
      // It has just gone.
    }
  }
  return bytes;
}

function rowsIn(path: string): number[] {
  using db = new DatabaseSync(path, { readOnly: true });
  return ["events", "deliveries", "attempts"].map((table) =>
    Number(db.prepare(`select count(*) as n from ${table}`).get()!.n)
  );
}

const ALL = [ROWS, ROWS, ROWS];

Deno.test("story: an upgrade killed with -9 at any moment is done by the next start, with one copy", async () => {
  await using house = await aHouse(2);
  const { path: folder, database, config } = house;
  const copy = "bellhook.db-v2-backup";
  const whole = Deno.statSync(database).size;
  const has = (name: string) => house.names().includes(name);
  const isChanging = (said: string) => said.includes("a copy of it as it was is kept");
  const moments: ((said: string) => boolean)[] = [
    (said) => said.includes("is from an older version"),
    () => house.names().some(isPartial),
    () => sizeOf(folder, isPartial) > whole / 2,
    () => sizeOf(folder, isPartial) >= whole,
    () => has(copy),
    isChanging,
    isChanging,
  ];
  for (const isThere of moments) {
    await endedAt(house, { args: ["serve", "-c", config], isThere });
    // Whatever is there is a whole copy, or has not got its name.
    if (has(copy)) assertEquals(rowsIn(`${folder}/${copy}`), ALL);
  }
  const madeAt = Deno.statSync(`${folder}/${copy}`).mtime!.getTime();
  const { process, ready } = startServe(folder, house.port);
  await ready;
  process.kill("SIGTERM");
  assertEquals((await process.status).code, 0);
  assertEquals(house.names(), ["bellhook.db", copy]);
  assertEquals(Deno.statSync(`${folder}/${copy}`).mtime!.getTime(), madeAt, "it was used again");
  assertEquals([rowsIn(database), rowsIn(`${folder}/${copy}`)], [ALL, ALL]);
  const { code, stdout } = await bellhook(folder, "audit");
  assertEquals(code, 0, stdout);
});

Deno.test("story: an upgrade that is told to stop ends with 0, sends nothing, and goes on later", async () => {
  let requests = 0;
  await using receiver = startRawServer(() => {
    requests++;
    return {};
  });
  await using house = await aHouse(2);
  {
    using db = new DatabaseSync(house.database);
    db.exec(`update deliveries set state = 0, due_at = 1, finished_at = null, finished_after = null,
      last_status = null, attempt_count = 0 where seq > ${ROWS - 5}`);
    db.exec(`delete from attempts where delivery > ${ROWS - 5}`);
    db.exec("update counts set pending = 5, delivered = delivered - 5");
  }
  const subscription = { id: "sub", url: receiver.url, events: ["*"], allowHttp: true };
  const secret = `whsec_${btoa("x".repeat(32))}\n`;
  await Deno.writeTextFile(`${house.path}/secret`, secret);
  await Deno.writeTextFile(
    house.config,
    JSON.stringify({
      server: { listen: `127.0.0.1:${house.port}` },
      subscriptions: [{
        ...subscription,
        allowNetworks: ["127.0.0.0/8"],
        secret: { file: "secret" },
      }],
    }),
  );
  const copy = "bellhook.db-v2-backup";
  const moments: (() => boolean)[] = [
    () => house.names().some(isPartial),
    () => house.names().includes(copy),
  ];
  for (const [index, isThere] of moments.entries()) {
    const args = ["serve", "-c", house.config];
    const { code } = await endedAt(house, { args, isThere, signal: "SIGTERM" });
    assertEquals(code, 0);
    assertEquals(requests, 0, "it was told to stop before it sent anything");
    assertEquals(house.names(), ["bellhook.db", ...(index === 0 ? [] : [copy]), "secret"]);
  }
  const { process, ready } = startServe(house.path, house.port);
  await ready;
  await until(() => requests === 5, "the rest is sent");
  process.kill("SIGTERM");
  assertEquals((await process.status).code, 0);
  assertEquals(house.names(), ["bellhook.db", copy, "secret"]);
});

Deno.test("upgrade: what an older Bellhook has changed since is copied again", async () => {
  await using house = await aHouse(2);
  const { path: folder, database, config } = house;
  const copy = "bellhook.db-v2-backup";
  const args = ["serve", "-c", config];
  await endedAt(house, { args, isThere: () => house.names().includes(copy) });
  {
    using db = new DatabaseSync(database);
    db.exec("update attempts set duration_ms = 21 where seq = 17");
  }
  const { process, ready, said } = startServe(folder, house.port);
  await ready;
  process.kill("SIGTERM");
  await process.status;
  assertEquals(house.names(), ["bellhook.db", copy, `${copy}-2`]);
  assertMatch(await said, /the database is from an older version.*bytes=\d+ freeBytes=\d+/);
});

Deno.test("story: a compaction killed with -9 at any moment loses nothing and leaves nothing", async () => {
  await using house = await aHouse();
  const { path: folder, database, config } = house;
  {
    using db = new DatabaseSync(database);
    db.exec(`delete from attempts where seq <= 10000; delete from outcomes where delivery <= 10000;
    delete from deliveries_of_subscription where delivery <= 10000;
    delete from deliveries_of_type where delivery <= 10000;
    delete from deliveries where seq <= 10000;
      delete from events_of_type where event <= 10000; delete from events where seq <= 10000;
      update counts set delivered = 10000`);
  }
  const rest = [10_000, 10_000, 10_000];
  const whole = Deno.statSync(database).size;
  for (const share of [0, 0.2, 0.4]) {
    await endedAt(house, {
      args: ["compact", "-c", config],
      isThere: () => house.names().some(isPartial) && sizeOf(folder, isPartial) >= share * whole,
    });
    assertEquals(rowsIn(database), rest);
  }
  const { code, stdout, stderr } = await bellhook(folder, "compact", "--json");
  assertEquals(code, 0, stderr);
  const { bytesBefore, bytesAfter } = JSON.parse(stdout);
  assert(bytesAfter <= bytesBefore * 0.7, stdout);
  assertEquals(Deno.statSync(database).size, bytesAfter);
  assertEquals(house.names(), ["bellhook.db"]);
  assertEquals((await bellhook(folder, "audit")).code, 0);
  assertEquals(rowsIn(database), rest);
});

Deno.test("compact: a dry run tells sizes and changes nothing; beside a daemon it names the process", async () => {
  await using house = await aHouse();
  const before = await Deno.readFile(house.database);
  const { exitCode, stdout } = await finish(["compact", "--dry-run", "--json", "-c", house.config]);
  const facts = JSON.parse(stdout);
  assertEquals([exitCode, facts.bytes, facts.freeBytes], [0, before.length, 0]);
  assertEquals((await Deno.readFile(house.database)).length, before.length);
  const { process, ready } = startServe(house.path, house.port);
  await ready;
  const refused = await finish(["compact", "-c", house.config]);
  assertEquals(refused.exitCode, 1);
  assertStringIncludes(refused.stderr, `process ${process.pid} is running on it`);
  process.kill("SIGTERM");
  assertEquals((await process.status).code, 0);
});

Deno.test("backup: Ctrl-C removes what it has written; kill -9 leaves what the next one removes", async () => {
  await using house = await aHouse();
  const args = ["backup", `${house.path}/b.db`, "-c", house.config];
  const isThere = () => house.names().some(isPartial);
  assertEquals((await endedAt(house, { args, isThere, signal: "SIGINT" })).code, 1);
  assertEquals(house.names(), ["bellhook.db"]);

  await endedAt(house, { args, isThere });
  assertEquals(house.names().filter(isPartial).length, 1);
  assertEquals((await finish(args)).exitCode, 0);
  assertEquals(house.names(), ["b.db", "bellhook.db"]);
});

Deno.test("start: told to stop before it is done, nothing is sent and the database is let go", async () => {
  let requests = 0;
  await using receiver = startRawServer(() => {
    requests++;
    return {};
  });
  await using house = await aHouse();
  {
    using db = new DatabaseSync(house.database);
    db.exec("delete from outcomes where delivery = 1");
    db.exec("insert into pending values (1, 1, 1700000000001, 1, 0, 0, null)");
    db.exec("delete from attempts where delivery = 1; delete from attempts where seq > 100");
  }
  const local = { url: receiver.url, allowHttp: true, allowNetworks: ["127.0.0.0/8"] };
  const config = aConfig({ subscriptions: [aSubscription({ id: "sub", ...local })] });
  const onDisk = { ...config, storage: { ...config.storage, path: house.database } };
  await assertRejects(() => aDaemon(onDisk, { signal: AbortSignal.abort() }), Interrupted);
  assertEquals(requests, 0);
  // Another may have it now, and sends.
  await using _daemon = await aDaemon(onDisk);
  await until(() => requests === 1, "it is sent");
});
