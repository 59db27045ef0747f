import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Config, Publisher } from "../../src/config/config.ts";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { parseExposition, valueOf } from "../support/exposition.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aConformingDaemon } from "./conforming.ts";

const EVENT = { type: "booking.created", data: {} };
const AS_PMS = { authorization: "Bearer the-token-of-the-pms" };
const AS_OPERATOR = { authorization: "Bearer the-token-of-ann" };

function limited(
  quota: Pick<Publisher, "rate" | "maxPending">,
  config: Partial<Config> = {},
): Config {
  return aConfig({
    subscriptions: [
      aSubscription({ id: "a", enabled: false }),
      aSubscription({ id: "b", enabled: false }),
    ],
    auth: {
      publishers: [
        { name: "pms", token: new Secret("the-token-of-the-pms"), ...quota },
        { name: "shop", token: new Secret("the-token-of-the-shop") },
      ],
      operators: [{ name: "ann", token: new Secret("the-token-of-ann") }],
    },
    ...config,
  });
}

const post = (daemon: TestDaemon, body: unknown, headers: Record<string, string> = AS_PMS) =>
  daemon.call("POST", "/v1/events", body, headers);

async function storedEvents(daemon: TestDaemon): Promise<number> {
  return (await daemon.call("GET", "/v1/events?limit=500", undefined, AS_OPERATOR)).body.items
    .length;
}

async function refusals(daemon: TestDaemon, reason: string): Promise<number | undefined> {
  const { body } = await daemon.call("GET", "/metrics", undefined, AS_OPERATOR);
  return valueOf(parseExposition(body), "bellhook_requests_refused_total", { reason });
}

Deno.test("a publisher's rate: more is 429 with the limit and the wait, and nothing is stored", async () => {
  const clock = new FakeClock();
  await using daemon = await aConformingDaemon(
    limited({ rate: { count: 3, perMs: 60_000 } }),
    { clock },
  );
  assertEquals((await post(daemon, [EVENT, EVENT])).status, 202);
  clock.advance(20_000);
  const refused = await post(daemon, [EVENT, EVENT]);
  assertEquals([refused.status, refused.headers.get("retry-after")], [429, "40"]);
  assertEquals(refused.headers.get("content-type"), "application/problem+json");
  assertStringIncludes(refused.body.detail, 'publisher "pms" may post 3/m');
  assertEquals(Object.keys(refused.body).sort(), ["detail", "status", "title", "type"]);
  assertEquals(await storedEvents(daemon), 2);
  assertEquals((await post(daemon, EVENT)).status, 202);
  assertEquals((await post(daemon, EVENT)).status, 429);
  // Other publishers are not affected.
  const asShop = { authorization: "Bearer the-token-of-the-shop" };
  assertEquals((await post(daemon, EVENT, asShop)).status, 202);
  assertEquals((await post(daemon, EVENT, AS_OPERATOR)).status, 202);
  clock.advance(40_000);
  assertEquals((await post(daemon, [EVENT, EVENT])).status, 202);
  assertEquals([await refusals(daemon, "rate"), await refusals(daemon, "max_pending")], [2, 0]);
});

Deno.test("a publisher's rate: a batch larger than the rate learns when to try again, and is then accepted", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemon(limited({ rate: { count: 2, perMs: 1_000 } }), { clock });
  assertEquals((await post(daemon, EVENT)).status, 202);
  const batch = Array.from({ length: 10 }, () => EVENT);
  const refused = await post(daemon, batch);
  assertEquals([refused.status, refused.headers.get("retry-after")], [429, "1"]);
  assertStringIncludes(
    refused.body.detail,
    "a request of 10 events is taken once no earlier event counts",
  );
  clock.advance(1_001);
  assertEquals((await post(daemon, batch)).status, 202);
  const later = await post(daemon, EVENT);
  assertEquals([later.status, later.headers.get("retry-after")], [429, "5"]);
});

Deno.test("a publisher's rate: invalid events don't count", async () => {
  await using daemon = await aDaemon(limited({ rate: { count: 1, perMs: 60_000 } }));
  assertEquals((await post(daemon, { data: {} })).status, 422);
  assertEquals((await post(daemon, "{")).status, 400);
  assertEquals((await post(daemon, EVENT)).status, 202);
});

