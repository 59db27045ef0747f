/** The samples of docs/publishers.md, each in its own language, against a daemon that runs by itself. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { aDirectory } from "../cli/captured.ts";
import { blocksOf } from "../docs/pages.ts";
import { freePort, kill, serve } from "../support/processes.ts";
import { aWayThrough, type Way } from "./a_way_through.ts";

interface Sample {
  readonly name: string;
  /** As its block in the page is marked. */
  readonly language: string;
  /** In docs/publishers/. */
  readonly file: string;
  /** Undefined where it is not run. */
  readonly runs?: {
    /** Ends well where all that it needs is here. */
    readonly needs: string;
    /** What the sample and the driver are named in the folder that they run in. */
    readonly files: Readonly<Record<string, string>>;
    readonly prepare?: string;
    readonly command: string;
  };
}

const JARS = [
  ...["core", "beans", "jdbc", "transaction"].map((name) => `spring3-${name}`),
  ...["commons-logging", "sqlite-jdbc"],
].map((name) => `/usr/share/java/${name}.jar`).join(":");

/** Debian's Go libraries, which are no modules. */
const GO = "GO111MODULE=off GOPATH=/usr/share/gocode";

const SAMPLES: readonly Sample[] = [
  {
    name: "Node",
    language: "js",
    file: "node.mjs",
    runs: {
      needs: "true",
      files: { "sample.mjs": "node.mjs", "driver.mjs": "driver.mjs" },
      // Before 22.5 Node has no SQLite; Deno has Node's.
      command: await succeeds(`node -e 'require("node:sqlite")'`)
        ? "node --no-warnings driver.mjs"
        : `${Deno.execPath()} run -q --no-config -A driver.mjs`,
    },
  },
  {
    name: "Python and Django",
    language: "python",
    file: "bellhook.py",
    runs: {
      needs: "/usr/bin/python3 -c 'import django'",
      files: { "sample.py": "bellhook.py", "driver.py": "driver.py" },
      command: "/usr/bin/python3 driver.py",
    },
  },
  {
    name: "Ruby on Rails",
    language: "ruby",
    file: "bellhook.rb",
    runs: {
      needs: "ruby -e 'require %q(active_record); require %q(sqlite3)'",
      files: { "sample.rb": "bellhook.rb", "driver.rb": "driver.rb" },
      command: "ruby driver.rb",
    },
  },
  {
    name: "PHP and Laravel",
    language: "php",
    file: "bellhook.php",
    runs: {
      needs: 'php -r \'require "Illuminate/Database/autoload.php"; ' +
        'exit(function_exists("curl_init") && extension_loaded("pdo_sqlite") ? 0 : 1);\'',
      files: { "sample.php": "bellhook.php", "driver.php": "driver.php" },
      command: "php -d error_reporting=8191 driver.php",
    },
  },
  {
    name: "Go",
    language: "go",
    file: "bellhook.go",
    runs: {
      needs: `${GO} go list github.com/mattn/go-sqlite3`,
      files: { "sample.go": "bellhook.go", "driver.go": "driver.go" },
      prepare: "sed -i 's/^package bellhook/package main/' sample.go && " +
        `${GO} go build -o driver sample.go driver.go`,
      command: "./driver",
    },
  },
  {
    name: "Java and Spring",
    language: "java",
    file: "Bellhook.java",
    runs: {
      needs: `javac --version && cat ${JARS.replaceAll(":", " ")}`,
      files: { "Bellhook.java": "Bellhook.java", "Driver.java": "Driver.java" },
      prepare: `javac -cp ${JARS} Bellhook.java Driver.java`,
      command: `java -XX:TieredStopAtLevel=1 -cp ${JARS}:. Driver`,
    },
  },
  // There is no .NET in Debian.
  { name: "C#", language: "csharp", file: "Bellhook.cs" },
];

const TOKEN = "a-token-of-a-publisher-that-is-long";

for (const sample of SAMPLES) {
  const { runs } = sample;
  const missing = runs === undefined
    ? "it is not run"
    : await succeeds(runs.needs)
    ? ""
    : "not here";
  Deno.test({
    name: `publishers: ${sample.name}: every event once, whatever comes between${
      missing && ` (left out: ${missing})`
    }`,
    ignore: missing !== "",
    fn: () => tried(runs!),
  });
}

