import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { configOf, entry, problemsOf, warningsOf } from "./a_reading.ts";

const PATH = "/etc/bellhook/config.json";

function one(id: string, overrides: Record<string, unknown> = {}): string {
  return JSON.stringify(entry({ id, scope: { customer: id }, ...overrides }));
}

async function idsOf(include: string[], files: Record<string, string>): Promise<string[]> {
  const config = await configOf({ include }, { path: PATH, files });
  return config.subscriptions.map((subscription) => subscription.id);
}

Deno.test("include: each file is one subscription or a list of them, files in order", async () => {
  const files = {
    "/etc/bellhook/customers/b.json": one("b"),
    "/etc/bellhook/customers/a.json": `[${one("a1")}, ${one("a2")}]`,
    "/etc/bellhook/customers/notes.txt": "not read",
    "/etc/bellhook/customers/.#a.json": "an editor's",
  };
  assertEquals(await idsOf(["customers/*.json"], files), ["a1", "a2", "b"]);
});

Deno.test("include: ** stands for any folders, none among them", async () => {
  const files = {
    "/etc/bellhook/customers/a.json": one("a"),
    "/etc/bellhook/customers/eu/de/b.json": one("b"),
    "/etc/bellhook/customers/eu/c.json": one("c"),
  };
  assertEquals(await idsOf(["customers/**/*.json"], files), ["a", "c", "b"]);
  assertEquals(await idsOf(["customers/**"], files), ["a", "c", "b"]);
});

Deno.test("include: names fit as they do in a shell", async () => {
  const names = [
    "a",
    "b",
    "c",
    "ab",
    "ac",
    "abc",
    "B",
    "-",
    "]",
    "!",
    "^",
    "[",
    "a]",
    "[ab]",
    "{a}",
  ]
    .concat(["{a,b", "a.b", "a+", "\\", "ä", "𝛂", ".hidden"]);
  const files = Object.fromEntries(
    names.map((name) => [`/etc/bellhook/in/${name}.json`, one(name)]),
  );
  const table: [glob: string, fits: string[]][] = [
    ["in/?.json", ["!", "-", "B", "[", "\\", "]", "^", "a", "b", "c", "ä", "𝛂"]],
    ["in/a?.json", ["a+", "a]", "ab", "ac"]],
    ["in/a?*.json", ["a+", "a.b", "a]", "ab", "abc", "ac"]],
    ["in/[ab].json", ["a", "b"]],
    ["in/[a-c].json", ["a", "b", "c"]],
    ["in/[a-bB].json", ["B", "a", "b"]],
    ["in/[!a-z].json", ["!", "-", "B", "[", "\\", "]", "^", "ä", "𝛂"]],
    ["in/[^a-z].json", ["!", "-", "B", "[", "\\", "]", "^", "ä", "𝛂"]],
    ["in/[c-a].json", []],
    ["in/[c-ab].json", ["b"]],
    ["in/[a-].json", ["-", "a"]],
    ["in/[-a].json", ["-", "a"]],
    ["in/[]a].json", ["]", "a"]],
    ["in/[!]a-z].json", ["!", "-", "B", "[", "\\", "^", "ä", "𝛂"]],
    ["in/[a!^].json", ["!", "^", "a"]],
    ["in/[[]*.json", ["[", "[ab]"]],
    ["in/a[]].json", ["a]"]],
    ["in/[α-ω𝛂].json", ["𝛂"]],
    ["in/[.]hidden.json", []],
    ["in/?hidden.json", []],
    ["in/{a,ab}.json", ["a", "ab"]],
    ["in/{ab,a}?.json", ["a+", "a]", "ab", "abc", "ac"]],
    ["in/a{,b,{c,]}}.json", ["a", "a]", "ab", "ac"]],
    ["in/{a}.json", ["{a}"]],
    ["in/{a,b.json", ["{a,b"]],
    ["{in/a,in/[bc]}.json", ["a", "b", "c"]],
    ["in/[[].json", ["["]],
    ["{,in/a.json}", ["a"]],
    ["in/[.json", ["["]],
    ["in/].json", ["]"]],
    ["in/a+.json", ["a+"]],
    ["./in/../in/[a].json", ["a"]],
    ["/etc/[b]ellhook/in/a.json", ["a"]],
  ];
  for (const [glob, fits] of table) {
    assertEquals([glob, await idsOf([glob], files)], [glob, fits]);
  }
});

Deno.test("include: what a brace spells out has to be there, what a wildcard might fit has not", async () => {
  const files = { "/etc/bellhook/a.json": one("a") };
  assertEquals(
    await problemsOf({ include: ["{a,b}.json"] }, { path: PATH, files }),
    [
      "/etc/bellhook/config.json:3:5  include[0]",
      '  the file "/etc/bellhook/b.json" cannot be read: there is no such file',
      "  fix: add the file, or take its name out",
    ].join("\n"),
  );
  assertEquals(await idsOf(["{a,b}*.json", "{b,c}*.json"], files), ["a"]);
  assertEquals(
    await warningsOf({ include: ["{a,b}*.json", "{b,c}*.json"] }, { path: PATH, files }),
    [
      "/etc/bellhook/config.json:4:5  include[1]",
      '  no file fits "{b,c}*.json"',
      "  fix: add a file there, or take the glob out",
    ].join("\n"),
  );
});