Deno.test("maxPending: limits a publisher's pending deliveries exactly", async () => {
  await using daemon = await aConformingDaemon(limited({ maxPending: 5 }));
  const first = await post(daemon, [{ id: "one", ...EVENT }, EVENT]);
  assertEquals(first.status, 202);
  const refused = await post(daemon, EVENT);
  assertEquals([refused.status, refused.headers.get("retry-after")], [429, "5"]);
  assertStringIncludes(
    refused.body.detail,
    'has 4 pending deliveries, and this request would add 2; its "maxPending" in the config is 5',
  );
  assertEquals(await storedEvents(daemon), 2);
  // A repeat adds nothing, and other publishers are not affected.
  assertEquals((await post(daemon, { id: "one", ...EVENT })).status, 200);
  const asShop = { authorization: "Bearer the-token-of-the-shop" };
  assertEquals((await post(daemon, EVENT, asShop)).status, 202);
  const id = first.body[0].deliveries[0].id;
  await daemon.call("POST", `/v1/deliveries/${id}/cancel`, undefined, AS_OPERATOR);
  assertEquals((await post(daemon, EVENT)).status, 202);
  assertEquals((await post(daemon, EVENT)).status, 429);
  assertEquals(await refusals(daemon, "max_pending"), 2);
});

Deno.test("maxPending: a request that can never fit says so", async () => {
  await using daemon = await aDaemon(limited({ maxPending: 5 }));
  const { status, body } = await post(daemon, [EVENT, EVENT, EVENT]);
  assertEquals(status, 429);
  assertStringIncludes(body.detail, "this request alone exceeds it");
  assertEquals(await storedEvents(daemon), 0);
});

Deno.test("maxPending: delivered ones no longer count, nor do those that an operator sends again", async () => {
  await using receiver = startRawServer();
  const local = { url: receiver.url, allowHttp: true, allowNetworks: ["127.0.0.0/8"] };
  await using daemon = await aDaemon(
    limited({ maxPending: 1 }, { subscriptions: [aSubscription({ id: "a", ...local })] }),
  );
  for (let count = 1; count <= 3; count++) {
    await until(async () => (await post(daemon, EVENT)).status === 202, "there is room again");
    await until(() => receiver.requests.length === count);
  }
  await daemon.call("POST", "/v1/subscriptions/a/pause", undefined, AS_OPERATOR);
  const { body } = await daemon.call("GET", "/v1/deliveries", undefined, AS_OPERATOR);
  await daemon.call("POST", `/v1/deliveries/${body.items[0].id}/retry`, undefined, AS_OPERATOR);
  await until(
    async () => (await post(daemon, EVENT)).status === 202,
    "it is none of the publisher's",
  );
  assertEquals((await post(daemon, EVENT)).status, 429);
});

Deno.test("quotas: a reload changes them at once, and a restart keeps the pending count", async () => {
  const folder = await Deno.makeTempDir();
  const storage = { ...aConfig().storage, path: `${folder}/bellhook.db` };
  const within = (quota: Pick<Publisher, "rate" | "maxPending">) => limited(quota, { storage });
  let file = within({});
  const reload = () => Promise.resolve({ ok: true, config: file, warnings: [] } as const);
  {
    await using daemon = await aDaemon(file, { reload });
    assertEquals((await post(daemon, [EVENT, EVENT])).status, 202);
    file = within({ maxPending: 5 });
    await daemon.reload();
    assertEquals((await post(daemon, EVENT)).status, 429);
    file = within({ maxPending: 6, rate: { count: 1, perMs: 3_600_000 } });
    await daemon.reload();
    assertEquals((await post(daemon, EVENT)).status, 202);
    assertStringIncludes((await post(daemon, EVENT)).body.detail, "may post 1/h");
    file = within({ maxPending: 7 });
    await daemon.reload();
    assertStringIncludes((await post(daemon, EVENT)).body.detail, "6 pending deliveries");
  }
  {
    await using daemon = await aDaemon(within({ maxPending: 8 }));
    assertStringIncludes(
      (await post(daemon, [EVENT, EVENT])).body.detail,
      "6 pending deliveries",
    );
    assertEquals((await post(daemon, EVENT)).status, 202);
  }
  await Deno.remove(folder, { recursive: true });
});
