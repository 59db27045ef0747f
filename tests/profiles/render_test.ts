import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { Profile } from "../../src/domain/profile.ts";
import { formatOf, renderBody } from "../../src/profiles/render.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { type RawProfile, rawProfile } from "../../src/profiles/raw_profile.ts";
import { resolveProfile } from "../../src/profiles/resolve_profile.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";

Deno.test("body: a timestamp is ISO text, Unix milliseconds or Unix seconds, as its profile says", () => {
  const profile = aProfile({
    iso: { from: "timestamp" },
    ms: { from: "timestamp", as: "unixMs" },
    s: { from: "timestamp", as: "unixSeconds" },
  });
  assertEquals(
    bodyOf(profile, { occurredAt: Date.UTC(2024, 2, 15, 10, 30, 0, 250) }),
    `{"iso":"2024-03-15T10:30:00.250Z","ms":1710498600250,"s":1710498600}`,
  );
});

Deno.test("body: what an event doesn't have is null, or omitted if the profile says so", () => {
  const profile = aProfile({
    a: { from: "scope.missing", whenMissing: "omit" },
    b: { from: "scope.missing" },
    c: { from: "metadata" },
    d: { from: "metadata", whenMissing: "omit" },
    e: { from: "settings.missing" },
    f: { from: "settings.missing", whenMissing: "omit" },
    g: { members: { h: { from: "scope.missing", whenMissing: "omit" } } },
  });
  assertEquals(bodyOf(profile), `{"b":null,"c":null,"e":null,"g":{}}`);
});

Deno.test("body: a custom shape may have constants, nested members, ids and settings", () => {
  const profile = aProfile({
    version: { value: 2 },
    meta: { members: { id: { from: "id" }, deep: { members: { name: { from: "type" } } } } },
    tenant: { from: "settings.tenant" },
    extra: { value: { a: [1, null], b: "x" } },
    payload: { from: "data" },
  });
  const subscription = aSubscription({ profile, settings: new Map([["tenant", "1.10"]]) });
  assertEquals(
    renderBody(formatOf(subscription), anEvent({ id: 'an "id"', data: "[1e3]" })),
    `{"version":2,"meta":{"id":"an \\"id\\"","deep":{"name":"booking.created"}},"tenant":1.10,` +
      `"extra":{"a":[1,null],"b":"x"},"payload":[1e3]}`,
  );
});

Deno.test("body: contains the id for receivers if another event has the same id", () => {
  const subscription = aSubscription({ profile: aProfile({ id: { from: "id" } }) });
  const event = anEvent({ id: "bk_1", sentAs: "evt_2" });
  assertEquals(renderBody(formatOf(subscription), event), '{"id":"evt_2"}');
});

Deno.test("body: contains the event's renamed type", () => {
  const subscription = aSubscription({
    profile: BUILT_IN.get("bookingsync")!,
    rename: new Map([["booking.cancelled", "booking_destroyed"], ["__proto__", "b"]]),
  });
  const event = anEvent({ type: "booking.cancelled", data: "{}" });
  assertEquals(
    renderBody(formatOf(subscription), event),
    `{"account_id":null,"event":"booking_destroyed","resource":{}}`,
  );
});

Deno.test("booking-experts: context_id is null if the context is global, whatever the scope has", () => {
  const profile = BUILT_IN.get("booking-experts")!;
  const subscription = aSubscription({ profile, settings: new Map([["subscription_id", "77"]]) });
  const inContext = (context: string) =>
    renderBody(
      formatOf(subscription),
      anEvent({
        type: "category:updated",
        data: "{}",
        scope: new Map([["context", context], ["context_id", '"x"']]),
      }),
    );
  const body = `{"event":"category:updated","subscription_id":77,"record":{},"context":`;
  assertEquals(inContext('"global"'), `${body}"global","context_id":null}`);
  assertEquals(inContext('"organization"'), `${body}"organization","context_id":"x"}`);
});

Deno.test("booking-experts: event_metadata is omitted if the event has none, and sent if it is null", () => {
  const profile = BUILT_IN.get("booking-experts")!;
  const without = bodyOf(profile), withNull = bodyOf(profile, { metadata: "null" });
  assertEquals(without.includes("event_metadata"), false);
  assertEquals(withNull.endsWith(`,"event_metadata":null}`), true);
});

Deno.test("format: a delivery keeps its body if settings and names change later", () => {
  const profile = BUILT_IN.get("booking-experts")!;
  const event = anEvent({ type: "a" });
  const before = aSubscription({
    profile,
    settings: new Map([["subscription_id", '"old"']]),
    rename: new Map([["a", "reservation:created"]]),
  });
  const after = { ...before, settings: new Map([["subscription_id", '"new"']]), rename: new Map() };
  const frozen = formatOf(before);
  const body = renderBody(frozen, event);
  assertNotEquals(renderBody(formatOf(after), event), body);
  assertEquals(renderBody(frozen, event), body);
});

Deno.test("format: equal subscriptions have equal formats, in any order of their maps", () => {
  const one = aSubscription({ rename: new Map([["a", "b"], ["c", "d"]]) });
  const other = aSubscription({ id: "other", rename: new Map([["c", "d"], ["a", "b"]]) });
  assertEquals(formatOf(one), formatOf(other));
});

Deno.test("format: contains no settings that the body doesn't use", () => {
  const subscription = aSubscription({ settings: new Map([["password", '"hush"']]) });
  assertEquals(formatOf(subscription).includes("hush"), false);
});

Deno.test("format: refuses what this version can't have written", () => {
  const good = formatOf(aSubscription());
  for (
    const bad of [
      "",
      "null",
      "{}",
      good.replace(`"format":1`, `"format":2`),
      good.replace(`"from":"type"`, `"from":"kind"`),
      good.replace(`"from":"type"`, `"from":"type","of":1`),
      good.replace(`"body":`, `"shape":`),
      good.replace(`{"from":"type"}`, `{"value":"{"}`),
    ]
  ) {
    assertThrows(() => renderBody(bad, anEvent()), Error, "cannot render a delivery");
  }
});

Deno.test("format: renders correctly with more formats than the cache holds", () => {
  const event = anEvent({ data: "1" });
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 5_000; index++) {
      const rename = JSON.stringify([["booking.created", String(index)]]);
      const format = `{"format":1,"body":[["e",{"from":"type"}]],"rename":${rename}}`;
      assertEquals(renderBody(format, event), `{"e":"${index}"}`);
    }
  }
});

function aProfile(body: NonNullable<RawProfile["body"]>): Profile {
  return resolveProfile("own", rawProfile.parse({ body }), undefined);
}

function bodyOf(profile: Profile, event: Parameters<typeof anEvent>[0] = {}): string {
  return renderBody(formatOf(aSubscription({ profile })), anEvent(event));
}
