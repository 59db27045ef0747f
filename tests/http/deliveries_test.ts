import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { FailureKind, Outcome } from "../../src/domain/attempt.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { aConfig } from "../support/a_config.ts";
import type { TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { answered, aTransport } from "./a_transport.ts";
import { aConformingDaemon } from "./conforming.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

/** Exhausted after its first attempt. */
const ONE_ATTEMPT: Partial<Subscription> = { ladder: { waitsMs: [] } };

/** Posts an event and returns its deliveries' ids by subscription. */
async function post(daemon: TestDaemon, event: unknown = EVENT): Promise<Record<string, string>> {
  const { status, body } = await daemon.call("POST", "/v1/events", event);
  assertEquals(status, 202);
  return Object.fromEntries(
    body.deliveries.map((one: { id: string; subscription: string }) => [one.subscription, one.id]),
  );
}

// deno-lint-ignore no-explicit-any
function when(daemon: TestDaemon, id: string, is: (delivery: any) => boolean): Promise<any> {
  return until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    return is(body) && body;
  }, `${id} is so`);
}

const inState = (state: string) => (delivery: { state: string }) => delivery.state === state;

Deno.test("GET /v1/deliveries: filters by each parameter, and by several together", async () => {
  const clock = new FakeClock();
  const subscriptions = [
    aSubscription({ id: "good" }),
    aSubscription({ id: "bad", url: "https://bad.example/", ...ONE_ATTEMPT }),
    aSubscription({ id: "off", enabled: false, events: [compilePattern("b")] }),
    aSubscription({ id: "gone", enabled: false, events: [compilePattern("b")] }),
  ];
  const transport = aTransport(({ url }) => answered(url.includes("bad") ? 503 : 204));
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock, transport });
  const first = await post(daemon, {
    id: "e1",
    type: "a",
    data: { guest: "José", note: "100%_x" },
  });
  clock.advance(60_000);
  const second = await post(daemon, { id: "e/2", type: "b", data: { guest: "Ada" } });
  await daemon.call("POST", `/v1/deliveries/${second.gone}/cancel`);
  for (const { good, bad } of [first, second]) {
    await when(daemon, good!, inState("delivered"));
    await when(daemon, bad!, inState("exhausted"));
  }

  const names = new Map<string, string>([
    ...Object.entries(first).map(([name, id]) => [id, `${name} 1`] as [string, string]),
    ...Object.entries(second).map(([name, id]) => [id, `${name} 2`] as [string, string]),
  ]);
  const table: [query: string, found: string[]][] = [
    ["", ["bad 1", "bad 2", "gone 2", "good 1", "good 2", "off 2"]],
    ["state=pending", ["off 2"]],
    ["state=delivered", ["good 1", "good 2"]],
    ["state=exhausted", ["bad 1", "bad 2"]],
    ["state=cancelled", ["gone 2"]],
    ["subscription=bad", ["bad 1", "bad 2"]],
    ["subscription=b", []],
    ["type=a", ["bad 1", "good 1"]],
    ["event=e1", ["bad 1", "good 1"]],
    ["event=e%2F2", ["bad 2", "gone 2", "good 2", "off 2"]],
    ["status=503", ["bad 1", "bad 2"]],
    ["status=204", ["good 1", "good 2"]],
    ["status=200", []],
    ["since=2024-03-15T10:31:00Z", ["bad 2", "gone 2", "good 2", "off 2"]],
    ["until=2024-03-15T10:31:00Z", ["bad 1", "good 1"]],
    ["q=Ada", ["bad 2", "gone 2", "good 2", "off 2"]],
    [`q=${encodeURIComponent("José")}`, ["bad 1", "good 1"]],
    [`q=${encodeURIComponent("0%_x")}`, ["bad 1", "good 1"]],
    [`q=${encodeURIComponent("A%a")}`, []],
    ["q=ada", ["bad 2", "gone 2", "good 2", "off 2"]],
    [`q=${encodeURIComponent("JOSÉ")}`, ["bad 1", "good 1"]],
    ["q=e1", ["bad 1", "good 1"]],
    ["q=e%2F", ["bad 2", "gone 2", "good 2", "off 2"]],
    ["q=go", ["gone 2", "good 1", "good 2"]],
    ["q=go&state=delivered&until=2024-03-15T10:31:00Z", ["good 1"]],
    ["q=bad&subscription=good", []],
    [`q=${second.off}`, ["off 2"]],
    [`q=${second.off!.toLowerCase()}`, ["off 2"]],
    ["state=exhausted&type=b&status=503&event=e%2F2&q=Ada&subscription=bad", ["bad 2"]],
    ["state=delivered&subscription=bad", []],
  ];
  for (const [query, found] of table) {
    const { status, body } = await daemon.call("GET", `/v1/deliveries?${query}`);
    assertEquals(status, 200, query);
    const shown = body.items.map(({ id }: { id: string }) => names.get(id));
    assertEquals(shown.toSorted(), found, query);
    const counted = await walk(daemon, `/v1/deliveries?limit=1&${query}`);
    assertEquals(counted.map((id) => names.get(id)!).toSorted(), found, `by pages: ${query}`);
  }
});

