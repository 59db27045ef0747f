import { setImmediate } from "node:timers";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { shownSettings } from "../../src/config/settings.ts";
import { canonicalScalar, NumberText } from "../../src/domain/json_text.ts";
import { Secret } from "../../src/domain/secret.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { noSuchSubscription } from "../../src/http/near_subscription.ts";
import { Registry } from "../../src/ingest/registry.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { aConfig } from "../support/a_config.ts";
import type { TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { answered, aTransport } from "./a_transport.ts";
import { aConformingDaemon } from "./conforming.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

async function inState(daemon: TestDaemon, delivery: string, state: string) {
  await until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${delivery}`);
    return body.state === state;
  }, `${delivery} is ${state}`);
}

Deno.test("GET /v1/subscriptions/{id}: shows every current setting, and no secret", async () => {
  const clock = new FakeClock();
  const subscription = aSubscription({
    id: "pms",
    description: "The property management system",
    profile: BUILT_IN.get("booking-experts")!,
    events: [compilePattern("reservation:*"), compilePattern("*|updated")],
    secret: new Secret("s3cret-now"),
    previousSecret: { secret: new Secret("s3cret-before"), until: Date.UTC(2024, 3, 1) },
    scope: new Map([["venue_id", ['"v1"', "12e0"]]]),
    match: [
      { path: "status", anyOf: [{ kind: "equals", value: '"CONFIRMED"' }] },
      {
        path: "guest.id",
        anyOf: [
          { kind: "equals", value: canonicalScalar("9007199254740993") },
          {
            kind: "operators",
            operators: [
              { name: ">=", operand: new NumberText("1.50") },
              { name: "!=", operand: "17e0" },
              { name: "exists", operand: true },
              { name: "prefix", operand: "g" },
            ],
          },
        ],
      },
    ],
    headers: [["X-Tenant", "acme"], ["X-Key", new Secret("s3cret-header")]],
    rename: new Map([["reservation:made", "reservation:created"]]),
    settings: new Map([["subscription_id", '"sub_77"']]),
    permissions: ["reservation"],
    timeoutMs: 12_500,
    jitter: 0.1,
    success: [[200, 200], [202, 204]],
    concurrency: 3,
    rateLimit: { count: 10, perMs: 1_000 },
    allowNetworks: ["10.0.0.0/8"],
  });
  await using daemon = await aConformingDaemon(aConfig({ subscriptions: [subscription] }), {
    clock,
  });
  const { status, body } = await daemon.call("GET", "/v1/subscriptions/pms");
  assertEquals(status, 200);
  assertEquals(body, {
    id: "pms",
    url: "https://receiver.example/webhooks",
    description: "The property management system",
    profile: "booking-experts",
    events: ["reservation:*", "*|updated"],
    enabled: true,
    config: {
      ...shownSettings(aSubscription()),
      scope: { venue_id: ["v1", 12] },
      match: {
        status: ["CONFIRMED"],
        "guest.id": [9007199254740992, { ">=": 1.5, "!=": 17, exists: true, prefix: "g" }],
      },
      headers: { "X-Tenant": "acme", "X-Key": "[redacted]" },
      rename: { "reservation:made": "reservation:created" },
      settings: { subscription_id: "sub_77" },
      permissions: ["reservation"],
      hasSecret: true,
      previousSecretUntil: "2024-04-01T00:00:00Z",
      waitForConfirmation: true,
      timeout: "12500ms",
      retry: ["1m", "5m", "30m", "2h", "24h", "then every 24h for 30d"],
      jitter: 0.1,
      success: "200,202-204",
      concurrency: 3,
      rateLimit: "10/s",
      allowNetworks: ["10.0.0.0/8"],
    },
    health: {
      state: "healthy",
      since: "2024-03-15T10:30:00Z",
      answering: true,
      consecutiveFailures: 0,
      pending: 0,
    },
    counts: { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 },
  });
});

Deno.test("GET /v1/subscriptions/{id}: numbers from the config keep their digits", async () => {
  const subscription = aSubscription({
    id: "pms",
    scope: new Map([["account_id", [canonicalScalar("9007199254740993")]]]),
    match: [{
      path: "total",
      anyOf: [{
        kind: "operators",
        operators: [{ name: ">", operand: new NumberText("0.1234567890123456789") }],
      }],
    }],
    settings: new Map([["subscription_id", "12345678901234567890"], ["rate", "1.50"]]),
  });
  await using daemon = await aConformingDaemon(aConfig({ subscriptions: [subscription] }));
  const text = await (await fetch(`${daemon.url}/v1/subscriptions/pms`)).text();
  assertStringIncludes(text, '"scope":{"account_id":[9007199254740993]}');
  assertStringIncludes(text, '"total":[{">":0.1234567890123456789}]');
  assertStringIncludes(text, '"settings":{"subscription_id":12345678901234567890,"rate":1.50}');
});

Deno.test("secrets: no call's answer contains one", async () => {
  const secrets = ["s3cret-own", "s3cret-before", "s3cret-header", "s3cret-publisher", "s3cret-op"];
  const [own, before, header, publisher, operator] = secrets.map((text) => new Secret(text));
  const subscriptions = [aSubscription({
    id: "s",
    profile: BUILT_IN.get("roostsync")!,
    secret: own!,
    previousSecret: { secret: before!, until: Date.UTC(2099, 0) },
    headers: [["Authorization", header!]],
    ladder: { waitsMs: [] },
  })];
  const auth = {
    publishers: [{ name: "p", token: publisher! }],
    operators: [{ name: "ada", token: operator! }],
  };
  const transport = aTransport(() => answered(401));
  await using daemon = await aConformingDaemon(aConfig({ subscriptions, auth }), { transport });
  const shown: string[] = [];
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await daemon.call(method, path, body, {
      authorization: `Bearer ${operator!.reveal()}`,
    });
    shown.push(JSON.stringify([...answer.headers]), JSON.stringify(answer.body));
    return answer.body;
  };
  const { event, delivery } = await call("POST", "/v1/subscriptions/s/test", {});
  await until(async () => (await call("GET", `/v1/deliveries/${delivery}`)).state === "exhausted");
  await call("GET", `/v1/events/${event}`);
  await call("GET", "/v1/subscriptions");
  await call("GET", "/v1/subscriptions/s");
  await call("POST", "/v1/subscriptions/s/pause");
  await call("POST", "/v1/match", EVENT);
  await call("POST", "/-/reload");
  await call("GET", `/v1/deliveries?q=s3cret`);
  assert(shown.join().includes('"Authorization":"[redacted]"'));
  for (const secret of secrets) assert(!shown.join().includes(secret), secret);
});

Deno.test("GET /v1/subscriptions: by id, page by page", async () => {
  const ids = ["d", "b", "a/b", "ü", "c"];
  const subscriptions = ids.map((id) => aSubscription({ id, enabled: id !== "c" }));
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const shown: string[] = [];
  for (let cursor = "";;) {
    const { body } = await daemon.call(
      "GET",
      `/v1/subscriptions?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    shown.push(...body.items.map(({ id }: { id: string }) => id));
    if (body.next === null) break;
    cursor = body.next;
  }
  assertEquals(shown, ["a/b", "b", "c", "d", "ü"]);
  const { body } = await daemon.call("GET", "/v1/subscriptions/a%2Fb");
  assertEquals(body.id, "a/b");
  const { body: all } = await daemon.call("GET", "/v1/subscriptions");
  const states = all.items.map((one: { health: { state: string } }) => one.health.state);
  assertEquals(states, ["healthy", "healthy", "disabled", "healthy", "healthy"]);
});

