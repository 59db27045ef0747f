import { assert, assertEquals } from "@std/assert";
import { canonicalScalar } from "../../src/domain/json_text.ts";
import type { Loaded } from "../../src/config/load.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";
import { configOf, entry, ENV, reading, WHSEC } from "./a_reading.ts";

/** A config that has something of everything. */
const FULL = {
  server: { listen: "127.0.0.1:0", maxBody: "1MiB" },
  auth: {
    publishers: [{ name: "pms", token: { env: "TEXT" }, types: ["booking.*"], scope: { v: [1] } }],
    operators: [{ name: "ops", token: { env: "OTHER" } }],
  },
  storage: { url: "sqlite:b.db", keepDelivered: "1d" },
  delivery: { jitter: 0, allowNetworks: ["10.0.0.0/8"], retry: ["1s"] },
  notify: [
    { webhook: { url: "https://example.com/", secret: { env: "WHSEC" } }, on: ["config.rejected"] },
    { email: { smtp: "smtp://mail.example.com", from: "a@example.com", to: ["b@example.com"] } },
    { command: ["true"] },
  ],
  eventTypes: { "booking.created": { description: "A booking", example: { n: 1 } } },
  profiles: {
    ours: {
      extends: "standard",
      body: { a: { from: "type" }, b: { members: { c: { value: 1 } } } },
      signature: { header: "X-Sign", over: "{body}" },
      admission: [{ permission: true }],
    },
  },
  subscriptions: [
    entry({
      previousSecret: { env: "WHSEC", until: "2030-01-01T00:00:00Z" },
      scope: { venue: [1, "two"] },
      match: { total: [{ ">=": 1 }, 7] },
      headers: { "X-A": "1", "X-B": { env: "TEXT" } },
      rename: { "booking.created": "created" },
      settings: { a: { b: 1 } },
    }),
    entry({ id: "two", profile: "ours", permissions: ["booking.created"], timeout: "1s" }),
  ],
  include: [],
};

type Steps = readonly (string | number)[];

/** Paths to every value of the full config. */
const places = pathsOf(FULL);

/** Paths to objects whose keys are given: not names that users choose, and no user's JSON. */
const strictObjects = places.filter((path) => {
  const value = valueAt(FULL, path);
  const free = ["scope", "match", "headers", "rename", "settings", "example", "body", "members"];
  const named = ["eventTypes", "profiles"];
  return value !== null && typeof value === "object" && !Array.isArray(value) &&
    !path.some((step, index) =>
      free.includes(String(step)) && !(index === path.length - 3 && step === "match")
    ) && !named.includes(String(path.at(-1)));
});

Deno.test("any text: a config or problems with places in it, never an exception", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(anyText(), fc.stringMatching(/^[{}[\]",:/*\\0-9.eE\n a-u-]*$/)),
      async (text) => checkPlaces(await reading(text), text),
    ),
    { numRuns: 300 },
  );
});

Deno.test("any value anywhere: a config or problems with places in it, never an exception", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...places), fc.jsonValue(), async (path, value) => {
      const text = JSON.stringify(replaced(FULL, path, () => value), null, 2);
      checkPlaces(await reading(text), text);
    }),
    { numRuns: 600 },
  );
});

Deno.test("an unknown key: is always told, by its path and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...strictObjects),
      fc.stringMatching(/^zz[a-z]{3,9}$/),
      async (path, key) => {
        const text = JSON.stringify(
          replaced(FULL, path, (object) => ({ ...object as object, [key]: 1 })),
        );
        const loaded = await reading(text);
        assert(!loaded.ok);
        assertEquals(loaded.problems.map((problem) => problem.message), [
          `the key "${key}" is unknown`,
        ]);
        assert(loaded.problems[0]!.path.endsWith(`.${key}`) || path.length === 0);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("a repeated key: is always told", async () => {
  const objects = places.filter((path) => {
    const value = valueAt(FULL, path);
    return value !== null && typeof value === "object" && !Array.isArray(value) &&
      Object.keys(value).length > 0;
  });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...objects), fc.nat(), async (path, pick) => {
      const keys = Object.keys(valueAt(FULL, path) as object);
      const key = keys[pick % keys.length]!;
      // JSON.stringify writes no key twice: a name that occurs nowhere else is put in and renamed.
      const twice = replaced(FULL, path, (object) => ({ ...object as object, "\u2603": 1 }));
      const text = JSON.stringify(twice).replace('"\u2603"', JSON.stringify(key));
      const loaded = await reading(text);
      assert(!loaded.ok);
      assertEquals(
        loaded.problems.map(({ message }) => message),
        [`the key ${JSON.stringify(key)} is given twice, first on line 1`],
      );
    }),
    { numRuns: 200 },
  );
});

Deno.test("secrets: their values are in no problem, no warning and no printed config", async () => {
  const env = { ...ENV, TEXT: "hunter2\u0007hunter2-hunter2", OTHER: "hunter2-hunter2-hunter2" };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...places),
      fc.oneof(fc.jsonValue(), fc.constant({ env: "TEXT" }), fc.constant({ env: "OTHER" })),
      async (path, value) => {
        const loaded = await reading(replaced(FULL, path, () => value), { env });
        const shown = JSON.stringify(loaded) + Deno.inspect(loaded, { depth: 20 });
        assert(!shown.includes("hunter2") && !shown.includes(WHSEC.slice(6)), shown);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("numbers: a scope is compared by the digits in the file", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.stringMatching(/^-?(0|[1-9]\d{0,25})(\.\d{1,12})?([eE][+-]?\d{1,3})?$/),
      async (digits) => {
        const text = JSON.stringify({ subscriptions: [entry({ scope: { n: "\u2603" } })] });
        const config = await configOf(text.replace('"\u2603"', ` /* n */ ${digits} `));
        assertEquals(config.subscriptions[0]!.scope.get("n"), [canonicalScalar(digits)]);
      },
    ),
    { numRuns: 300 },
  );
});

function checkPlaces(loaded: Loaded, text: string): void {
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);
  const found = loaded.ok ? loaded.warnings : loaded.problems;
  if (!loaded.ok) assert(loaded.problems.length > 0);
  for (const { line, column, message } of found) {
    assert(line !== undefined && column !== undefined, message);
    assert(line >= 1 && line <= lines.length, `${message}: line ${line}`);
    assert(column >= 1 && column <= lines[line - 1]!.length + 1, `${message}: column ${column}`);
    assert(!/[\r\n]/.test(message) && !message.endsWith("."), message);
  }
}

function pathsOf(value: unknown, path: Steps = []): Steps[] {
  if (value === null || typeof value !== "object") return [path];
  const inner = Array.isArray(value)
    ? value.flatMap((element, index) => pathsOf(element, [...path, index]))
    : Object.entries(value).flatMap(([key, member]) => pathsOf(member, [...path, key]));
  return [path, ...inner];
}

function valueAt(value: unknown, path: Steps): unknown {
  return path.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], value);
}

function replaced(value: unknown, path: Steps, change: (old: unknown) => unknown): unknown {
  if (path.length === 0) return change(value);
  const copy: unknown = structuredClone(value);
  const around = valueAt(copy, path.slice(0, -1)) as Record<string | number, unknown>;
  around[path.at(-1)!] = change(around[path.at(-1)!]);
  return copy;
}
