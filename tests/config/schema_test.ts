import { assertEquals } from "@std/assert";
import { formatProblem, loadConfig } from "../../src/config/load.ts";
import { configJsonSchema } from "../../src/config/schema.ts";
import { WHSEC } from "./a_reading.ts";

const root = new URL("../../", import.meta.url);
const example = await Deno.readTextFile(new URL("config.example.json", root));

Deno.test("schema: the committed file is what the code gives", async () => {
  const committed = await Deno.readTextFile(new URL("config.schema.json", root));
  assertEquals(committed, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
});

Deno.test("schema: every key that it knows has a description", () => {
  const bare = keysOf(configJsonSchema()).filter(({ described }) => !described);
  assertEquals(bare.map(({ key }) => key), []);
});

Deno.test("example: passes the check with the variables it names, and nothing to warn of", async () => {
  const loaded = await loadConfig(new URL("config.example.json", root).pathname, {
    env: (name) =>
      /^(ACCOUNTING_(OLD_)?|NOTICE_)SECRET$/.test(name)
        ? WHSEC
        : `the value of ${name}`.replaceAll(" ", "-"),
    file: () => Promise.reject(new Deno.errors.NotFound()),
    credential: () => Promise.resolve(undefined),
  });
  const told = loaded.ok ? loaded.warnings : [...loaded.problems, ...loaded.warnings];
  assertEquals(told.map((problem) => formatProblem(problem)), []);
});

Deno.test("example: shows every key of the file and of a subscription", () => {
  const schema = configJsonSchema() as unknown as Schema;
  const keys = keysOf({ ...schema, $defs: { Subscription: schema.$defs!.Subscription! } });
  // What a subscription says is not repeated in the block of defaults.
  assertEquals(keys.filter(({ key }) => !example.includes(`"${key}":`)).map(({ key }) => key), []);
});

Deno.test("example: has a subscription for every built-in profile", () => {
  const names = [
    "standard",
    "bookingsync",
    "booking-experts",
    "bookingshake",
    "bookingscheduler",
    "roostsync",
  ];
  assertEquals(names.filter((name) => !example.includes(`"profile": "${name}"`)), []);
});

interface Schema {
  readonly description?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

function keysOf(schema: Schema): { key: string; described: boolean }[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [
    { key, described: inner.description !== undefined },
    ...keysOf(inner),
  ]);
  const inner = [
    ...Object.values(schema.$defs ?? {}),
    ...(schema.items ? [schema.items] : []),
    ...(schema.anyOf ?? []),
  ];
  return [...own, ...inner.flatMap(keysOf)];
}