Deno.test("GET /v1/subscriptions/{id}: health and counts follow its deliveries", async () => {
  const clock = new FakeClock();
  const replies = [answered(500), answered(200)];
  const transport = aTransport(() => replies.shift()!);
  const subscriptions = [aSubscription({ id: "s", ladder: { waitsMs: [] } })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock, transport });
  const subscription = async () => (await daemon.call("GET", "/v1/subscriptions/s")).body;
  const post = async () =>
    (await daemon.call("POST", "/v1/events", EVENT)).body.deliveries[0].id as string;

  await inState(daemon, await post(), "exhausted");
  const failing = await subscription();
  assertEquals(failing.health, {
    state: "failing",
    since: "2024-03-15T10:30:00Z",
    answering: false,
    failuresSince: "2024-03-15T10:30:00Z",
    lastResult: { at: "2024-03-15T10:30:00Z", status: 500 },
    consecutiveFailures: 1,
    pending: 0,
  });
  assertEquals(failing.counts, { pending: 0, delivered: 0, exhausted: 1, cancelled: 0 });

  clock.advance(5_000);
  await inState(daemon, await post(), "delivered");
  await daemon.call("POST", "/v1/subscriptions/s/pause");
  await post();
  const paused = await subscription();
  assertEquals(paused.health, {
    state: "paused",
    since: "2024-03-15T10:30:05Z",
    reason: "paused by local",
    answering: true,
    lastSuccessAt: "2024-03-15T10:30:05Z",
    lastResult: { at: "2024-03-15T10:30:05Z", status: 200 },
    consecutiveFailures: 0,
    pending: 1,
  });
  assertEquals(paused.counts, { pending: 1, delivered: 1, exhausted: 1, cancelled: 0 });
});

