import { assertEquals } from "@std/assert";
import type { Loaded } from "../../src/config/load.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { aConformingDaemon } from "./conforming.ts";

const before = aConfig({ subscriptions: [aSubscription({ id: "a" }), aSubscription({ id: "b" })] });
const after = aConfig({
  subscriptions: [aSubscription({ id: "b", concurrency: 2 }), aSubscription({ id: "c" })],
});

Deno.test("POST /-/reload: reports what changed; a dry run reports the same and changes nothing", async () => {
  const reload = () => Promise.resolve<Loaded>({ ok: true, config: after, warnings: [] });
  await using daemon = await aConformingDaemon(before, { reload });
  const ids = async () =>
    (await daemon.call("GET", "/v1/subscriptions")).body.items.map(({ id }: { id: string }) => id);
  const dry = await daemon.call("POST", "/-/reload?dryRun=true");
  assertEquals(dry.status, 200);
  assertEquals([dry.body.added, dry.body.changed, dry.body.removed], [["c"], ["b"], ["a"]]);
  assertEquals(await ids(), ["a", "b"]);
  const real = await daemon.call("POST", "/-/reload");
  assertEquals([real.status, real.body], [200, dry.body]);
  assertEquals(await ids(), ["b", "c"]);
});

Deno.test("POST /-/reload: a bad file is 422 with every problem, and changes nothing", async () => {
  const reload = () =>
    Promise.resolve<Loaded>({
      ok: false,
      warnings: [],
      problems: [
        { file: "c.json", line: 3, column: 1, path: "subscriptions[0].url", message: "no URL" },
        { file: "c.json", path: "", message: "is not there", fix: "put it back" },
      ],
    });
  await using daemon = await aConformingDaemon(before, { reload });
  const { status, body } = await daemon.call("POST", "/-/reload");
  assertEquals([status, body.errors], [422, [
    { path: "subscriptions[0].url", message: "c.json:3:1: no URL" },
    { path: "", message: "c.json: is not there; fix: put it back" },
  ]]);
  assertEquals((await daemon.call("GET", "/v1/subscriptions/a")).status, 200);
});

Deno.test("POST /-/reload: an invalid query reloads nothing", async () => {
  const reload = () => Promise.reject<Loaded>(new Error("was asked to reload"));
  await using daemon = await aConformingDaemon(before, { reload });
  for (const query of ["dryRun=maybe", "dryRun=", "dry=true"]) {
    assertEquals((await daemon.call("POST", `/-/reload?${query}`)).status, 422, query);
  }
});
