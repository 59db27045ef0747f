import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readConfig } from "../../src/config/load.ts";
import { type Config } from "../../src/config/config.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { aDaemon, type Answer, type TestDaemon } from "../support/a_daemon.ts";
import { until } from "../support/until.ts";

/** One receiver for all subscriptions, each with its own path. */
function aReceiver() {
  const got: { path: string; body: string }[] = [];
  const status = { of: (_path: string) => 200 };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      got.push({ path: pathname, body: await request.text() });
      return new Response(null, { status: status.of(pathname) });
    },
  );
  return {
    server,
    got,
    status,
    at: (path: string) => `http://127.0.0.1:${server.addr.port}/${path}`,
  };
}

type Words = Record<string, unknown>;

async function reading(words: Words) {
  const none = () => Promise.reject(new Deno.errors.NotFound());
  return await readConfig({
    path: "/nowhere/config.json",
    text: JSON.stringify({
      storage: { url: "sqlite::memory:" },
      server: { listen: "127.0.0.1:0" },
      delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"], jitter: 0 },
      ...words,
    }),
    sources: {
      env: () => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
      file: none,
      credential: none,
    },
    clock: systemClock,
  });
}

async function configOf(words: Words): Promise<Config> {
  const loaded = await reading(words);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

const subscription = (id: string, url: string, overrides: Words = {}) => ({
  id,
  url,
  events: ["*"],
  secret: { env: "S" },
  ...overrides,
});

const tenancy = { key: "account_id" };

/** Events that a customer's receiver may get, and events of others. */
const OTHERS: readonly (readonly [mine: unknown, theirs: string])[] = [
  ["1", "1"],
  [1, '"1"'],
  [1, "10"],
  [9007199254740992, "9007199254740993"],
  ["a", '"A"'],
  ["a", '"a "'],
  ["a", '"а"'], // Cyrillic
  ["é", '"e\\u0301"'],
  ["", '" "'],
  ["*a", '"aa"'],
  [true, '"true"'],
  [0, "false"],
  [["a", "b"], '"a,b"'],
];

Deno.test("tenancy: no event reaches another customer's receiver, however similar the two are", async () => {
  const receiver = aReceiver();
  await using _closing = { [Symbol.asyncDispose]: () => receiver.server.shutdown() };
  await using daemon = await aDaemon(
    await configOf({
      tenancy,
      subscriptions: [
        ...OTHERS.map(([mine], index) =>
          subscription(`mine-${index}`, receiver.at(`mine-${index}`), {
            events: [`t${index}`],
            scope: { account_id: mine },
          })
        ),
        subscription("all", receiver.at("all"), { scope: { account_id: "*" } }),
      ],
    }),
  );
  for (const [index, [mine, theirs]] of OTHERS.entries()) {
    const type = `t${index}`;
    const post = (scope: string) =>
      daemon.call("POST", "/v1/events", `{"type":"${type}","scope":${scope},"data":1}`);
    const their = await post(`{"account_id":${theirs}}`);
    const subscriptions = their.body.deliveries.map((one: { subscription: string }) =>
      one.subscription
    );
    assertEquals(subscriptions, ["all"], `${theirs} for ${JSON.stringify(mine)}`);
    const own = Array.isArray(mine) ? mine[0] : mine;
    assertEquals((await post(JSON.stringify({ account_id: own }))).body.deliveries.length, 2);
  }
  // Spellings of the same value.
  const same = await daemon.call(
    "POST",
    "/v1/events",
    '{"type":"t2","scope":{"\\u0061ccount_id":1.0},"data":1}',
  );
  assertEquals(same.body.deliveries.length, 2);
});

Deno.test("tenancy: an event without a customer is refused everywhere, and nothing is stored", async () => {
  const receiver = aReceiver();
  await using _closing = { [Symbol.asyncDispose]: () => receiver.server.shutdown() };
  await using daemon = await aDaemon(
    await configOf({
      tenancy,
      subscriptions: [
        subscription("all", receiver.at("all"), { scope: { account_id: "*" } }),
        subscription("booking", receiver.at("booking"), {
          profile: "roostsync",
          events: ["booking.created"],
          scope: { account_id: 7 },
        }),
      ],
    }),
  );
  const refused = async (path: string, body: unknown, type = "application/json") => {
    const answer: Answer = await daemon.call("POST", "/v1/events", body, { "content-type": type });
    assertEquals(answer.status, 422, JSON.stringify(body));
    assertEquals(answer.body.errors.map((one: { path: string }) => one.path), [path]);
  };
  const event = (scope?: unknown) => ({ type: "t", data: 1, ...(scope ? { scope } : {}) });
  await refused("scope.account_id", event());
  await refused("scope.account_id", event({}));
  await refused("scope.account_id", event({ account_id: null }));
  await refused("scope.account_id", event({ Account_id: 1 }));
  await refused("scope.account_id", '{"type":"t","data":1,"scope":{"__proto__":"x"}}');
  await refused("[1].scope.account_id", [event({ account_id: 1 }), event()]);
  await refused(
    "scope.account_id",
    '{"type":"t","data":1,"scope":{"account_id":1,"account_id":2}}',
  );
  const cloud = { specversion: "1.0", id: "1", source: "/a", type: "t" };
  await refused("account_id", cloud, "application/cloudevents+json");
  await refused(
    "[0].account_id",
    [{ ...cloud, account_id: null }],
    "application/cloudevents-batch+json",
  );
  // An event without a value that a receiver's body requires is refused as well, not sent with null.
  await refused("scope.property_id", {
    type: "booking.created",
    data: 1,
    scope: { account_id: 7 },
  });
  const { status } = await daemon.call("POST", "/v1/match", event());
  assertEquals(status, 422);
  const { body } = await daemon.call("GET", "/v1/events");
  assertEquals(body.items, []);
});

Deno.test("tenancy: pending deliveries are not sent once the subscription is another customer's", async () => {
  const receiver = aReceiver();
  await using _closing = { [Symbol.asyncDispose]: () => receiver.server.shutdown() };
  receiver.status.of = () => 503;
  const forCustomer = (account_id: unknown, enabled = true) =>
    configOf({
      tenancy,
      subscriptions: [
        subscription("crm", receiver.at("crm"), { scope: { account_id }, enabled }),
        subscription("twin", receiver.at("twin"), { scope: { account_id: 1 } }),
      ],
    });
  let config = await forCustomer(1);
  await using daemon = await aDaemon(config, {
    reload: () => Promise.resolve({ ok: true, config, warnings: [] }),
  });
  const posted = await daemon.call("POST", "/v1/events", {
    type: "t",
    data: 1,
    scope: { account_id: 1 },
  });
  const [crm] = posted.body.deliveries;
  await until(() => receiver.got.length === 2);
  await attempted(daemon, crm.id, 1);
  receiver.status.of = () => 200;
  config = await forCustomer(2);
  assertEquals((await daemon.call("POST", "/-/reload")).status, 200);
  assertEquals((await daemon.call("POST", `/v1/deliveries/${crm.id}/retry`)).status, 202);
  await until(async () => (await delivery(daemon, crm.id)).state === "cancelled");
  const { reason } = await delivery(daemon, crm.id);
  assertStringIncludes(reason, "scope.account_id");
  // The same holds if it is sent again by an operator or by a replay.
  const again = await daemon.call("POST", `/v1/deliveries/${crm.id}/retry`);
  assertEquals(again.status, 202);
  await until(async () => (await delivery(daemon, again.body.id)).state === "cancelled");
  assertEquals(receiver.got.filter(({ path }) => path === "/crm").length, 1);
  // The customer's other receiver still gets its events.
  const twin = posted.body.deliveries[1];
  assertEquals((await daemon.call("POST", `/v1/deliveries/${twin.id}/retry`)).status, 202);
  await until(async () => (await delivery(daemon, twin.id)).state === "delivered");
});

Deno.test("tenancy: check requires every subscription to name a customer, or all of them", async () => {
  const loaded = await reading({
    tenancy,
    subscriptions: [
      subscription("none", "http://127.0.0.1:1/"),
      subscription("other", "http://127.0.0.1:2/", { scope: { country: "DE" } }),
      subscription("one", "http://127.0.0.1:3/", { scope: { account_id: 1 } }),
      subscription("all", "http://127.0.0.1:4/", { scope: { account_id: "*" } }),
    ],
  });
  assert(!loaded.ok);
  assertEquals(loaded.problems.map(({ path }) => path), [
    "subscriptions[0].scope",
    "subscriptions[1].scope",
  ]);
  for (const { message, fix } of loaded.problems) {
    assertStringIncludes(message, "account_id");
    assertStringIncludes(fix!, '"*"');
  }
});

Deno.test("a test event belongs to the subscription's own customer", async () => {
  const receiver = aReceiver();
  await using _closing = { [Symbol.asyncDispose]: () => receiver.server.shutdown() };
  await using daemon = await aDaemon(
    await configOf({
      tenancy,
      subscriptions: [subscription("crm", receiver.at("crm"), { scope: { account_id: 12 } })],
    }),
  );
  const { body } = await daemon.call("POST", "/v1/subscriptions/crm/test");
  const { body: event } = await daemon.call("GET", `/v1/events/${body.event}`);
  assertEquals(event.scope.account_id, 12);
});

Deno.test("a test event respects the profile's event list and the subscription's permissions", async () => {
  const receiver = aReceiver();
  await using _closing = { [Symbol.asyncDispose]: () => receiver.server.shutdown() };
  const booking = (id: string, permissions: string[]) =>
    subscription(id, receiver.at(id), {
      profile: "booking-experts",
      settings: { subscription_id: "s" },
      permissions,
    });
  await using daemon = await aDaemon(
    await configOf({ subscriptions: [booking("guests", ["guest"]), booking("none", [])] }),
  );
  const test = (id: string, body?: unknown) =>
    daemon.call("POST", `/v1/subscriptions/${id}/test`, body);
  const { status, body } = await test("guests");
  assertEquals(status, 202);
  const { body: event } = await daemon.call("GET", `/v1/events/${body.event}`);
  assertStringIncludes(event.type, "guest");
  assert(["administration", "organization", "global"].includes(event.scope.context));
  const refused = await test("guests", { type: "reservation:created" });
  assertEquals(refused.status, 422);
  assertStringIncludes(refused.body.detail, "permissions");
  assertEquals((await test("guests", { type: "guest.created" })).status, 422);
  assertEquals((await test("none")).status, 422);
});

async function delivery(daemon: TestDaemon, id: string) {
  return (await daemon.call("GET", `/v1/deliveries/${id}`)).body;
}

function attempted(daemon: TestDaemon, id: string, count: number) {
  return until(async () => (await delivery(daemon, id)).attemptCount === count);
}
