import { assert, assertEquals, assertMatch } from "@std/assert";
import { MAX_RESPONSE_BYTES } from "../../src/domain/attempt.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { Secret } from "../../src/domain/secret.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

function to(url: string, overrides: Partial<Subscription> = {}): Subscription {
  return aSubscription({ url, allowHttp: true, allowNetworks: ["127.0.0.0/8"], ...overrides });
}

async function post(daemon: TestDaemon, event: unknown = EVENT) {
  const { status, body } = await daemon.call("POST", "/v1/events", event);
  assertEquals(status, 202);
  return body;
}

// deno-lint-ignore no-explicit-any
async function delivery(daemon: TestDaemon, id: string): Promise<any> {
  return (await daemon.call("GET", `/v1/deliveries/${id}`)).body;
}

function inState(daemon: TestDaemon, id: string, state: string) {
  return until(async () => {
    const found = await delivery(daemon, id);
    return found.state === state && found;
  }, `${id} is ${state}`);
}

Deno.test("story: an event arrives signed, is recorded, and is shown with its answer", async () => {
  await using receiver = startRawServer({
    status: 201,
    headers: [["X-Got", "it"]],
    body: "thanks",
  });
  const headers: Subscription["headers"] = [["X-Tenant", "acme"], ["X-Key", new Secret("s3cr3t")]];
  await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url, { headers })] }));
  const { id, deliveries } = await post(daemon, { ...EVENT, id: "evt_1" });
  const shown = await inState(daemon, deliveries[0].id, "delivered");
  const [request] = receiver.requests;
  assertEquals(request!.header("X-Key"), "s3cr3t");
  const [attempt] = shown.attempts;
  assertEquals(attempt.result, "success");
  assertEquals([attempt.number, attempt.status, attempt.response.body], [1, 201, "thanks"]);
  assertEquals(attempt.response.headers["X-Got"], "it");
  assertEquals(attempt.request.headers["X-Key"], "[redacted]");
  assertEquals(attempt.request.headers["webhook-signature"], request!.header("webhook-signature"));
  assertEquals(attempt.request.body, request!.text());
  assertEquals([shown.event, shown.type, shown.attemptCount], [id, "booking.created", 1]);
  assert(!JSON.stringify(shown).includes("s3cr3t"));
});

Deno.test("story: a disabled subscription holds events but not tests; enabling sends them", async () => {
  await using receiver = startRawServer();
  const disabled = to(receiver.url, { id: "new", enabled: false });
  const config = aConfig({ subscriptions: [disabled] });
  const enabled = aConfig({ subscriptions: [{ ...disabled, enabled: true }] });
  await using daemon = await aDaemon(config, {
    reload: () => Promise.resolve({ ok: true, config: enabled, warnings: [] }),
  });
  const { deliveries: [held] } = await post(daemon);
  const test = await daemon.call("POST", "/v1/subscriptions/new/test", { type: "ping", data: 1.0 });
  assertEquals(test.status, 202);
  await inState(daemon, test.body.delivery, "delivered");
  assertEquals(receiver.requests.map((one) => JSON.parse(one.text()).type), ["ping"]);
  const shown = await delivery(daemon, held.id);
  assertEquals([shown.state, shown.held, shown.nextAttemptAt], ["pending", true, undefined]);

  const report = await daemon.call("POST", "/-/reload");
  assertEquals([report.status, report.body.changed], [200, ["new"]]);
  await inState(daemon, held.id, "delivered");
});

Deno.test("story: a removed subscription's deliveries are held and listed until it is added again", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer([{ status: 500 }, { status: 200 }]);
  const present = aConfig({ subscriptions: [to(receiver.url)] });
  let config = aConfig();
  await using daemon = await aDaemon(present, {
    clock,
    reload: () => Promise.resolve({ ok: true, config, warnings: [] }),
  });
  const { deliveries: [{ id }] } = await post(daemon);
  await until(async () => (await delivery(daemon, id)).attemptCount === 1);
  const reloaded = await daemon.call("POST", "/-/reload");
  assertEquals(reloaded.body.changes, [
    "- a-subscription: 1 delivery held until it comes back or an operator cancels",
  ]);
  clock.advance(3_600_000);
  const subscriptions = await daemon.call("GET", "/v1/subscriptions");
  assertEquals(subscriptions.body, {
    items: [],
    next: null,
    removed: [{ id: "a-subscription", pending: 1 }],
  });
  const listed = await daemon.call("GET", "/v1/deliveries?state=pending");
  assertEquals(listed.body.items.map((one: { held: boolean }) => one.held), [true]);
  assertEquals(receiver.requests.length, 1);
  config = present;
  await daemon.call("POST", "/-/reload");
  assertEquals("removed" in (await daemon.call("GET", "/v1/subscriptions")).body, false);
  await inState(daemon, id, "delivered");
});