/** The ids on all pages. */
async function walk(daemon: TestDaemon, path: string, between = async () => {}): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (;;) {
    const more = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { status, body } = await daemon.call("GET", `${path}${more}`);
    assertEquals(status, 200);
    ids.push(...body.items.map(({ id }: { id: string }) => id));
    cursor = body.next ?? undefined;
    if (cursor === undefined) return ids;
    await between();
  }
}

Deno.test("GET /v1/deliveries: pages show each delivery once, newest first, while others are added", async () => {
  const subscriptions = ["a", "b", "c"].map((id) => aSubscription({ id, enabled: false }));
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const before: string[] = [];
  for (let i = 0; i < 9; i++) before.push(...Object.values(await post(daemon)));
  const seen = await walk(daemon, "/v1/deliveries?limit=4", async () => {
    await post(daemon);
  });
  assertEquals(seen.toSorted(), before.toSorted());
  const { body } = await daemon.call("GET", "/v1/deliveries?limit=500");
  assertEquals(body.items.map(({ id }: { id: string }) => id).slice(-before.length), seen);
});

Deno.test("lists: limit is 1 to 500, and 50 by default", async () => {
  await using daemon = await aConformingDaemon(
    aConfig({ subscriptions: [aSubscription({ enabled: false })] }),
  );
  await daemon.call("POST", "/v1/events", Array.from({ length: 501 }, () => EVENT));
  for (const path of ["/v1/events", "/v1/deliveries"]) {
    const count = async (query: string) =>
      (await daemon.call("GET", `${path}${query}`)).body.items.length;
    assertEquals(await count(""), 50);
    assertEquals(await count("?limit=1"), 1);
    assertEquals(await count("?limit=500"), 500);
    for (const limit of ["0", "501", "-1", "1.5", "ten", "", "1e99", "NaN"]) {
      const { status, body } = await daemon.call("GET", `${path}?limit=${limit}`);
      assertEquals([status, body.errors[0].path], [422, "limit"], limit);
    }
  }
});

Deno.test("GET /v1/deliveries: an invalid query is 422, with every fault named", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const table: [query: string, paths: string[]][] = [
    ["state=done", ["state"]],
    ["since=yesterday", ["since"]],
    ["until=2024-02-30T00:00:00Z", ["until"]],
    ["since=2024-03-15", ["since"]],
    ["status=99", ["status"]],
    ["status=1000", ["status"]],
    ["status=5xx", ["status"]],
    ["q=", ["q"]],
    [`q=${"x".repeat(201)}`, ["q"]],
    ["stat=pending", ["stat"]],
    ["cursor=rubbish", ["cursor"]],
    ["cursor=", ["cursor"]],
    ["state=done&status=99&since=x", ["state", "status", "since"]],
  ];
  for (const [query, paths] of table) {
    const { status, body } = await daemon.call("GET", `/v1/deliveries?${query}`);
    assertEquals([status, body.detail], [422, "the query is not valid"], query);
    assertEquals(body.errors.map(({ path }: { path: string }) => path), paths, query);
  }
});

