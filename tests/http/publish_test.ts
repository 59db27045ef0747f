import { assert, assertEquals } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { aConformingDaemon } from "./conforming.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

/** Two paused subscriptions, so that nothing is sent during a test. */
const subscriptions = [
  aSubscription({ id: "all", enabled: false }),
  aSubscription({ id: "payments", enabled: false, events: [compilePattern("payment.*")] }),
];

async function storedEvents(daemon: TestDaemon): Promise<number> {
  const { body } = await daemon.call("GET", "/v1/events");
  return body.items.length;
}

Deno.test("POST /v1/events: 202 names the event and who gets it", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { status, body } = await daemon.call("POST", "/v1/events", EVENT);
  assertEquals(status, 202);
  assert(/^evt_[0-9A-Z]{26}$/.test(body.id), body.id);
  assertEquals(body.deliveries.length, 1);
  assertEquals(body.deliveries[0].subscription, "all");
  assert(/^dlv_[0-9A-Z]{26}$/.test(body.deliveries[0].id));
});

Deno.test("POST /v1/events: stores an event that no subscription gets", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const { status, body } = await daemon.call("POST", "/v1/events", { id: "lonely", ...EVENT });
  assertEquals([status, body], [202, { id: "lonely", deliveries: [] }]);
  assertEquals((await daemon.call("GET", "/v1/events/lonely")).body.deliveries, []);
});

Deno.test("POST /v1/events: accepts other spellings of its path, but no longer path with the same end", async () => {
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  for (const path of ["/v1/events?source=desk", "/v1/event%73", "/v1/events#top"]) {
    assertEquals((await daemon.call("POST", path, EVENT)).status, 202, path);
  }
  for (const path of ["/v1/events/", "/more/v1/events", "/none?/v1/events", "//v1/events"]) {
    assertEquals((await daemon.call("POST", path, EVENT)).status, 404, path);
  }
  assertEquals((await daemon.call("PUT", "/v1/events", EVENT)).status, 405);
  assertEquals(await storedEvents(daemon), 3);
});

Deno.test("POST /v1/events: answers an array with an array, in the same order", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { status, body } = await daemon.call("POST", "/v1/events", [
    { id: "a", ...EVENT },
    { id: "b", type: "payment.received", data: null },
  ]);
  assertEquals(status, 202);
  assertEquals(body.map((one: { id: string }) => one.id), ["a", "b"]);
  assertEquals(body.map((one: { deliveries: [] }) => one.deliveries.length), [1, 2]);
});

Deno.test("POST /v1/events: an array with one bad event stores none of them", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { status, body } = await daemon.call("POST", "/v1/events", [EVENT, { type: "x" }]);
  assertEquals([status, body.errors], [422, [{ path: "[1].data", message: "is missing" }]]);
  assertEquals(await storedEvents(daemon), 0);
});

Deno.test("POST /v1/events: a repeated id is 200 with the first answer, with different content 409", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const first = await daemon.call("POST", "/v1/events", { id: "e1", ...EVENT });
  const again = await daemon.call(
    "POST",
    "/v1/events",
    `{ "data" : {"id":"bk_1"}, "id":"e1",
    "type": "booking.created" }`,
  );
  assertEquals([again.status, again.body], [200, first.body]);
  const other = await daemon.call("POST", "/v1/events", { id: "e1", ...EVENT, data: { id: "x" } });
  assertEquals([other.status, other.headers.get("content-type")], [
    409,
    "application/problem+json",
  ]);
  assertEquals(await storedEvents(daemon), 1);
});

Deno.test("POST /v1/events: the order of a scope's members doesn't matter", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const withScope = (id: string, scope: string) =>
    `{"id":"${id}","type":"t","scope":${scope},"data":1}`;
  const one = '{"b":1,"a":"x","\u{10000}":true,"\u{ff5e}":null}';
  const other = '{"\u{ff5e}":null,"\u{10000}":true,"a":"x","b":1}';
  const key = { "idempotency-key": "order-77" };
  for (const [id, headers] of [["e1", {}], ["e2", key]] as const) {
    const first = await daemon.call("POST", "/v1/events", withScope(id, one), headers);
    const again = await daemon.call("POST", "/v1/events", withScope(id, other), headers);
    assertEquals([first.status, again.status, again.body], [202, 200, first.body]);
  }
  for (const scope of ['{"b":1,"a":"y"}', '{"a":1,"b":"x"}', '{"b":1}']) {
    const { status } = await daemon.call("POST", "/v1/events", withScope("e1", scope));
    assertEquals(status, 409, scope);
  }
});