Deno.test("POST /v1/subscriptions/{id}/test: sends only to this subscription, even while it is held", async () => {
  const bodies = new Map<string, string>();
  const transport = aTransport(({ url, body }) => {
    bodies.set(url, new TextDecoder().decode(body));
    return answered(200);
  });
  const subscriptions = ["off", "paused", "other"].map((id) =>
    aSubscription({ id, url: `https://${id}.example/`, enabled: id !== "off" })
  );
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { transport });
  await daemon.call("POST", "/v1/subscriptions/paused/pause");
  for (const id of ["off", "paused"]) {
    const { status, body } = await daemon.call(
      "POST",
      `/v1/subscriptions/${id}/test`,
      '{"type":"ping.\u00fc","data":{"n":1.10,"big":9007199254740993}}',
    );
    assertEquals(status, 202);
    await inState(daemon, body.delivery, "delivered");
    const { deliveries } = (await daemon.call("GET", `/v1/events/${body.event}`)).body;
    assertEquals(deliveries.map((one: { subscription: string }) => one.subscription), [id]);
  }
  assertEquals([...bodies.keys()], ["https://off.example/", "https://paused.example/"]);
  for (const body of bodies.values()) {
    assert(/"type":"ping.ü".*"data":\{"n":1.10,"big":9007199254740993\}/.test(body), body);
  }
});

Deno.test("POST /v1/subscriptions/{id}/test: sends the profile's example without a body", async () => {
  const subscriptions = [aSubscription({ id: "s", enabled: false })];
  const transport = aTransport(() => answered(200));
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { transport });
  const { status, body } = await daemon.call("POST", "/v1/subscriptions/s/test");
  assertEquals(status, 202);
  const event = (await daemon.call("GET", `/v1/events/${body.event}`)).body;
  assertEquals([event.type, event.data.booking_id], ["booking.created", "bk_12345"]);
});

Deno.test("POST /v1/subscriptions/{id}/test: an invalid test is refused, and nothing is sent", async () => {
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const table: [status: number, body: string, path?: string][] = [
    [400, "{"],
    [422, "[]", ""],
    [422, '{"typ":"x"}', "typ"],
    [422, '{"type":""}', "type"],
    [422, '{"type":7}', "type"],
    [422, `{"type":"${"x".repeat(257)}"}`, "type"],
    [422, '{"type":"a b"}', "type"],
    [422, '{"type":"a\\r\\nb"}', "type"],
  ];
  for (const [expected, sent, path] of table) {
    const { status, body } = await daemon.call("POST", "/v1/subscriptions/s/test", sent);
    assertEquals([status, body.errors?.[0].path], [expected, path], sent);
  }
  // Nested deeper than receivers' parsers allow.
  const deep = `{"data":${"[".repeat(101)}${"]".repeat(101)}}`;
  const { status } = await daemon.call("POST", "/v1/subscriptions/s/test", deep);
  assertEquals(status, 400);
  assertEquals((await daemon.call("GET", "/v1/events")).body.items, []);
});

