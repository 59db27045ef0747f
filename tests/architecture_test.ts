import { assert, assertEquals } from "@std/assert";

/** Which folders of src/ each folder may import from, beside itself. */
const ARROWS: Record<string, readonly string[]> = {
  domain: [],
  runtime: ["domain"],
  profiles: ["domain", "runtime"],
  transport: ["domain", "runtime"],
  outbox: ["domain", "runtime"],
  server: ["domain", "runtime"],
  config: ["domain", "runtime", "profiles", "transport"],
  ingest: ["domain", "runtime", "profiles", "config", "outbox"],
  dispatch: ["domain", "runtime", "profiles", "config", "outbox", "transport"],
  receivers: ["domain", "runtime", "profiles"],
  http: ["domain", "runtime", "profiles", "config", "outbox", "ingest", "transport", "server"],
};

/** Files that a folder outside may import of a folder: its port, not its adapters. */
const DOORS: Record<string, RegExp> = {
  outbox: /^src\/outbox\/(outbox|reader|errors)\.ts$/,
  server: /^src\/server\/answer\.ts$/,
  transport: /^src\/transport\/(transport|address_guard)\.ts$/,
};

const sources = await filesBelow("src");

Deno.test("imports: every arrow between the folders of src/ goes the way the picture has it", async () => {
  const wrong: string[] = [];
  for (const { from, to } of await imports()) {
    const [a, b] = [folderOf(from), folderOf(to)];
    if (a === undefined || b === undefined || a === b) continue;
    const allowed = ARROWS[a];
    // daemon.ts, cli/ and main.ts wire everything.
    if (allowed && !allowed.includes(b)) wrong.push(`${from} imports ${to}`);
  }
  assertEquals(wrong, []);
});

Deno.test("imports: only the daemon and the command line name an adapter", async () => {
  const wrong = (await imports()).filter(({ from, to }) => {
    const [a, b] = [folderOf(from), folderOf(to)];
    if (a === b || b === undefined || a === undefined || a === "cli") return false;
    return DOORS[b] !== undefined && !DOORS[b].test(to);
  });
  assertEquals(wrong, []);
});

Deno.test("imports: no file of src/ imports itself by a way round", async () => {
  const graph = Map.groupBy(await imports(), ({ from }) => from);
  const circles: string[] = [];
  const finished = new Set<string>();
  const walk = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    if (at >= 0) circles.push([...way.slice(at), path].join(" → "));
    if (at >= 0 || finished.has(path)) return;
    for (const { to } of graph.get(path) ?? []) walk(to, [...way, path]);
    finished.add(path);
  };
  for (const path of sources) walk(path, []);
  assertEquals(circles, []);
});

Deno.test("ports: time, chance and the environment come in through runtime/ alone", async () => {
  const forbidden = /Date\.now\(\)|Math\.random\(|crypto\.randomUUID\(|Deno\.env\b/;
  const wrong: string[] = [];
  // The guides show receivers' code, which is none of ours.
  const exempt = /^src\/(runtime|http\/dashboard\/guide)\//;
  for (const path of sources.filter((path) => !exempt.test(path))) {
    if (forbidden.test(await Deno.readTextFile(path))) wrong.push(path);
  }
  assertEquals(wrong, []);
});

Deno.test("statements: none is read by iterate(), which ends in silence where SQLite fails", async () => {
  const wrong: string[] = [];
  for (const path of sources) {
    if (/\.iterate\(/.test(await Deno.readTextFile(path))) wrong.push(path);
  }
  assertEquals(wrong, []);
});

async function imports(): Promise<{ from: string; to: string }[]> {
  const found: { from: string; to: string }[] = [];
  for (const from of sources) {
    const text = await Deno.readTextFile(from);
    for (const [, specifier] of text.matchAll(/\bfrom\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/g)) {
      if (specifier === undefined) continue;
      const base = new URL(from, "file:///");
      found.push({ from, to: new URL(specifier, base).pathname.slice(1) });
    }
  }
  return found;
}

function folderOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await filesBelow(path));
    else if (/\.tsx?$/.test(entry.name)) files.push(path);
  }
  return files.sort();
}

Deno.test("tasks: none asks whether there is a newer Deno", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
  for (const [name, { command }] of Object.entries<{ command: string }>(tasks)) {
    assert(/^(export )?DENO_NO_UPDATE_CHECK=1 /.test(command), name);
  }
});

Deno.test("tests: none builds fast-check's table of all characters, which takes a second each time", async () => {
  const wrong: string[] = [];
  const table = /unit: "bi[n]ary"|noUnicode[S]tring: false/; // not itself
  for (const path of await filesBelow("tests")) {
    // anyText() of tests/support/any_text.ts brings the same texts.
    if (table.test(await Deno.readTextFile(path))) wrong.push(path);
  }
  assertEquals(wrong, []);
});
