import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import type { Answer, TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aConformingDaemon } from "./conforming.ts";

const TOKENS: Record<string, string> = {
  anna: "anna-anna-anna-anna",
  ben: "ben-ben-ben-ben-ben",
  ops: "ops-ops-ops-ops-ops",
};

/** A daemon with two publishers and an operator, and their calls by name. */
async function aSharedDaemon({ url = "https://crm.example/hooks" } = {}) {
  const subscription = aSubscription({
    id: "s",
    url,
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
  });
  const named = (name: string) => ({ name, token: new Secret(TOKENS[name]!) });
  const daemon = await aConformingDaemon(aConfig({
    auth: { publishers: [named("anna"), named("ben")], operators: [named("ops")] },
    subscriptions: [subscription],
  }));
  const as = (name: string, ...call: Parameters<TestDaemon["call"]>): Promise<Answer> => {
    const [method, path, body, headers] = call;
    return daemon.call(method, path, body, {
      authorization: `Bearer ${TOKENS[name]}`,
      ...headers,
    });
  };
  return { daemon, as };
}

const CLOUD = { "content-type": "application/cloudevents+json" };
const aCloudEvent = (source: string, data: unknown = 1) => ({
  specversion: "1.0",
  id: "1",
  source,
  type: "t",
  data,
});

Deno.test("POST /v1/events: a publisher learns nothing about another's ids", async () => {
  const { daemon, as } = await aSharedDaemon();
  await using _ = daemon;
  const event = { id: "bk_1", type: "t", data: 1 };
  const others = { ...event, data: 2 };
  assertEquals((await as("anna", "POST", "/v1/events", event)).status, 202);
  // With different or the same content: answered as if the id were new.
  const { status, body } = await as("ben", "POST", "/v1/events", others);
  assertEquals([status, body.id, Object.keys(body)], [202, "bk_1", ["id", "deliveries"]]);
  assertEquals((await as("ops", "POST", "/v1/events", event)).status, 202);
  for (const [name, same] of [["anna", event], ["ben", others], ["ops", event]] as const) {
    assertEquals((await as(name, "POST", "/v1/events", same)).status, 200, name);
    const other = { ...event, data: 3 };
    assertEquals((await as(name, "POST", "/v1/events", other)).status, 409, name);
    assertEquals((await as(name, "POST", "/v1/events", [event, others])).status, 409, name);
  }
});

Deno.test("POST /v1/events: a CloudEvent's id is unique within its source", async () => {
  const { daemon, as } = await aSharedDaemon();
  await using _ = daemon;
  const post = async (name: string, event: unknown, headers: Record<string, string> = CLOUD) =>
    (await as(name, "POST", "/v1/events", event, headers)).status;
  assertEquals(await post("anna", aCloudEvent("/x")), 202);
  assertEquals(await post("anna", aCloudEvent("/y")), 202);
  assertEquals(await post("ben", aCloudEvent("/x", 2)), 202);
  assertEquals(await post("anna", aCloudEvent("/x")), 200);
  assertEquals(await post("anna", aCloudEvent("/x", 2)), 409);
  assertEquals(
    await post("anna", [aCloudEvent("/z"), aCloudEvent("/w"), aCloudEvent("/z")], {
      "content-type": "application/cloudevents-batch+json",
      "idempotency-key": "night",
    }),
    202,
  );
  assertEquals(await post("anna", { id: "1", type: "t", data: 5 }, {}), 202);
  const { body } = await as("ops", "GET", "/v1/events/1");
  assertEquals([body.publisher, body.scope.source, body.sameId.length], ["anna", "/x", 5]);
});

Deno.test("GET /v1/events/{id}: finds each of several events with the same id", async () => {
  const { daemon, as } = await aSharedDaemon();
  await using _ = daemon;
  for (const name of ["anna", "ben", "ops"]) {
    await as(name, "POST", "/v1/events", { id: "bk_1", type: "t", data: name });
  }
  const { body: first } = await as("ops", "GET", "/v1/events/bk_1");
  assertEquals([first.publisher, first.data, first.sentAs], ["anna", "anna", undefined]);
  assertEquals(first.sameId.map((one: { publisher?: string }) => one.publisher), [
    "ben",
    undefined,
  ]);
  for (const [index, data] of ["ben", "ops"].entries()) {
    const { sentAs } = first.sameId[index];
    const { body } = await as("ops", "GET", `/v1/events/${sentAs}`);
    assertEquals([body.id, body.data, body.sentAs, body.sameId.length], ["bk_1", data, sentAs, 2]);
    assertEquals(body.deliveries.length, 1);
    assertEquals([body.deliveries[0].event, body.deliveries[0].sentAs], ["bk_1", sentAs]);
    const { body: list } = await as("ops", "GET", `/v1/deliveries?event=${sentAs}`);
    assertEquals(list.items.length, 1);
  }
  const of = async (publisher: string) =>
    (await as("ops", "GET", `/v1/events/bk_1?publisher=${publisher}`)).body.data;
  assertEquals([await of("anna"), await of("ben"), await of("")], ["anna", "ben", "ops"]);
  assertEquals((await as("ops", "GET", "/v1/events/bk_1?publisher=carl")).status, 404);
  assertEquals((await as("ops", "GET", "/v1/events/bk_1?whose=ben")).status, 422);
  assertEquals((await as("ops", "GET", "/v1/deliveries?event=bk_1")).body.items.length, 3);
});

Deno.test("delivery: receivers can distinguish events with the same id, in every attempt", async () => {
  await using receiver = startRawServer();
  const { daemon, as } = await aSharedDaemon({ url: receiver.url });
  await using _ = daemon;
  const ids = () =>
    receiver.requests.map(({ headers }) =>
      headers.find(([name]) => name.toLowerCase() === "webhook-id")?.[1]
    );
  const posted: string[] = [];
  for (const name of ["anna", "ben"]) {
    const { body } = await as(name, "POST", "/v1/events", { id: "bk_1", type: "t", data: name });
    posted.push(body.deliveries[0].id);
    await until(() => receiver.requests.length === posted.length, "it was sent");
  }
  const [annas, bens] = ids();
  assertEquals(annas, "bk_1");
  assertMatch(bens!, /^evt_[0-9A-Z]{26}$/);
  assertNotEquals(annas, bens);
  for (const [index, id] of posted.entries()) {
    await until(
      async () => (await as("ops", "GET", `/v1/deliveries/${id}`)).body.state === "delivered",
      "it is delivered",
    );
    await as("ops", "POST", `/v1/deliveries/${id}/retry`);
    await until(() => receiver.requests.length === 3 + index, "it was sent again");
  }
  assertEquals(ids(), [annas, bens, annas, bens]);
});

Deno.test("delivery: no publisher can impersonate another's event", async () => {
  await using receiver = startRawServer();
  const { daemon, as } = await aSharedDaemon({ url: receiver.url });
  await using _ = daemon;
  // The header's form of an id with a dot.
  const hash = createHash("sha256").update('"bk.1"').digest("hex").slice(0, 32);
  for (const [name, id] of [["ben", `evt_${hash}`], ["anna", "bk.1"], ["ops", "bk.2"]] as const) {
    await as(name, "POST", "/v1/events", { id, type: "t", data: 1 });
    await receiver.received(["ben", "anna", "ops"].indexOf(name) + 1);
  }
  const [bens, annas, own] = receiver.requests.map((request) => request.header("webhook-id"));
  assertEquals(bens, `evt_${hash}`);
  assertMatch(annas!, /^evt_[0-9A-Z]{26}$/);
  assertMatch(own!, /^evt_[0-9a-f]{32}$/);
});
