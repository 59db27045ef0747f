import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { canRun } from "../support/can_run.ts";
import { bellhook } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { House } from "./a_house.ts";

/** Programs that open the database of a running daemon, as its operators and their scripts do. */
interface Visitor {
  readonly program: string;
  readonly args: (database: string) => string[];
}

const SQL = [
  "select count(*) from events",
  "vacuum",
  "pragma wal_checkpoint(truncate)",
  "create table if not exists visits (at text); insert into visits values ('now')",
  "begin immediate; insert into visits values ('held'); select count(*) from attempts; commit",
  "begin; select count(*) from deliveries; select count(*) from attempts; commit",
  "pragma wal_checkpoint(restart); select 1",
];

const sqlite3: Visitor[] = [
  ...SQL.map((sql) => ({
    program: "sqlite3",
    args: (database: string) => [database, ".timeout 2000", `${sql};`],
  })),
  { program: "sqlite3", args: (database) => [database, `.backup ${database}-by-sqlite3`] },
];

const PYTHON = `
import sqlite3, sys
for sql in sys.argv[2:]:
    try:
        db = sqlite3.connect(sys.argv[1], timeout=2, isolation_level=None)
        for statement in sql.split("; "):
            db.execute(statement).fetchall()
        db.close()
    except sqlite3.OperationalError as error:
        print(error, file=sys.stderr)
open(sys.argv[1], "rb").read(100)
`;

const python3: Visitor[] = [
  { program: "python3", args: (database) => ["-c", PYTHON, database, ...SQL] },
];

const DENO = `
import { DatabaseSync } from "node:sqlite";
const [path, ...all] = Deno.args;
for (const sql of all) {
  try {
    const db = new DatabaseSync(path, { timeout: 2000 });
    db.exec(sql);
    db.close();
  } catch (error) {
    console.error(String(error));
  }
}
await Deno.readFile(path);
`;

const deno: Visitor[] = [{
  program: Deno.execPath(),
  args: (database) => [
    "run",
    "-q",
    "--allow-read",
    "--allow-write",
    `data:text/javascript,${encodeURIComponent(DENO)}`,
    database,
    ...SQL,
  ],
}];

for (const visitors of [sqlite3, python3, deno]) {
  const { program } = visitors[0]!;
  const isThere = await canRun(program);
  const name = program === Deno.execPath() ? "deno" : program;
  Deno.test({
    name: `visitors: whatever ${name} does beside the daemon, kill -9 takes nothing acknowledged` +
      (isThere ? "" : ` (left out: there is no ${name})`),
    ignore: !isThere,
    fn: () => beVisited(visitors),
  });
}

async function beVisited(visitors: readonly Visitor[]): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using house = new House(folder);
    await house.start();
    let visiting = true;
    const answers = new Set<number | string>();
    const posting = Array.from({ length: 4 }, async () => {
      while (visiting) {
        const status = await house.post(4_000).then(({ status }) => status, String);
        answers.add(status);
        if (typeof status === "string") return;
      }
    });
    for (let round = 0; round < 3; round++) {
      for (const { program, args } of visitors) {
        await new Deno.Command(program, {
          args: args(house.database),
          stdout: "null",
          stderr: "null",
        }).output();
      }
    }
    // The last visitor has left: what comes now would be in files that it deleted.
    const before = house.accepted.length;
    await until(() => answers.size > 2 || house.accepted.length >= before + 40, "more is accepted");
    visiting = false;
    await Promise.all(posting);
    assertEquals([...answers].filter((status) => status !== 202 && status !== 503), []);
    await house.kill();

    const audit = await bellhook(folder, "audit");
    assertEquals([audit.code, audit.stderr], [0, ""], audit.stdout);
    using db = new DatabaseSync(house.database, { readOnly: true });
    const stored = new Set(
      db.prepare("select cast(id as text) as id from events").all().map(({ id }) => id),
    );
    assertEquals(house.accepted.filter((id) => !stored.has(id)), [], "answered 202, and lost");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
