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
  outbox: /^src\/outbox\/outbox\.ts$/,
  server: /^src\/server\/answer\.ts$/,
  transport: /^src\/transport\/(transport|address_guard)\.ts$/,
};

/** Circles that still stand, by their files in order. A new one fails the test; so does one resolved. */
const CIRCLES: string[] = [
  "src/http/dashboard/frame.tsx, src/http/dashboard/parts.tsx, src/http/dashboard/searching.tsx",
  "src/outbox/sqlite/changes.ts, src/outbox/sqlite/tallying.ts",
];

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

Deno.test("imports: no files of src/ import each other in a circle, types included", async () => {
  assertEquals(circles(await imports()), CIRCLES);
});

Deno.test("imports: a circle is found, and a file that only leads into it is no part of it", () => {
  const found = circles([
    { from: "enters.ts", to: "a.ts" },
    { from: "a.ts", to: "b.ts" },
    { from: "b.ts", to: "c.ts" },
    { from: "c.ts", to: "a.ts" },
    { from: "c.ts", to: "leaf.ts" },
  ]);
  assertEquals(found, ["a.ts, b.ts, c.ts"]);
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

/** Files that reach each other by imports, each circle as its files in order. */
function circles(arrows: readonly { from: string; to: string }[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of arrows) next.set(from, [...next.get(from) ?? [], to]);
  const reach = new Map([...next.keys()].map((file) => [file, reachedFrom(file, next)]));
  const found = new Set<string>();
  for (const [file, reached] of reach) {
    if (!reached.has(file)) continue;
    found.add([...reached].filter((other) => reach.get(other)?.has(file)).sort().join(", "));
  }
  return [...found].sort();
}

/** Every file that a file's imports lead to; the file itself only where a circle leads back. */
function reachedFrom(file: string, next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set<string>();
  const waiting = [...next.get(file) ?? []];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (reached.has(at)) continue;
    reached.add(at);
    waiting.push(...next.get(at) ?? []);
  }
  return reached;
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