Deno.test("POST /v1/events: numbers with different digits are different content", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const withTotal = (total: string) => `{"id":"e1","type":"t","data":{"total":${total}}}`;
  assertEquals((await daemon.call("POST", "/v1/events", withTotal("1.1"))).status, 202);
  assertEquals((await daemon.call("POST", "/v1/events", withTotal("1.10"))).status, 409);
});

Deno.test("POST /v1/events: an Idempotency-Key repeats a whole request", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const key = { "idempotency-key": "order-77" };
  const first = await daemon.call("POST", "/v1/events", [EVENT, EVENT], key);
  const again = await daemon.call("POST", "/v1/events", [EVENT, EVENT], key);
  assertEquals([first.status, again.status, again.body], [202, 200, first.body]);
  const other = await daemon.call("POST", "/v1/events", [EVENT], key);
  assertEquals(other.status, 422);
  assertEquals(await storedEvents(daemon), 2);
  // An array of one event is answered with an array, so it isn't a repeat of the single event.
  const alone = { "idempotency-key": "order-78" };
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, alone)).status, 202);
  assertEquals((await daemon.call("POST", "/v1/events", [EVENT], alone)).status, 422);
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, alone)).status, 200);
});

Deno.test("POST /v1/events: many repeats at once store one event", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => daemon.call("POST", "/v1/events", { id: "e1", ...EVENT })),
  );
  assertEquals(answers.filter(({ status }) => status === 202).length, 1);
  assertEquals(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
  assertEquals(await storedEvents(daemon), 1);
});

Deno.test("POST /v1/events: a batch of known and new events stores the new ones", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const known = await daemon.call("POST", "/v1/events", { id: "a", ...EVENT });
  const batch = await daemon.call("POST", "/v1/events", [
    { id: "a", ...EVENT },
    { id: "b", ...EVENT },
    { id: "b", ...EVENT },
  ]);
  assertEquals(batch.status, 202);
  assertEquals(batch.body[0], known.body);
  assertEquals(batch.body[1], batch.body[2]);
  assertEquals(await storedEvents(daemon), 2);
});

Deno.test("POST /v1/events: every refusal says why and stores nothing", async () => {
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const refusals: [status: number, body: string, headers?: Record<string, string>][] = [
    [400, "{"],
    [400, ""],
    [400, `{"type":"t","data":${"[".repeat(200)}${"]".repeat(200)}}`],
    [413, `{"type":"t","data":"${"x".repeat(256 * 1024)}"}`],
    [415, "{}", { "content-type": "text/plain" }],
    [415, "{}", { "content-type": "application/json; charset=latin1" }],
    [422, "[]"],
    [422, "7"],
    [422, '{"type":"t"}'],
    [422, '{"type":"t","data":1,"timestamp":"2024-02-30T00:00:00Z"}'],
    [422, '{"type":"t","data":1,"__proto__":{"id":"x"}}'],
    [400, '{"type":"t","data":1}', { "idempotency-key": "x".repeat(256) }],
  ];
  for (const [status, body, headers] of refusals) {
    const answer = await daemon.call("POST", "/v1/events", body, headers);
    assertEquals(answer.status, status, body.slice(0, 60));
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
    assertEquals([answer.body.status, typeof answer.body.detail], [status, "string"]);
  }
  assertEquals(await storedEvents(daemon), 0);
});

