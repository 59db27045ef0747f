import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { aConfig } from "../support/a_config.ts";
import { aHouse, objectsOf, to } from "./a_house.ts";

function aHouseBeforeReload() {
  return aHouse({
    ports: {
      reload: () => {
        const server = { url: "http://127.0.0.1:1/" } as Parameters<typeof to>[0];
        const config = aConfig({ subscriptions: [to(server, { id: "new" })] });
        return Promise.resolve({ ok: true, config, warnings: [] });
      },
    },
  });
}

Deno.test("diff: what a reload would change, and nothing has changed", async () => {
  await using house = await aHouseBeforeReload();
  const diff = await house.run(["diff"]);
  assertEquals([diff.exitCode, diff.stdout], [0, "+ new\n- guests\n"]);
  assertEquals(objectsOf((await house.run(["diff", "--json"])).stdout)[0].added, ["new"]);
  const reload = await house.run(["reload"]);
  assertEquals([reload.exitCode, reload.stdout], [0, "+ new\n- guests\n"]);
  const after = await house.run(["diff"]);
  assertEquals([after.exitCode, after.stdout, after.stderr], [0, "", "nothing would change\n"]);
});

Deno.test("diff: a bad file is exit code 2, with every problem", async () => {
  await using house = await aHouse({
    ports: {
      reload: () =>
        Promise.resolve({
          ok: false,
          problems: [{ file: "config.json", line: 1, path: "subscriptons", message: "is no key" }],
          warnings: [],
        }),
    },
  });
  const { exitCode, stdout, stderr } = await house.run(["diff"]);
  assertEquals([exitCode, stdout], [2, ""]);
  assertMatch(stderr, /config\.json:1: is no key/);
  assertStringIncludes(stderr, "the config file has problems");
});