Deno.test("story: 410 cancels its delivery and pauses the subscription; resume sends the rest", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer([{ status: 500 }, { status: 410 }, { status: 200 }]);
  await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url)] }), { clock });
  const { deliveries: [first] } = await post(daemon);
  await until(async () => (await delivery(daemon, first.id)).attemptCount === 1);
  const { deliveries: [second] } = await post(daemon);
  const gone = await inState(daemon, second.id, "cancelled");
  assertEquals(gone.reason, "the receiver answered 410 Gone");
  clock.advance(86_400_000);
  const { deliveries: [third] } = await post(daemon);
  assertEquals(receiver.requests.length, 2);
  assertEquals((await delivery(daemon, third.id)).held, true);
  const resumed = await daemon.call("POST", "/v1/subscriptions/a-subscription/resume");
  assertEquals(resumed.status, 200);
  await inState(daemon, first.id, "delivered");
  await inState(daemon, third.id, "delivered");
  assertEquals((await delivery(daemon, second.id)).state, "cancelled");
});

Deno.test("story: Retry-After can postpone the next attempt, but not advance it", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer([{ status: 429, headers: [["Retry-After", "600"]] }, {}]);
  await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url)] }), { clock });
  const { deliveries: [{ id }] } = await post(daemon);
  await until(async () => (await delivery(daemon, id)).attemptCount === 1);
  clock.advance(599_999);
  await daemon.call("GET", "/-/healthy");
  assertEquals(receiver.requests.length, 1);
  clock.advance(1);
  await inState(daemon, id, "delivered");
});

Deno.test("story: Booking Experts without confirmation gets one attempt, whatever its result", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer({ status: 500 });
  const subscription = to(receiver.url, {
    profile: BUILT_IN.get("booking-experts")!,
    permissions: ["reservation"],
    waitForConfirmation: false,
  });
  await using daemon = await aDaemon(aConfig({ subscriptions: [subscription] }), { clock });
  const scope = { context: "global" };
  const { deliveries: [{ id }] } = await post(daemon, {
    type: "reservation:created",
    scope,
    data: {},
  });
  const shown = await inState(daemon, id, "delivered");
  assertEquals(shown.reason, "the receiver answered 500; no confirmation is awaited");
  assertEquals(shown.attempts[0].result, "failure");
  clock.advance(90 * 86_400_000);
  await daemon.call("GET", "/-/healthy");
  assertEquals(receiver.requests.length, 1);
});

Deno.test("story: concurrency limits a subscription's attempts in progress", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let open = 0, most = 0;
  await using receiver = startRawServer(async () => {
    most = Math.max(most, ++open);
    await promise;
    open--;
    return {};
  });
  const subscriptions = [to(receiver.url, { concurrency: 3 })];
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  const receipts = await post(daemon, Array(20).fill(EVENT));
  await receiver.received(3);
  await daemon.call("GET", "/-/healthy");
  assertEquals(receiver.requests.length, 3);
  resolve();
  for (const { deliveries: [{ id }] } of receipts) await inState(daemon, id, "delivered");
  assertEquals(most, 3);
});

Deno.test("story: a rate limit paces a backlog, to the millisecond", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer();
  const subscriptions = [to(receiver.url, { rateLimit: { count: 2, perMs: 1_000 } })];
  await using daemon = await aDaemon(aConfig({ subscriptions }), { clock });
  const receipts = await post(daemon, Array(6).fill(EVENT));
  for (const seconds of [0, 1, 2]) {
    await receiver.received(2 * (seconds + 1));
    await daemon.call("GET", "/-/healthy");
    clock.advance(999);
    await daemon.call("GET", "/-/healthy");
    assertEquals(receiver.requests.length, 2 * (seconds + 1));
    clock.advance(1);
  }
  for (const { deliveries: [{ id }] } of receipts) await inState(daemon, id, "delivered");
});

