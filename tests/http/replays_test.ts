import { assert, assertEquals } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { until } from "../support/until.ts";
import { answered, aTransport } from "./a_transport.ts";
import { aConformingDaemon } from "./conforming.ts";

const SINCE = "2001-01-01T00:00:00Z";

Deno.test("POST /v1/replays: a dry run counts what the replay then sends again", async () => {
  let status = 500;
  let sent = 0;
  const transport = aTransport(() => {
    sent++;
    return answered(status);
  });
  const subscriptions = [
    aSubscription({ id: "s", ladder: { waitsMs: [] } }),
    aSubscription({ id: "other", ladder: { waitsMs: [] }, events: [compilePattern("x.*")] }),
  ];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { transport });
  await daemon.call(
    "POST",
    "/v1/events",
    Array.from({ length: 7 }, () => ({ type: "t", data: 1 })),
  );
  await daemon.call("POST", "/v1/events", { type: "x.y", data: 1 });
  const count = async (query: string) =>
    (await daemon.call("GET", `/v1/deliveries?${query}`)).body.items.length;
  await until(async () => await count("state=exhausted") === 9, "all are exhausted");

  const wanted = { subscription: "s", type: "t", state: "exhausted", since: SINCE };
  const dry = await daemon.call("POST", "/v1/replays", { ...wanted, dryRun: true });
  assertEquals([dry.status, dry.body], [200, { count: 7 }]);
  assertEquals(sent, 9);

  status = 200;
  const begun = await daemon.call("POST", "/v1/replays", wanted);
  assertEquals(begun.status, 202);
  const replay = () => daemon.call("GET", `/v1/replays/${begun.body.id}`);
  await until(async () => (await replay()).body.state === "finished", "the replay is finished");
  const { body } = await replay();
  assertEquals([body.total, body.done, typeof body.finishedAt], [7, 7, "string"]);
  await until(async () => await count("state=delivered") === 7, "all are delivered");
  const again = await daemon.call("POST", "/v1/replays", { ...wanted, dryRun: true });
  assertEquals(again.body, { count: 0 });
});

Deno.test("POST /v1/replays: nothing matches a `since` in the future", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const since = "2999-01-01T00:00:00Z";
  const dry = await daemon.call("POST", "/v1/replays", { since, dryRun: true });
  assertEquals([dry.status, dry.body], [200, { count: 0 }]);
  const { status, body } = await daemon.call("POST", "/v1/replays", { since });
  assertEquals(status, 202);
  await until(
    async () => (await daemon.call("GET", `/v1/replays/${body.id}`)).body.state === "finished",
    "the replay is finished",
  );
});

Deno.test("POST /v1/replays: an invalid request is refused with the path, and starts nothing", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const table: [status: number, body: string, paths?: string[]][] = [
    [400, "{"],
    [422, "", ["since"]],
    [422, "{}", ["since"]],
    [422, '{"since":"yesterday"}', ["since"]],
    [422, `{"since":"${SINCE}","until":7}`, ["until"]],
    [422, `{"since":"${SINCE}","state":"paused"}`, ["state"]],
    [422, `{"since":"${SINCE}","action":"pause"}`, ["action"]],
    [422, `{"since":"${SINCE}","dryrun":true}`, ["dryrun"]],
    [422, `{"since":"${SINCE}","dryRun":"yes"}`, ["dryRun"]],
  ];
  for (const [expected, sent, paths] of table) {
    const { status, body } = await daemon.call("POST", "/v1/replays", sent);
    const found = body.errors?.map(({ path }: { path: string }) => path);
    assertEquals([status, found], [expected, paths], sent);
  }
});

Deno.test("422: describes every fault in plain words", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const words = async (body: string) =>
    (await daemon.call("POST", "/v1/replays", body)).body.errors[0].message;
  assertEquals(await words("{}"), "is missing");
  assertEquals(await words(`{"since":"${SINCE}","until":7}`), "must be a text");
  assertEquals(
    await words(`{"since":"${SINCE}","state":"paused"}`),
    "must be one of pending, delivered, exhausted, cancelled, failed",
  );
  const { body } = await daemon.call("GET", "/v1/deliveries?limit=501&status=abc&q=");
  assertEquals(
    body.errors.map(({ path, message }: Record<string, string>) => `${path} ${message}`),
    [
      "limit must be 500 or less",
      "status must be a whole number",
      "q must be 1 characters or more",
    ],
  );
});

Deno.test("GET /v1/replays/{id}: an unknown id is 404", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  for (const id of ["rpl_01HS1JB3Y1R5T9X2C6D8F0G3H7", "nonsense", "a%2Fb"]) {
    const { status, body } = await daemon.call("GET", `/v1/replays/${id}`);
    assertEquals(status, 404);
    assert(body.detail.includes(decodeURIComponent(id)));
  }
});