Deno.test("POST …/pause and …/resume: hold and release deliveries, survive a restart, may be repeated", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const config = aConfig({
      storage: { ...aConfig().storage, path: `${directory}/bellhook.db` },
      subscriptions: [aSubscription({ id: "s" })],
    });
    const transport = aTransport(() => answered(200));
    const state = async (daemon: TestDaemon) =>
      (await daemon.call("GET", "/v1/subscriptions/s")).body.health.state;
    let held: string;
    {
      await using daemon = await aConformingDaemon(config, { transport });
      for (const _ of ["once", "twice"]) {
        const { status, body } = await daemon.call("POST", "/v1/subscriptions/s/pause");
        assertEquals([status, body.health.state], [200, "paused"]);
      }
      held = (await daemon.call("POST", "/v1/events", EVENT)).body.deliveries[0].id;
    }
    {
      await using daemon = await aConformingDaemon(config, { transport });
      assertEquals(await state(daemon), "paused");
      const { body } = await daemon.call("GET", `/v1/deliveries/${held}`);
      assertEquals([body.state, body.held], ["pending", true]);
      for (const _ of ["once", "twice"]) {
        const { status, body } = await daemon.call("POST", "/v1/subscriptions/s/resume");
        assertEquals([status, body.health.state], [200, "healthy"]);
      }
      await inState(daemon, held, "delivered");
    }
    await using daemon = await aConformingDaemon(config, { transport });
    assertEquals(await state(daemon), "healthy");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("/v1/subscriptions/{id}: reading, testing, pausing or resuming an unknown one is 404", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  for (
    const [method, path] of [["GET", ""], ["POST", "/test"], ["POST", "/pause"], [
      "POST",
      "/resume",
    ]]
  ) {
    const { status, body } = await daemon.call(method!, `/v1/subscriptions/no%2Fsuch${path}`);
    assertEquals([status, body.detail], [404, 'the config has no subscription "no/such"']);
  }
});

Deno.test("subscriptions: suggests the right id for an unknown one, only to operators", async () => {
  const subscriptions = ["guests", "crm", "accounting"].map((id) => aSubscription({ id }));
  const auth = {
    publishers: [{ name: "pms", token: new Secret("a-publisher-token-of-some-length") }],
    operators: [{ name: "ann", token: new Secret("an-operator-token-of-some-length") }],
  };
  await using daemon = await aConformingDaemon(aConfig({ subscriptions, auth }));
  const as = async (who: string, method: string, path: string) =>
    (await daemon.call(method, path, undefined, { authorization: `Bearer ${who}` })).body.detail;
  const operator = "an-operator-token-of-some-length";
  for (const [method, action] of [["GET", ""], ["POST", "/pause"], ["POST", "/test"]] as const) {
    assertEquals(
      await as(operator, method, `/v1/subscriptions/gests${action}`),
      'the config has no subscription "gests"; did you mean "guests"?',
    );
  }
  assertEquals(
    await as(operator, "GET", `/v1/subscriptions/${"x".repeat(300)}`),
    `the config has no subscription "${"x".repeat(300)}"`,
  );
  const told = await as("a-publisher-token-of-some-length", "GET", "/v1/subscriptions/gests");
  assertMatch(told, /this is for operators/);
});

Deno.test("subscriptions: finds a suggestion among 50 000 without blocking others", async () => {
  const one = aSubscription();
  const subscriptions = Array.from({ length: 50_000 }, (_, n) => ({ ...one, id: `customer-${n}` }));
  const registry = new Registry(subscriptions);
  registry.idsAfter("", 1);
  let turns = 0, isOver = false;
  const goOn = () => {
    turns++;
    if (!isOver) setImmediate(goOn);
  };
  goOn();
  const detail = await noSuchSubscription("custmer-49999", { registry, clock: systemClock });
  isOver = true;
  assertEquals(
    detail,
    'the config has no subscription "custmer-49999"; did you mean "customer-49999"?',
  );
  // It yields every five milliseconds, so the event loop stays responsive.
  assert(turns >= 3, `${turns} turns`);
});
