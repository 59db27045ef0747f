import { assertEquals } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { aConformingDaemon } from "./conforming.ts";

const experts = BUILT_IN.get("booking-experts")!;

const subscriptions = [
  aSubscription({ id: "all" }),
  aSubscription({ id: "off", enabled: false }),
  aSubscription({ id: "renamed", rename: new Map([["reservation:created", "booking_created"]]) }),
  aSubscription({ id: "events", events: [compilePattern("payment.*")] }),
  aSubscription({ id: "scope", scope: new Map([["venue_id", ['"v2"']]]) }),
  aSubscription({
    id: "match",
    match: [{ path: "status", anyOf: [{ kind: "equals", value: '"CONFIRMED"' }] }],
  }),
  aSubscription({ id: "catalogue", profile: BUILT_IN.get("roostsync")! }),
  aSubscription({ id: "permission", profile: experts, permissions: ["channel"] }),
  aSubscription({ id: "admission", profile: experts, permissions: ["reservation"] }),
];

const EVENT = {
  type: "reservation:created",
  scope: { venue_id: "v1", context: "administration", context_id: 9 },
  data: { status: "PENDING" },
};

Deno.test("POST /v1/match: accepts a CloudEvent", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { type, data } = EVENT;
  const about = { venue_id: "v2", context: "organization" };
  const cloud = { specversion: "1.0", id: "1", source: "/a", ...about, type, data };
  const match = (body: unknown, contentType: string) =>
    daemon.call("POST", "/v1/match", JSON.stringify(body), { "content-type": contentType });
  const { status, body } = await match(cloud, "application/cloudevents+json; charset=utf-8");
  const ids = body.matches.map(({ subscription }: { subscription: string }) => subscription);
  assertEquals([status, ids], [200, ["all", "off", "renamed", "scope", "admission"]]);
  assertEquals((await match(cloud, "application/json")).status, 422);
});

Deno.test("POST /v1/match: names who would get the event, and for each other one the rule that excludes it", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { status, body } = await daemon.call("POST", "/v1/match", EVENT);
  assertEquals(status, 200);
  assertEquals(body.matches, [
    { subscription: "all", type: "reservation:created", held: false },
    { subscription: "off", type: "reservation:created", held: true },
    { subscription: "renamed", type: "booking_created", held: false },
  ]);
  assertEquals(body.others, [
    {
      subscription: "events",
      rule: "events",
      why: '"reservation:created" fits none of "payment.*"',
    },
    { subscription: "scope", rule: "scope", why: 'scope.venue_id is "v1", not "v2"' },
    { subscription: "match", rule: "match", why: 'data.status is "PENDING"' },
    {
      subscription: "catalogue",
      rule: "catalogue",
      why: 'profile "roostsync" has no event "reservation:created"',
    },
    {
      subscription: "permission",
      rule: "admission",
      why: `"reservation" is not among the subscription's permissions`,
    },
    {
      subscription: "admission",
      rule: "admission",
      why: 'scope.administration_status is missing, not "Test" or "Production"',
    },
  ]);
});

Deno.test("POST /v1/match: predicts what posting the event does", async () => {
  const held = subscriptions.map((one) => ({ ...one, enabled: false }));
  await using daemon = await aConformingDaemon(aConfig({ subscriptions: held }));
  const { body } = await daemon.call("POST", "/v1/match", EVENT);
  const posted = await daemon.call("POST", "/v1/events", EVENT);
  const names = (some: { subscription: string }[]) => some.map((one) => one.subscription);
  assertEquals(names(body.matches), names(posted.body.deliveries));
});

Deno.test("POST /v1/match: stores nothing", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  await daemon.call("POST", "/v1/match", { id: "e1", ...EVENT });
  assertEquals((await daemon.call("GET", "/v1/events")).body.items, []);
  assertEquals((await daemon.call("GET", "/v1/deliveries")).body.items, []);
});

Deno.test("POST /v1/match: an invalid event is 422, with the paths", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const table: [body: string, paths: string[] | undefined][] = [
    ["{", undefined],
    ["", undefined],
    ["[]", [""]],
    [JSON.stringify([EVENT]), undefined],
    ['{"type":"t"}', ["data"]],
    ['{"typ":"t","data":1}', ["type", "typ"]],
    ['{"type":"t","data":1,"scope":{"a":[]}}', ["scope.a"]],
  ];
  for (const [sent, paths] of table) {
    const { status, body } = await daemon.call("POST", "/v1/match", sent);
    assertEquals(status, 422, sent);
    assertEquals(body.errors?.map(({ path }: { path: string }) => path), paths, sent);
  }
});

Deno.test("POST /v1/match: refuses an undeclared type, like POST /v1/events", async () => {
  const eventTypes = new Map([["reservation:created", {}]]);
  await using daemon = await aConformingDaemon(aConfig({ subscriptions, eventTypes }));
  assertEquals((await daemon.call("POST", "/v1/match", EVENT)).status, 200);
  const undeclared = { ...EVENT, type: "reservation:made" };
  const posted = await daemon.call("POST", "/v1/events", undeclared);
  const matched = await daemon.call("POST", "/v1/match", undeclared);
  assertEquals([posted.status, matched.status], [422, 422]);
  assertEquals(matched.body.errors, posted.body.errors);
  assertEquals(matched.body.errors, [{
    path: "type",
    message: `"reservation:made" is not among the config's eventTypes`,
  }]);
});
