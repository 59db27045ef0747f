import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { diffConfigs, isUnchanged } from "../../src/config/diff.ts";
import type { ConfigFiles } from "../../src/config/include.ts";
import { type Loaded, readConfig } from "../../src/config/load.ts";
import { Stamps } from "../../src/config/listing.ts";
import { ConfigMemory } from "../../src/config/memory.ts";
import { Turn } from "../../src/runtime/turn.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";
import { entry, ENV, listingOf, WHSEC } from "./a_reading.ts";

/** Files that can be changed, each with a stamp that tells; and how often each was read. */
class Files implements ConfigFiles {
  readonly texts = new Map<string, { text: string; version: number; settled: boolean }>();
  readonly env: Record<string, string> = { ...ENV };
  reads: string[] = [];
  /** The folders that were listed, by what was asked at once. */
  lists: string[][] = [];
  #versions = 0;

  write(path: string, text: string, settled = true): void {
    this.texts.set(path, { text, version: ++this.#versions, settled });
  }

  read(path: string): Promise<string> {
    this.reads.push(path);
    const file = this.texts.get(path);
    return file ? Promise.resolve(file.text) : Promise.reject(new Deno.errors.NotFound());
  }

  list(folders: readonly string[]) {
    this.lists.push([...folders]);
    const paths = [...this.texts.keys()];
    return Promise.resolve(folders.map((one) => listingOf(one, paths, (path) => this.#told(path))));
  }

  stamps(paths: readonly string[]) {
    const told = paths.map((path) => this.#told(path));
    return Promise.resolve(Stamps.of(told.map((version) => ({
      isFolder: false,
      ...(version !== undefined && { version }),
    }))));
  }

  realPath(path: string): Promise<string> {
    return Promise.resolve(path);
  }

  #told(path: string): number | undefined {
    const file = this.texts.get(path);
    return file?.settled ? file.version : undefined;
  }

  load(config: unknown, memory?: ConfigMemory): Promise<Loaded> {
    return readConfig({
      path: "/etc/bellhook/config.json",
      text: JSON.stringify(config),
      sources: {
        env: (name) => Object.hasOwn(this.env, name) ? this.env[name] : undefined,
        file: (path) => this.read(path),
        credential: () => Promise.resolve(undefined),
      },
      files: this,
      clock: new FakeClock(),
      ...(memory && { memory }),
    });
  }
}

const CUSTOMERS = "/etc/bellhook/customers";
const customer = (name: string) => `${CUSTOMERS}/${name}.json`;
const root = (more: Record<string, unknown> = {}) => ({ include: ["customers/*.json"], ...more });
const secretFile = { secret: { file: "secrets/one" } };

Deno.test("memory: only files that have changed are read again, and the others' subscriptions are the same", async () => {
  const files = new Files();
  const memory = new ConfigMemory();
  for (const name of ["a", "b", "c"]) {
    files.write(
      customer(name),
      JSON.stringify(entry({ id: name, url: `https://${name}.example` })),
    );
  }
  const first = await files.load(root(), memory);
  files.reads = [];
  files.write(customer("b"), JSON.stringify(entry({ id: "b", url: "https://other.example" })));
  files.write(customer("d"), JSON.stringify(entry({ id: "d", url: "https://d.example" })));
  const second = await files.load(root(), memory);
  assertEquals(files.reads, [customer("b"), customer("d")]);
  assert(first.ok && second.ok);
  const [a, b, c] = first.config.subscriptions;
  assertEquals(second.config.subscriptions.map(({ id }) => id), ["a", "b", "c", "d"]);
  assert(second.config.subscriptions[0] === a && second.config.subscriptions[2] === c);
  assert(second.config.subscriptions[1] !== b);
});

Deno.test("memory: one more customer costs one listing for all folders of a level, and one file read", async () => {
  const files = new Files();
  const memory = new ConfigMemory();
  const path = (index: number) => customer(`${index % 3}/${index}`);
  const write = (index: number) =>
    files.write(
      path(index),
      JSON.stringify(entry({ id: `c${index}`, url: `https://${index}.example` })),
    );
  for (let index = 0; index < 300; index++) write(index);
  const include = { include: ["customers/*/*.json"] };
  const first = await files.load(include, memory);
  assert(first.ok);
  assertEquals(memory.size, 300);
  [files.reads, files.lists] = [[], []];
  write(300);
  const second = await files.load(include, memory);
  assert(second.ok);
  assertEquals(files.reads, [path(300)]);
  assertEquals(files.lists, [[CUSTOMERS], [0, 1, 2].map((folder) => `${CUSTOMERS}/${folder}`)]);
  const kept = new Set(first.config.subscriptions);
  assertEquals(second.config.subscriptions.filter((one) => kept.has(one)).length, 300);
});

Deno.test("memory: a file that two globs name is known by both ways, and read once", async () => {
  const files = new Files();
  const memory = new ConfigMemory();
  for (const name of ["a", "b"]) {
    files.write(
      customer(name),
      JSON.stringify(entry({ id: name, url: `https://${name}.example` })),
    );
  }
  const include = { include: ["customers/b.json", "customers/*.json"] };
  for (const reads of [[customer("b"), customer("a")], []]) {
    files.reads = [];
    const loaded = await files.load(include, memory);
    assert(loaded.ok);
    assertEquals(files.reads, reads);
    assertEquals(loaded.config.subscriptions.map(({ id }) => id), ["b", "a"]);
  }
});

Deno.test("memory: a secret that changed in its file or the environment is read again", async () => {
  const files = new Files();
  const memory = new ConfigMemory();
  files.write("/etc/bellhook/secrets/one", WHSEC);
  files.write(customer("a"), JSON.stringify(entry({ id: "a", ...secretFile })));
  files.write(customer("b"), JSON.stringify(entry({ id: "b", url: "https://b.example" })));
  await files.load(root(), memory);
  const other = `whsec_${btoa("abcdefghijklmnopqrstuvwxyz012345")}`;
  files.write("/etc/bellhook/secrets/one", other);
  files.env.WHSEC = other;
  const loaded = await files.load(root(), memory);
  assert(loaded.ok);
  const secrets = loaded.config.subscriptions.map(({ secret }) => secret!.reveal());
  assertEquals(secrets, [other, other]);
});

Deno.test("memory: a reload that meets an unset variable says that a running daemon can't see new ones", async () => {
  const files = new Files();
  const memory = new ConfigMemory();
  files.write(customer("a"), JSON.stringify(entry({ id: "a" })));
  assert((await files.load(root(), memory)).ok);
  files.write(customer("b"), JSON.stringify(entry({ id: "b", secret: { env: "NEW" } })));
  const loaded = await files.load(root(), memory);
  assert(!loaded.ok);
  assertStringIncludes(loaded.problems[0]!.message, '"NEW" is not set');
  assertStringIncludes(loaded.problems[0]!.fix!, "running daemon");
  assertStringIncludes(loaded.problems[0]!.fix!, '{"file":');
});

Deno.test("memory: whatever is edited, what is loaded with it is what is loaded without", async () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const words = fc.record({
    id: fc.constantFrom("a", "b", "c", "d", "e"),
    url: fc.constantFrom("https://a.example", "https://b.example", "no url"),
    secret: fc.constantFrom<unknown>({ env: "WHSEC" }, { file: "secrets/one" }, { env: "EMPTY" }),
    profile: fc.constantFrom("standard", "own", "none"),
  }, { requiredKeys: ["id", "url"] });
  const edit = fc.oneof(
    fc.record({ kind: fc.constant("write" as const), name, words, settled: fc.boolean() }),
    fc.record({
      kind: fc.constant("list" as const),
      name,
      list: fc.array(words, { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("broken" as const), name }),
    fc.record({ kind: fc.constant("remove" as const), name }),
    fc.record({ kind: fc.constant("rename" as const), name, to: name }),
    fc.record({ kind: fc.constant("secret" as const), text: fc.constantFrom(WHSEC, "", "x") }),
    fc.record({ kind: fc.constant("root" as const), timeout: fc.constantFrom("5s", "9s") }),
    fc.record({ kind: fc.constant("profile" as const), header: fc.constantFrom("X-A", "X-B") }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 12 }), async (edits) => {
      const files = new Files();
      const memory = new ConfigMemory();
      const more: Record<string, unknown> = {};
      for (const one of edits) {
        const full = (words: object) => JSON.stringify({ events: ["booking.created"], ...words });
        if (one.kind === "write") files.write(customer(one.name), full(one.words), one.settled);
        else if (one.kind === "list") {
          files.write(customer(one.name), `[${one.list.map(full).join(",\n")}]`);
        } else if (one.kind === "broken") files.write(customer(one.name), "{");
        else if (one.kind === "remove") files.texts.delete(customer(one.name));
        else if (one.kind === "rename") {
          const file = files.texts.get(customer(one.name));
          files.texts.delete(customer(one.name));
          if (file) files.write(customer(one.to), file.text);
        } else if (one.kind === "secret") files.write("/etc/bellhook/secrets/one", one.text);
        else if (one.kind === "root") more.delivery = { timeout: one.timeout };
        else more.profiles = { own: { extends: "standard", headers: { [one.header]: "1" } } };
        const remembered = await files.load(root(more), memory);
        const anew = await files.load(root(more));
        assertEquals(remembered.ok, anew.ok);
        assertEquals(remembered.warnings, anew.warnings);
        if (!remembered.ok || !anew.ok) {
          assert(!remembered.ok && !anew.ok);
          assertEquals(remembered.problems, anew.problems);
          continue;
        }
        const ids = (loaded: typeof anew) => loaded.config.subscriptions.map(({ id }) => id);
        assertEquals(ids(remembered), ids(anew));
        const { diff } = await diffConfigs(
          remembered.config,
          anew.config,
          new Turn(new FakeClock()),
        );
        assert(isUnchanged(diff), JSON.stringify(diff));
      }
    }),
    { numRuns: 100 },
  );
});