Deno.test("POST /v1/events: refuses bytes that aren't UTF-8", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const response = await fetch(`${daemon.url}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Uint8Array([...new TextEncoder().encode('{"type":"t","data":"'), 0xff, 0x22, 0x7d]),
  });
  assertEquals([response.status, (await response.json()).detail], [
    400,
    "the body is not valid UTF-8: byte 21, 0xff, can't stand there; send UTF-8, or escape what is beyond ASCII",
  ]);
});

Deno.test("POST /v1/events: accepts CloudEvents, alone and in a batch", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const cloudEvent = { specversion: "1.0", source: "/b", type: "t", data: { a: 1 } };
  const one = await daemon.call("POST", "/v1/events", { ...cloudEvent, id: "c1" }, {
    "content-type": "application/cloudevents+json; charset=utf-8",
  });
  assertEquals([one.status, one.body], [202, { id: "c1", deliveries: [] }]);
  const batch = await daemon.call("POST", "/v1/events", [{ ...cloudEvent, id: "c2" }], {
    "content-type": "application/cloudevents-batch+json",
  });
  assertEquals([batch.status, batch.body.length], [202, 1]);
});

Deno.test("POST /v1/events: refuses an undeclared type if the config declares types", async () => {
  const eventTypes = new Map([["booking.created", {}]]);
  await using daemon = await aConformingDaemon(aConfig({ eventTypes }));
  assertEquals((await daemon.call("POST", "/v1/events", EVENT)).status, 202);
  const { status, body } = await daemon.call("POST", "/v1/events", [{ ...EVENT, type: "x.y" }]);
  assertEquals([status, body.errors[0].path], [422, "[0].type"]);
});

const auth = {
  publishers: [{
    name: "venue-1",
    token: new Secret("pub-token"),
    types: [compilePattern("booking.*")],
    scope: new Map([["venue_id", ['"v1"']]]),
  }],
  operators: [{ name: "ada", token: new Secret("op-token") }],
};

Deno.test("auth: without a known token every call is refused", async () => {
  await using daemon = await aConformingDaemon(aConfig({ auth }));
  for (
    const headers of [{}, { authorization: "Bearer nope" }, { authorization: "Basic cHViOg==" }]
  ) {
    const { status, headers: given } = await daemon.call("POST", "/v1/events", EVENT, headers);
    assertEquals([status, given.get("www-authenticate")], [401, 'Bearer realm="bellhook"']);
    assertEquals((await daemon.call("GET", "/v1/events", undefined, headers)).status, 401);
    assertEquals((await daemon.call("POST", "/-/reload", "", headers)).status, 401);
  }
  assertEquals((await daemon.call("GET", "/-/healthy")).status, 200);
});

Deno.test("auth: a publisher can post only its types within its scope", async () => {
  await using daemon = await aConformingDaemon(aConfig({ auth }));
  const token = { authorization: "Bearer pub-token" };
  const scope = { venue_id: "v1" };
  const post = (event: unknown) => daemon.call("POST", "/v1/events", event, token);
  assertEquals((await post({ ...EVENT, scope })).status, 202);
  assertEquals((await post({ ...EVENT, scope, type: "payment.made" })).body.errors[0].path, "type");
  assertEquals(
    (await post({ ...EVENT, scope: { venue_id: "v2" } })).body.errors[0].path,
    "scope.venue_id",
  );
  assertEquals((await post(EVENT)).status, 403);
  assertEquals(
    (await post([{ ...EVENT, scope }, EVENT])).body.errors[0].path,
    "[1].scope.venue_id",
  );
  assertEquals((await daemon.call("GET", "/v1/events", undefined, token)).status, 403);
  const operator = { authorization: "Bearer op-token" };
  assertEquals((await daemon.call("GET", "/v1/events", undefined, operator)).body.items.length, 1);
});

Deno.test("auth: publishers' Idempotency-Keys are independent", async () => {
  const open = (name: string) => ({ name, token: new Secret(name) });
  const both = { publishers: [open("a"), open("b")], operators: [] };
  await using daemon = await aConformingDaemon(aConfig({ auth: both }));
  for (const name of ["a", "b"]) {
    const { status } = await daemon.call("POST", "/v1/events", { ...EVENT, data: name }, {
      authorization: `Bearer ${name}`,
      "idempotency-key": "1",
    });
    assertEquals(status, 202);
  }
});

Deno.test("without auth: refuses a foreign Host or Origin, serves loopback by any name", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const { port } = new URL(daemon.url);
  const status = async (head: string[]) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    const body = JSON.stringify(EVENT);
    const lines = ["POST /v1/events HTTP/1.1", ...head, "Content-Type: application/json"];
    lines.push(`Content-Length: ${body.length}`, "Connection: close", "", body);
    await connection.write(new TextEncoder().encode(lines.join("\r\n")));
    const answer = await new Response(connection.readable).text();
    return Number(answer.split(" ")[1]);
  };
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, "localhost"]) {
    assertEquals(await status([`Host: ${host}`]), 202, host);
  }
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", ""]) {
    assertEquals(await status([`Host: ${host}`]), 403, host);
  }
  const own = `Host: 127.0.0.1:${port}`;
  assertEquals(await status([own, `Origin: http://127.0.0.1:${port}`]), 202);
  for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"]) {
    assertEquals(await status([own, `Origin: ${origin}`]), 403, origin);
  }
});

Deno.test("body: one that doesn't arrive is refused after the deadline", async () => {
  const clock = new FakeClock();
  await using daemon = await aConformingDaemon(aConfig(), { clock });
  const { port } = new URL(daemon.url);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  const head = ["POST /v1/events HTTP/1.1", "Host: localhost", "Content-Type: application/json"];
  head.push("Content-Length: 100", "", '{"type":');
  await connection.write(new TextEncoder().encode(head.join("\r\n")));
  await daemon.call("GET", "/-/healthy");
  clock.advance(31_000);
  const buffer = new Uint8Array(1_024);
  const read = await connection.read(buffer);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, read ?? 0)).split(" ")[1], "408");
});

Deno.test("/-/ready: 200 while events are accepted, not while the daemon stops", async () => {
  const daemon = await aConformingDaemon(aConfig());
  assertEquals((await daemon.call("GET", "/-/ready")).status, 200);
  await daemon.stop();
});
