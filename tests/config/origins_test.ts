import { assertEquals } from "@std/assert";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigMemory } from "../../src/config/memory.ts";
import { readOrigins } from "../../src/config/origins.ts";
import { Turn } from "../../src/runtime/turn.ts";
import { systemClock } from "../../src/runtime/clock.ts";

const MAIN = `{
  "include": ["customers/*.json"],
  "delivery": { "concurrency": 4 },
  "profiles": {
    "plain": {
      "extends": "standard",
      "timeout": "7s"
    }
  },
  "subscriptions": [
    { "id": "crm", "url": "https://crm.example/", "events": ["*"], "secret": { "env": "S" } },
    {
      "id": "erp",
      "url": "https://erp.example/",
      "events": ["*"],
      "profile": "plain",
      "secret": { "env": "S" },
      "retry": ["1m"]
    }
  ]
}`;

const ACME = `[
  {
    "id": "acme",
    "url": "https://acme.example/",
    "events": ["*"],
    "secret": { "env": "S" },
    "jitter": 0.5
  }
]`;

const KEYS = ["url", "concurrency", "timeout", "standardHeaders", "allowHttp", "jitter"];

Deno.test("origins: a setting comes from its entry, from delivery, from the profile, or from nowhere", async () => {
  await using house = await aFolder();
  const crm = await house.origins("crm", "standard");
  assertEquals(KEYS.map((key) => crm?.of(key)), [
    { kind: "file", file: house.main, line: 11 },
    { kind: "file", file: house.main, line: 3 },
    { kind: "profile", name: "standard" },
    { kind: "profile", name: "standard" },
    undefined,
    undefined,
  ]);
  const erp = await house.origins("erp", "plain");
  assertEquals(["retry", "timeout", "success"].map((key) => erp?.of(key)), [
    { kind: "file", file: house.main, line: 18 },
    { kind: "file", file: house.main, line: 7 },
    undefined,
  ]);
});

Deno.test("origins: of an included subscription they are in its file", async () => {
  await using house = await aFolder();
  const acme = await house.origins("acme", "standard");
  assertEquals(acme?.of("jitter"), { kind: "file", file: house.included, line: 7 });
  assertEquals(acme?.of("concurrency"), { kind: "file", file: house.main, line: 3 });
});

Deno.test("origins: where a file has changed, is gone or too long, they are not known", async () => {
  await using house = await aFolder();
  await Deno.writeTextFile(house.included, ACME.replace("acme", "other"));
  assertEquals(await house.origins("acme", "standard"), undefined);
  await Deno.remove(house.included);
  assertEquals(await house.origins("acme", "standard"), undefined);
  await Deno.writeTextFile(house.main, MAIN + " ".repeat(1_000_000));
  assertEquals(await house.origins("crm", "standard"), undefined);
  await Deno.writeTextFile(house.main, "{ broken");
  assertEquals(await house.origins("crm", "standard"), undefined);
});

async function aFolder() {
  const folder = await Deno.makeTempDir();
  const main = `${folder}/config.json`, included = `${folder}/customers/acme.json`;
  await Deno.mkdir(`${folder}/customers`);
  await Deno.writeTextFile(main, MAIN);
  await Deno.writeTextFile(included, ACME);
  const memory = new ConfigMemory();
  const sources = {
    env: () => `whsec_${btoa("x".repeat(32))}`,
    file: () => Promise.reject(new Error("no files here")),
    credential: () => Promise.resolve(undefined),
  };
  const loaded = await loadConfig(main, sources, { memory });
  assertEquals(loaded.ok ? [] : loaded.problems, []);
  return {
    main,
    included,
    origins: (id: string, profile: string) =>
      readOrigins({ id, profile }, {
        path: main,
        memory,
        read: Deno.readTextFile,
        turn: new Turn(systemClock),
      }),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
