import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { aConfig } from "../support/a_config.ts";
import type { TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";
import { aConformingDaemon } from "./conforming.ts";

async function post(daemon: TestDaemon, event: unknown) {
  const { status, body } = await daemon.call("POST", "/v1/events", event);
  assertEquals(status, 202);
  return body;
}

async function ids(daemon: TestDaemon, query: string): Promise<string[]> {
  const { status, body } = await daemon.call("GET", `/v1/events?${query}`);
  assertEquals(status, 200, query);
  return body.items.map(({ id }: { id: string }) => id);
}

Deno.test("GET /v1/events: numbers keep their digits, alone and in the list", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const data = '{"id":9007199254740993,"n":12345678901234567890,"price":1.10,"e":1e3,"z":-0.0}';
  const scope = '{"account_id":9007199254740993,"rate":1.50}';
  await post(
    daemon,
    `{"id":"e1","type":"t","scope":${scope},"data":${data},"metadata":[1.0, 2E+2]}`,
  );
  for (const path of ["/v1/events/e1", "/v1/events"]) {
    const text = await (await fetch(`${daemon.url}${path}`)).text();
    assertStringIncludes(text, `"scope":${scope},"data":${data},"metadata":[1.0,2E+2]`);
  }
});

Deno.test("GET /v1/events: searches by id, type, text and a delivery's id", async () => {
  const subscriptions = [aSubscription({ id: "s", enabled: false })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }));
  const { deliveries: [{ id }] } = await post(daemon, {
    id: "bk_1-created",
    type: "booking.created",
    data: { guest: "Zoë" },
  });
  await post(daemon, { id: "inv_1", type: "invoice.paid", scope: { account: "acc_7" }, data: 1 });
  const table = [
    ["bk_1", ["bk_1-created"]],
    ["booking", ["bk_1-created"]],
    ["zoË", ["bk_1-created"]],
    [id, ["bk_1-created"]],
    ["acc_7", ["inv_1"]],
    ["invoice.paid", ["inv_1"]],
    ["nowhere", []],
  ] as [string, string[]][];
  for (const [q, found] of table) {
    assertEquals(await ids(daemon, `q=${encodeURIComponent(q)}`), found, q);
  }
  assertEquals(await ids(daemon, "q=bk_1&type=invoice.paid"), []);
  for (const q of ["", "x".repeat(201)]) {
    for (const list of ["events", "deliveries"]) {
      const { status, body } = await daemon.call("GET", `/v1/${list}?q=${q}`);
      assertEquals([status, body.errors[0].path], [422, "q"]);
    }
  }
  for (const cursor of ["abc", "e01HS1JB3Y0000000000000004", "e%00"]) {
    const { status } = await daemon.call("GET", `/v1/events?q=x&cursor=${cursor}`);
    assertEquals(status, 422, cursor);
  }
});

Deno.test("GET /v1/events/{id}: shows the whole event with its deliveries", async () => {
  const clock = new FakeClock();
  const subscriptions = [aSubscription({ id: "s", enabled: false })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock });
  const posted = {
    id: "e1",
    type: "booking.created",
    timestamp: "2024-03-15T11:30:00.5+01:00",
    scope: { venue_id: "v1" },
    data: { nested: [null, true, "ü"] },
    metadata: "more",
  };
  const { deliveries: [{ id }] } = await post(daemon, posted);
  const { status, headers, body } = await daemon.call("GET", "/v1/events/e1");
  assertEquals([status, headers.get("content-type")], [200, "application/json"]);
  const { deliveries, ...event } = body;
  assertEquals(event, {
    ...posted,
    timestamp: "2024-03-15T10:30:00.500Z",
    acceptedAt: "2024-03-15T10:30:00Z",
  });
  assertEquals(deliveries, [{
    id,
    event: "e1",
    type: "booking.created",
    subscription: "s",
    state: "pending",
    held: true,
    attemptCount: 0,
    createdAt: "2024-03-15T10:30:00Z",
  }]);
});

Deno.test("GET /v1/events/{id}: finds any id in percent-encoding", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const found = async (id: string) => {
    const { status, body } = await daemon.call("GET", `/v1/events/${encodeURIComponent(id)}`);
    assertEquals([status, body.id], [200, id]);
  };
  const known = [
    "a/b",
    "/",
    "100%",
    "%",
    "%2F",
    "%252F",
    "%ff",
    "a?b#c",
    "a+b",
    "x&y=z",
    "é",
    "🦊",
  ];
  for (const id of known) {
    await post(daemon, { id, type: "t", data: null });
    await found(id);
  }
  const anyId = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    // Characters that an id can't contain, and two ids that URL parsers resolve as path segments.
    .filter((id) => /^[^\s\p{Cc}\p{Cs}]+$/u.test(id) && !/^\.\.?$/.test(id) && !known.includes(id));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(anyId, { minLength: 1 }), async (some) => {
      for (const id of some) {
        await daemon.call("POST", "/v1/events", { id, type: "t", data: null });
        await found(id);
      }
    }),
    { numRuns: 10 },
  );
});

Deno.test("GET /v1/events/{id}: an unknown id is 404, and the answer names it", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const { status, body } = await daemon.call("GET", "/v1/events/no%2Fsuch");
  assertEquals([status, body.detail], [
    404,
    'there is no event "no/such"; it may have been pruned',
  ]);
});

Deno.test("GET /v1/events: newest first, by type and by when they were accepted", async () => {
  const clock = new FakeClock();
  await using daemon = await aConformingDaemon(aConfig(), { clock });
  for (const [id, type] of [["1", "a"], ["2", "b"], ["3", "a"]]) {
    // The timestamp is old, but lists are sorted by when an event was accepted.
    await post(daemon, { id, type, timestamp: "2001-01-01T00:00:00Z", data: null });
    clock.advance(60_000);
  }
  assertEquals(await ids(daemon, ""), ["3", "2", "1"]);
  assertEquals(await ids(daemon, "type=a"), ["3", "1"]);
  assertEquals(await ids(daemon, "type=a*"), []);
  assertEquals(await ids(daemon, "since=2024-03-15T10:31:00Z"), ["3", "2"]);
  assertEquals(await ids(daemon, "until=2024-03-15T10:31:00Z"), ["1"]);
  assertEquals(await ids(daemon, "since=2024-03-15T12:31:00%2B02:00&until=2024-03-15T10:32:00Z"), [
    "2",
  ]);
});

Deno.test("GET /v1/events: pages show each event once, while others are added", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const batch = (from: number) =>
    post(
      daemon,
      Array.from({ length: 23 }, (_, i) => ({ id: `e${from + i}`, type: "t", data: null })),
    );
  await batch(0);
  const before = (await ids(daemon, "limit=500")).toSorted();
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const { body } = await daemon.call(
      "GET",
      `/v1/events?limit=5${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
    );
    assert(body.items.length <= 5);
    seen.push(...body.items.map(({ id }: { id: string }) => id));
    cursor = body.next ?? undefined;
    await batch(100 + seen.length * 100);
  } while (cursor !== undefined);
  assertEquals(seen.length, 23);
  assertEquals(seen.toSorted(), before);
});

Deno.test("GET /v1/events: the last page's next is null, even if the page is full", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  await post(daemon, Array.from({ length: 4 }, () => ({ type: "t", data: null })));
  const first = (await daemon.call("GET", "/v1/events?limit=2")).body;
  const second =
    (await daemon.call("GET", `/v1/events?limit=2&cursor=${encodeURIComponent(first.next)}`)).body;
  assertEquals([second.items.length, second.next], [2, null]);
});