Deno.test("GET /v1/deliveries/{id}: shows each kind of failure as an error with a diagnosis", async () => {
  const kinds: FailureKind[] = [
    "dns",
    "connect",
    "tls",
    "timeout",
    "reset",
    "blocked",
    "protocol",
  ];
  const subscriptions = kinds.map((kind) =>
    aSubscription({ id: kind, url: `https://${kind}.example/`, ...ONE_ATTEMPT })
  );
  const transport = aTransport(({ url }): Outcome => {
    const kind = new URL(url).hostname.split(".")[0] as FailureKind;
    return { kind: "failed", error: { kind, message: `what ${kind} said` } };
  });
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { transport });
  const deliveries = await post(daemon);
  for (const kind of kinds) {
    const { attempts: [attempt, ...more], reason } = await when(
      daemon,
      deliveries[kind]!,
      inState("exhausted"),
    );
    assertEquals(more, []);
    assertEquals([attempt.result, attempt.status, attempt.response], [
      "failure",
      undefined,
      undefined,
    ]);
    assertEquals(attempt.error, { kind, message: `what ${kind} said` });
    assert(attempt.diagnosis.startsWith(`what ${kind} said: `), attempt.diagnosis);
    assertEquals(reason, `attempt 1, the last, failed: ${kind}: what ${kind} said`);
  }
});

Deno.test("GET /v1/deliveries/{id}: shows the request and the response of each attempt", async () => {
  const clock = new FakeClock();
  const replies = [answered(500, [["X-A", "1"], ["X-A", "2"]], "oops"), answered(200)];
  const transport = aTransport(() => replies.shift()!);
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock, transport });
  const posted = '{"id":"e1","type":"t","timestamp":"2024-01-01T00:00:00Z","data":{"n":1.10}}';
  const { s } = await post(daemon, posted);
  const waiting = await when(daemon, s!, ({ attemptCount }) => attemptCount === 1);
  assertEquals([waiting.state, waiting.held, waiting.nextAttemptAt], [
    "pending",
    false,
    "2024-03-15T10:31:00Z",
  ]);
  clock.advance(60_000);
  const { attempts: [first, second], ...delivered } = await when(daemon, s!, inState("delivered"));
  assertEquals(delivered, {
    id: s,
    event: "e1",
    type: "t",
    subscription: "s",
    state: "delivered",
    reason: "the receiver answered 200",
    held: false,
    attemptCount: 2,
    createdAt: "2024-03-15T10:30:00Z",
    finishedAt: "2024-03-15T10:31:00Z",
    lastResult: { at: "2024-03-15T10:31:00Z", status: 200 },
  });
  const body = '{"type":"t","timestamp":"2024-01-01T00:00:00Z","data":{"n":1.10}}';
  assertEquals([first.number, first.status, first.startedAt], [1, 500, "2024-03-15T10:30:00Z"]);
  assertEquals([first.request.url, first.request.body, first.remoteAddress], [
    "https://receiver.example/webhooks",
    body,
    "203.0.113.7",
  ]);
  assertEquals(first.response, { headers: { "X-A": "1, 2" }, body: "oops", truncated: false });
  assert(first.diagnosis.startsWith("500: "));
  assertEquals([second.number, second.result, second.diagnosis, second.request.body], [
    2,
    "success",
    undefined,
    body,
  ]);
  const stamp = (attempt: typeof first) => attempt.request.headers["webhook-timestamp"];
  assertEquals([stamp(first), stamp(second)], ["1710498600", "1710498660"]);
});

Deno.test("POST /v1/deliveries/{id}/retry: sends a pending delivery now, with the same id", async () => {
  const clock = new FakeClock();
  const replies = [answered(500), answered(200)];
  const transport = aTransport(() => replies.shift()!);
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock, transport });
  const { s } = await post(daemon);
  await when(daemon, s!, ({ attemptCount }) => attemptCount === 1);
  const { status, body } = await daemon.call("POST", `/v1/deliveries/${s}/retry`);
  assertEquals([status, body.id, body.redeliveryOf], [202, s, undefined]);
  await until(() => {
    clock.advance(0);
    return replies.length === 0;
  });
  assertEquals((await when(daemon, s!, inState("delivered"))).attemptCount, 2);
});