Deno.test("story: while one receiver hangs with a backlog, all others get their events", async () => {
  const clock = new FakeClock();
  await using hanging = startRawServer({ hang: true });
  await using healthy = startRawServer();
  const subscriptions = [
    to(hanging.url, { id: "hanging" }),
    ...Array.from(
      { length: 20 },
      (_, i) => to(healthy.url, { id: `h${i}`, events: [compilePattern(`only.${i}`)] }),
    ),
  ];
  const config = aConfig({ subscriptions, totalConcurrency: 32 });
  await using daemon = await aDaemon(
    { ...config, server: { ...config.server, shutdownGraceMs: 0 } },
    { clock },
  );
  for (let i = 0; i < 10; i++) await post(daemon, Array(100).fill(EVENT));
  await hanging.received(16);
  const wanted = Array.from({ length: 20 }, (_, i) => ({ type: `only.${i}`, data: i }));
  await post(daemon, wanted);
  await healthy.received(20);
  assertEquals(hanging.requests.length, 16);
  await stopAtOnce(daemon, clock);
});

for (
  const { hanging, totalConcurrency } of [
    { hanging: 20, totalConcurrency: 256 },
    { hanging: 3, totalConcurrency: 16 },
    { hanging: 1, totalConcurrency: 8 },
  ]
) {
  Deno.test(`story: with ${hanging} receivers hanging on ${totalConcurrency} slots, a healthy one is served`, async () => {
    const clock = new FakeClock();
    await using stuck = startRawServer({ hang: true });
    await using healthy = startRawServer();
    const subscriptions = [
      ...Array.from(
        { length: hanging },
        (_, i) => to(stuck.url, { id: `hanging-${i}`, events: [compilePattern("bulk")] }),
      ),
      to(healthy.url, { id: "healthy", events: [compilePattern("booking.*")] }),
    ];
    const config = aConfig({ subscriptions, totalConcurrency });
    const server = { ...config.server, shutdownGraceMs: 0 };
    await using daemon = await aDaemon({ ...config, server }, { clock });
    await post(daemon, Array(40).fill({ type: "bulk", data: 1 }));
    await stuck.received(Math.min(hanging * 4, totalConcurrency / 2));
    for (let i = 1; i <= 5; i++) {
      const { deliveries: [{ id }] } = await post(daemon);
      await inState(daemon, id, "delivered");
      assertEquals(healthy.requests.length, i);
    }
    // After their deadlines they hang again, and slots are still free.
    clock.advance(30_000);
    const { deliveries: [{ id }] } = await post(daemon);
    await inState(daemon, id, "delivered");
    await stopAtOnce(daemon, clock);
  });
}

Deno.test("story: a backlog larger than the memory limit is sent completely, each delivery once", async () => {
  await using receiver = startRawServer();
  const subscriptions = [to(receiver.url, { concurrency: 64 })];
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  for (let i = 0; i < 3; i++) await post(daemon, Array(1_000).fill(EVENT));
  await until(async () => {
    const { body } = await daemon.call("GET", "/v1/deliveries?state=pending&limit=1");
    return body.items.length === 0;
  }, "the backlog drains");
  assertEquals(receiver.requests.length, 3_000);
  assertEquals(new Set(receiver.requests.map((one) => one.header("webhook-id"))).size, 3_000);
});

Deno.test("story: retry sends a pending delivery now and a finished one again, under the same ids", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer([{ status: 500 }, { status: 200 }]);
  await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url)] }), { clock });
  const { deliveries: [{ id }] } = await post(daemon);
  await until(async () => (await delivery(daemon, id)).attemptCount === 1);
  const now = await daemon.call("POST", `/v1/deliveries/${id}/retry`);
  assertEquals([now.status, now.body.id], [202, id]);
  await inState(daemon, id, "delivered");
  const again = await daemon.call("POST", `/v1/deliveries/${id}/retry`);
  assertEquals([again.status, again.body.redeliveryOf], [202, id]);
  await inState(daemon, again.body.id, "delivered");
  assertEquals(new Set(receiver.requests.map((one) => one.header("webhook-id"))).size, 1);
  assertEquals(new Set(receiver.requests.map((one) => one.text())).size, 1);
  assertEquals((await daemon.call("POST", "/v1/deliveries/dlv_none/retry")).status, 404);
});

Deno.test("story: cancel ends a pending delivery, and a final state never changes", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer({ status: 500 });
  await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url)] }), { clock });
  const { deliveries: [{ id }] } = await post(daemon);
  await until(async () => (await delivery(daemon, id)).attemptCount === 1);
  const cancelled = await daemon.call("POST", `/v1/deliveries/${id}/cancel`);
  assertEquals([cancelled.status, cancelled.body.state], [200, "cancelled"]);
  assertEquals(cancelled.body.reason, "cancelled by local");
  assertEquals((await daemon.call("POST", `/v1/deliveries/${id}/cancel`)).status, 409);
  clock.advance(86_400_000);
  await daemon.call("GET", "/-/healthy");
  assertEquals(receiver.requests.length, 1);
});