Deno.test("include: what the config's own folder is called is no glob", async () => {
  const path = "/srv/{a,b}/[ab]?*/config.json";
  const files = {
    "/srv/{a,b}/[ab]?*/a.json": one("a"),
    "/srv/{a,b}/[ab]?*/more/b.json": one("b"),
    "/srv/a/ab?/c.json": one("c"),
    "/srv/{a,b}/d.json": one("d"),
  };
  const found = async (include: string[]) =>
    (await configOf({ include }, { path, files })).subscriptions.map(({ id }) => id);
  assertEquals(await found(["a.json", "?.json", "**/[bc].json"]), ["a", "b"]);
  assertEquals(await found(["../?.json"]), ["d"]);
});

Deno.test("include: a file that two globs fit is read once, and the config file never", async () => {
  const files = { "/etc/bellhook/a.json": one("a"), [PATH]: "not a subscription" };
  assertEquals(await idsOf(["*.json", "a.json", "/etc/bellhook/a*"], files), ["a"]);
});

Deno.test("include: subscriptions of the config file come first", async () => {
  const config = await configOf({ subscriptions: [entry({ id: "z" })], include: ["a.json"] }, {
    path: PATH,
    files: { "/etc/bellhook/a.json": one("a") },
  });
  assertEquals(config.subscriptions.map(({ id }) => id), ["z", "a"]);
});

Deno.test("include: a file may name its schema", async () => {
  const files = { "/etc/bellhook/a.json": one("a", { $schema: "./subscription.json" }) };
  assertEquals(await idsOf(["a.json"], files), ["a"]);
});

Deno.test("include: problems name the file they are in, with its own lines", async () => {
  const files = {
    "/etc/bellhook/a.json": `[\n${
      one("a")
    },\n  {"id": "b", "url": "https://example.com/", "events": []}\n]`,
    "/etc/bellhook/b.json": "{",
  };
  assertEquals(
    await problemsOf({ include: ["*.json"], delivery: { jitter: 2 } }, { path: PATH, files }),
    [
      "/etc/bellhook/config.json:6:15  delivery.jitter",
      "  2 is more than 1",
      "/etc/bellhook/a.json:3:56  [1].events",
      "  the list is empty",
      "  fix: add one, or more",
      "/etc/bellhook/b.json:1:2",
      '  a "}" is expected here',
    ].join("\n"),
  );
});

Deno.test("include: a missing file is a problem, a glob without files a warning", async () => {
  const config = { include: ["customers/*.json", "more.json"] };
  assertEquals(
    await problemsOf(config, { path: PATH }),
    [
      "/etc/bellhook/config.json:4:5  include[1]",
      '  the file "/etc/bellhook/more.json" cannot be read: there is no such file',
      "  fix: add the file, or take its name out",
    ].join("\n"),
  );
  assertEquals(
    await warningsOf(config, { path: PATH }),
    [
      "/etc/bellhook/config.json:3:5  include[0]",
      '  no file fits "customers/*.json"',
      "  fix: add a file there, or take the glob out",
    ].join("\n"),
  );
});

/** The ids that a glob finds below a folder on a real disk, by the config in it. */
async function idsOnDisk(directory: string, glob: string): Promise<string[]> {
  const path = join(directory, "config.json");
  await Deno.writeTextFile(path, JSON.stringify({ include: [glob] }));
  const loaded = await loadConfig(path, {
    env: () => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    file: (name) => Deno.readTextFile(name),
    credential: () => Promise.resolve(undefined),
  });
  assert(loaded.ok, JSON.stringify(loaded));
  return loaded.config.subscriptions.map(({ id }) => id);
}

Deno.test("include: on a real disk, links to folders are followed", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "elsewhere/deep"), { recursive: true });
    await Deno.mkdir(join(directory, "customers"));
    await Deno.symlink(join(directory, "elsewhere"), join(directory, "customers/linked"));
    await Deno.writeTextFile(join(directory, "elsewhere/deep/b.json"), one("b"));
    await Deno.writeTextFile(join(directory, "customers/a.json"), one("a"));
    assertEquals(await idsOnDisk(directory, "customers/**/*.json"), ["a", "b"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("include: on a real disk, a link to a folder that it is in finds no file twice", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "customers/eu/de"), { recursive: true });
    await Deno.symlink(join(directory, "customers"), join(directory, "customers/all"));
    await Deno.symlink("..", join(directory, "customers/eu/up"));
    await Deno.symlink("../../eu", join(directory, "customers/eu/de/eu"));
    await Deno.writeTextFile(join(directory, "customers/a.json"), one("a"));
    await Deno.writeTextFile(join(directory, "customers/eu/b.json"), one("b"));
    await Deno.writeTextFile(join(directory, "customers/eu/de/c.json"), one("c"));
    for (
      const glob of ["customers/**/*.json", "customers/**", "**/[abc].json", "**/**/?.json"]
        .concat(["**/eu/../**/?.json", "{customers,customers/all}/**/*.json"])
    ) {
      assertEquals([glob, await idsOnDisk(directory, glob)], [glob, ["a", "b", "c"]]);
    }
    assertEquals(await idsOnDisk(directory, "**/eu/**/?.json"), ["b", "c", "a"]);
    // By a link to where they are, files are found as well: once.
    assertEquals(await idsOnDisk(directory, "customers/all/**/*.json"), ["a", "b", "c"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