Deno.test("POST /v1/deliveries/{id}/retry: sends a finished delivery again as a new one", async () => {
  const clock = new FakeClock();
  const transport = aTransport(() => answered(200));
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock, transport });
  const { s } = await post(daemon);
  const before = await when(daemon, s!, inState("delivered"));
  const { status, body } = await daemon.call("POST", `/v1/deliveries/${s}/retry`);
  assertEquals([status, body.redeliveryOf, body.event], [202, s, before.event]);
  assertNotEquals(body.id, s);
  clock.advance(0);
  const again = await when(daemon, body.id, inState("delivered"));
  const webhookId = (one: typeof again) => one.attempts[0].request.headers["webhook-id"];
  assertEquals(webhookId(again), webhookId(before));
  assertEquals(await when(daemon, s!, inState("delivered")), before);
});

Deno.test("POST /v1/deliveries/{id}/retry: a held subscription's delivery is 409, with the fix", async () => {
  const subscriptions = [aSubscription({ id: "off", enabled: false }), aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  await daemon.call("POST", "/v1/subscriptions/s/pause");
  const { off, s } = await post(daemon);
  for (const [id, helps] of [[off, "enable it first"], [s, "resume it first"]]) {
    const { status, body } = await daemon.call("POST", `/v1/deliveries/${id}/retry`);
    assertEquals([status, body.detail.endsWith(helps)], [409, true], body.detail);
  }
});

Deno.test("POST /v1/deliveries/{id}/retry: a test is never held", async () => {
  const clock = new FakeClock();
  const replies = [answered(500), answered(500), answered(200), answered(200)];
  const transport = aTransport(() => replies.shift()!);
  const subscriptions = [aSubscription({ id: "off", enabled: false }), aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock, transport });
  await daemon.call("POST", "/v1/subscriptions/s/pause");
  for (const { id } of subscriptions) {
    const { body } = await daemon.call("POST", `/v1/subscriptions/${id}/test`);
    await when(daemon, body.delivery, ({ attemptCount }) => attemptCount === 1);
  }
  const { items } = (await daemon.call("GET", "/v1/deliveries")).body;
  for (const { id } of items) {
    assertEquals((await daemon.call("POST", `/v1/deliveries/${id}/retry`)).status, 202);
    await until(async () => {
      clock.advance(0);
      return inState("delivered")((await daemon.call("GET", `/v1/deliveries/${id}`)).body);
    }, "the test is delivered");
  }
});

Deno.test("POST /v1/deliveries/{id}/cancel: ends a pending delivery", async () => {
  const subscriptions = [aSubscription({ id: "s", enabled: false })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { s } = await post(daemon);
  const { status, body } = await daemon.call("POST", `/v1/deliveries/${s}/cancel`);
  assertEquals([status, body.state, body.reason], [200, "cancelled", "cancelled by local"]);
  assertEquals([body.held, body.nextAttemptAt, typeof body.finishedAt], [
    false,
    undefined,
    "string",
  ]);
  const again = await daemon.call("POST", `/v1/deliveries/${s}/cancel`);
  assertEquals(again.status, 409);
  assert(again.body.detail.includes("is cancelled already"), again.body.detail);
});

Deno.test("/v1/deliveries/{id}: reading, retrying or cancelling an unknown delivery is 404", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  for (const id of ["dlv_01HS1JB3Y1R5T9X2C6D8F0G3H7", "nonsense", "a%2Fb", "%F0%9F%A6%8A"]) {
    for (const [method, path] of [["GET", ""], ["POST", "/retry"], ["POST", "/cancel"]]) {
      const { status, body } = await daemon.call(method!, `/v1/deliveries/${id}${path}`);
      const detail = `there is no delivery "${decodeURIComponent(id)}"; it may have been pruned`;
      assertEquals([status, body.detail], [404, detail]);
    }
  }
});