Deno.test("story: a jump of the wall clock makes no retry early or late", async () => {
  for (const stepMs of [3_600_000, -3_600_000, 86_400_000, -86_400_000]) {
    const clock = new FakeClock();
    await using receiver = startRawServer([{ status: 500 }, { status: 200 }]);
    await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url)] }), { clock });
    const { deliveries: [{ id }] } = await post(daemon);
    await until(async () => (await delivery(daemon, id)).attemptCount === 1);
    clock.advance(20_000);
    clock.step(stepMs);
    clock.advance(39_999);
    for (let i = 0; i < 5; i++) await daemon.call("GET", "/-/healthy");
    assertEquals(receiver.requests.length, 1, `early after a step of ${stepMs}`);
    const shown = await delivery(daemon, id);
    assertEquals(Date.parse(shown.nextAttemptAt), clock.wall() + 1);
    clock.advance(1);
    await inState(daemon, id, "delivered");
  }
});

Deno.test("story: a secret header that the receiver echoes is not stored", async () => {
  await using receiver = startRawServer((request) => ({
    headers: [["X-Echo", `got ${request.header("X-Key")}`]],
    body: `{"key":"${request.header("X-Key")}","é":1}`,
  }));
  const headers: Subscription["headers"] = [["X-Key", new Secret("s3cr3t-canary")]];
  await using daemon = await aDaemon(aConfig({ subscriptions: [to(receiver.url, { headers })] }));
  const { deliveries: [{ id }] } = await post(daemon);
  const shown = await inState(daemon, id, "delivered");
  assertEquals(shown.attempts[0].response.headers["X-Echo"], "got [redacted]");
  assertEquals(shown.attempts[0].response.body, '{"key":"[redacted]","é":1}');
});

Deno.test("story: a secret header is not stored in another spelling or truncated either", async () => {
  const secret = 'Bearer tok"en\\sec/ret-12345';
  await using receiver = startRawServer((request) => {
    const key = request.header("X-Key")!;
    const json = JSON.stringify({ key });
    const spellings = [json, json.replaceAll("/", "\\/"), `k=${encodeURIComponent(key)}`];
    const form = new URLSearchParams({ key }).toString();
    return { body: [...spellings, form, ""].join("&").padEnd(MAX_RESPONSE_BYTES - 10, "x") + key };
  });
  const headers: Subscription["headers"] = [["X-Key", new Secret(secret)]];
  const subscription = to(receiver.url, { headers, keepResponseBytes: MAX_RESPONSE_BYTES });
  await using daemon = await aDaemon(aConfig({ subscriptions: [subscription] }));
  const { deliveries: [{ id }] } = await post(daemon);
  const { body, truncated } = (await inState(daemon, id, "delivered")).attempts[0].response;
  assert(truncated);
  const json = '{"key":"[redacted]"}';
  const begun = `${json}&${json}&k=[redacted]&key=[redacted]&`;
  assertEquals(body.slice(0, begun.length), begun);
  assertMatch(body.slice(begun.length), /^x+\[redacted\]$/);
});

Deno.test("story: finished deliveries are deleted after the configured time", async () => {
  const clock = new FakeClock();
  const day = 86_400_000;
  let status = 200;
  await using receiver = startRawServer(() => ({ status }));
  const subscriptions = [to(receiver.url, { ladder: { waitsMs: [] } })];
  const config = aConfig({ subscriptions });
  const storage = { ...config.storage, keepDeliveredMs: 30 * day, keepExhaustedMs: 90 * day };
  await using daemon = await aDaemon({ ...config, storage }, { clock });
  const { id: first, deliveries: [delivered] } = await post(daemon);
  await inState(daemon, delivered.id, "delivered");
  status = 500;
  const { deliveries: [exhausted] } = await post(daemon);
  await inState(daemon, exhausted.id, "exhausted");

  const isThere = async (path: string) => (await daemon.call("GET", path)).status === 200;
  clock.advance(29 * day);
  await daemon.call("GET", "/-/healthy");
  assertEquals(await isThere(`/v1/deliveries/${delivered.id}`), true);
  clock.advance(day);
  await until(async () => {
    clock.advance(60_000);
    return !await isThere(`/v1/deliveries/${delivered.id}`);
  }, "the delivered one goes");
  await until(async () => {
    clock.advance(60_000);
    return !await isThere(`/v1/events/${first}`);
  }, "its event goes");
  assertEquals(await isThere(`/v1/deliveries/${exhausted.id}`), true);
  clock.advance(60 * day);
  await until(async () => {
    clock.advance(60_000);
    return !await isThere(`/v1/deliveries/${exhausted.id}`);
  }, "the exhausted one goes");
});
