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

Deno.test("include: on a real disk, links to folders are followed", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "elsewhere/deep"), { recursive: true });
    await Deno.mkdir(join(directory, "customers"));
    await Deno.symlink(join(directory, "elsewhere"), join(directory, "customers/linked"));
    await Deno.writeTextFile(join(directory, "elsewhere/deep/b.json"), one("b"));
    await Deno.writeTextFile(join(directory, "customers/a.json"), one("a"));
    const path = join(directory, "config.json");
    await Deno.writeTextFile(path, JSON.stringify({ include: ["customers/**/*.json"] }));
    const loaded = await loadConfig(path, {
      env: () => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
      file: (name) => Deno.readTextFile(name),
      credential: () => Promise.resolve(undefined),
    });
    assert(loaded.ok);
    assertEquals(loaded.config.subscriptions.map(({ id }) => id), ["a", "b"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