async function tried(runs: NonNullable<Sample["runs"]>): Promise<void> {
  await using folder = await aDirectory();
  const port = freePort();
  const store = openStore(join(folder.path, "shop.db"));
  const program = await prepared(runs, folder.path);
  await using daemon = await aRunningDaemon(folder.path, port);
  await using way = aWayThrough(daemon.url);

  // Both rows or neither: 2 is ordered twice, and the second order fails as a whole.
  assertEquals(await program.run("order", "1", "2", "2", "3"), "2 failed\n");
  assertEquals(
    store.column("select event_id from bellhook_outbox order by id"),
    [1, 2, 3].map(idOf),
  );

  // A crash after the post and before the mark: the daemon has the event, and nobody heard of it.
  way.next("swallow");
  const dying = program.start("relay", way.url);
  await Promise.race([
    way.swallowed,
    dying.status.then(({ code }) => Promise.reject(new Error(`the relay ended with ${code}`))),
  ]);
  await kill(dying);
  assertEquals(store.column("select posted_at from bellhook_outbox where id = 1"), [null]);

  // One that can never be taken must not hold up those behind it.
  store.run("insert into bellhook_outbox (event_id, body) values ('bad', '{\"type\": 7}')");
  await program.run("order", "4");
  way.next("full", "slow down", "cut off after", "pass", "wrong token");
  await program.run("relay", way.url);

  const { items } = await daemon.get("/v1/events?limit=500");
  assertEquals(items.map(({ id }: { id: string }) => id).reverse(), [1, 2, 3, 4].map(idOf));
  assertEquals(store.column("select event_id from bellhook_outbox where posted_at is not null"), [
    ...[1, 2, 3, 4].map(idOf),
  ]);
  const [refused] = store.column("select refused from bellhook_outbox where event_id = 'bad'");
  assert(String(refused).includes('"type"'), String(refused));
  assertPauses(way);
}

/** 503 and 429 were waited out, to the second that their `Retry-After` said. */
function assertPauses({ arrivals }: Way): void {
  for (const [index, { did, atMs }] of arrivals.entries()) {
    if (did !== "full" && did !== "slow down") continue;
    const next = arrivals[index + 1]!;
    // Programs round timers down by up to a millisecond.
    assert(next.atMs - atMs >= 995, `${did}: the next came after ${next.atMs - atMs} ms`);
    assertEquals(next.id, arrivals[index]!.id);
  }
}

function idOf(order: number): string {
  return `order-${order}-created`;
}

function openStore(path: string) {
  const db = new DatabaseSync(path);
  db.exec("create table orders (id integer primary key, total integer not null)");
  db.exec(Deno.readTextFileSync("docs/publishers/outbox.sql"));
  db.close();
  // Opened anew each time, so that no lock of ours is in a program's way.
  const withStore = <T>(use: (db: DatabaseSync) => T): T => {
    const open = new DatabaseSync(path);
    try {
      return use(open);
    } finally {
      open.close();
    }
  };
  return {
    column: (sql: string) =>
      withStore((db) => db.prepare(sql).all().map((row) => Object.values(row)[0])),
    run: (sql: string) => withStore((db) => db.exec(sql)),
  };
}

async function prepared({ files, prepare, command }: NonNullable<Sample["runs"]>, folder: string) {
  for (const [name, from] of Object.entries(files)) {
    const at = name.toLowerCase().startsWith("driver") ? "tests" : "docs";
    await Deno.copyFile(`${at}/publishers/${from}`, join(folder, name));
  }
  const run = async (line: string) => {
    const { success, stdout, stderr } = await shell(line, folder).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assert(success, `${line}\n${text(stdout)}${text(stderr)}`);
    return text(stdout);
  };
  if (prepare) await run(prepare);
  return {
    run: (...words: string[]) => run(`${command} ${words.join(" ")}`),
    start: (...words: string[]) =>
      shell(`exec ${command} ${words.join(" ")}`, folder, "null").spawn(),
  };
}

function shell(line: string, folder: string, output: "piped" | "null" = "piped"): Deno.Command {
  return new Deno.Command("bash", {
    args: ["-c", line],
    cwd: folder,
    env: { OUTBOX_DB: join(folder, "shop.db"), BELLHOOK_TOKEN: TOKEN, NO_COLOR: "1" },
    stdin: "null",
    stdout: output,
    stderr: output,
  });
}

async function aRunningDaemon(folder: string, port: number) {
  const operator = "a-token-of-an-operator-that-is-long";
  await Deno.writeTextFile(
    join(folder, "config.json"),
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}` },
      auth: {
        publishers: [{ name: "app", token: { env: "PUBLISHER" } }],
        operators: [{ name: "ops", token: { env: "OPERATOR" } }],
      },
    }),
  );
  const daemon = await serve(folder, port, { PUBLISHER: TOKEN, OPERATOR: operator });
  const url = `http://127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${operator}` };
  return {
    url,
    get: async (path: string) => await (await fetch(`${url}${path}`, { headers })).json(),
    [Symbol.asyncDispose]: () => kill(daemon),
  };
}

async function succeeds(line: string): Promise<boolean> {
  const options: Deno.CommandOptions = { args: ["-c", line], stdout: "null", stderr: "null" };
  return (await new Deno.Command("bash", options).output().catch(() => ({ success: false })))
    .success;
}

Deno.test("publishers: the page shows the very samples that are run", async () => {
  const blocks = blocksOf(await Deno.readTextFile("docs/publishers.md"));
  const files = [...SAMPLES, { language: "sql", file: "outbox.sql" }];
  for (const { language, file } of files) {
    const shown = blocks.filter((block) => block.language === language).map(({ text }) => text);
    assertEquals(shown, [await Deno.readTextFile(`docs/publishers/${file}`)], file);
  }
  const there = [...Deno.readDirSync("docs/publishers")].map(({ name }) => name);
  assertEquals(there.sort(), files.map(({ file }) => file).sort());
});
