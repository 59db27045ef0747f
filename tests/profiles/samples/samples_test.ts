import { assert, assertEquals, assertMatch } from "@std/assert";
import { compact, membersOf } from "../../../src/domain/json_text.ts";
import { BUILT_IN } from "../../../src/profiles/table.ts";
import type { Sample } from "../../../src/profiles/samples/sample.ts";
import {
  SAMPLE_SUBSCRIPTIONS,
  sampleEvent,
  SAMPLES,
} from "../../../src/profiles/samples/samples.ts";
import { verify } from "../../receivers/recipes/recipes.ts";

/** The payloads on the platform's page, with lost characters restored. */
async function printed(profile: string): Promise<Record<string, unknown>[]> {
  const file = new URL(`../../samples/${profile}.json`, import.meta.url);
  return JSON.parse(await Deno.readTextFile(file));
}

/** The body of a sample, as described on its platform's page. */
const BODY_OF: Record<string, (sample: Sample) => string> = {
  bookingsync: ({ type, scope, data }) =>
    `{"account_id":${of(scope, "account_id")},"event":"${type}","resource":${data}}`,
  "booking-experts": ({ type, scope, data, metadata }) =>
    `{"event":"${type}","subscription_id":"sub_77","record":${data},` +
    `"context":${of(scope, "context")},"context_id":${of(scope, "context_id")}` +
    `${metadata ? `,"event_metadata":${metadata}` : ""}}`,
  bookingshake: ({ type, timestamp, scope, data }) =>
    `{"event":"${type}","timestamp":${Date.parse(timestamp!)},"venue_id":${
      of(scope, "venue_id")
    },` +
    `"venues_group_id":${of(scope, "venues_group_id")},"data":${data}}`,
  bookingscheduler: ({ type, timestamp, data }) =>
    `{"event":"${type}","timestamp":"${timestamp}","data":${data}}`,
  roostsync: ({ type, timestamp, scope, data }) =>
    `{"event":"${type}","timestamp":"${timestamp}","data":${data},` +
    `"property_id":${of(scope, "property_id")}}`,
  standard: ({ type, timestamp, data }) =>
    `{"type":"${type}","timestamp":"${timestamp}","data":${data}}`,
};

function of(scope: string | undefined, name: string): string {
  return new Map(membersOf(scope ?? "{}")).get(name) ?? "null";
}

for (const profile of ["bookingsync", "bookingscheduler", "bookingshake", "roostsync"]) {
  Deno.test(`samples of ${profile}: each gives the payload on the page`, async () => {
    const samples = SAMPLES.get(profile)!;
    const pages = await printed(profile);
    assertEquals(samples.length, pages.length);
    for (const [at, page] of pages.entries()) {
      const body = JSON.parse(BODY_OF[profile]!(samples[at]!));
      // BookingShake's "Custom Fields" shows two of the five members.
      const shown = Object.fromEntries(Object.entries(body).filter(([name]) => name in page));
      assertEquals(JSON.stringify(shown), JSON.stringify(page));
    }
  });
}

Deno.test("samples of booking-experts: every context and every kind of metadata occurs", () => {
  const samples = SAMPLES.get("booking-experts")!;
  const contexts = new Set(samples.map(({ scope }) => of(scope, "context")));
  assertEquals([...contexts].sort(), ['"administration"', '"global"', '"organization"']);
  const metadata = samples.map((sample) => sample.metadata).join();
  for (const name of ["changes", "date_ranges", "original_event", "pricing_types"]) {
    assertMatch(metadata, new RegExp(`"${name}":`));
  }
});

for (const profile of BUILT_IN.keys()) {
  Deno.test(`samples of ${profile}: exist, in the publisher's form`, () => {
    const samples = SAMPLES.get(profile)!;
    assert(samples.length > 0);
    for (const sample of samples) {
      const event = sampleEvent(profile, sample);
      assertEquals(event, compact(event));
      const { type, timestamp, scope, data, metadata } = JSON.parse(event);
      assertEquals([type, timestamp, scope.sample_of], [sample.type, sample.timestamp, profile]);
      assertEquals(data, JSON.parse(sample.data));
      assertEquals(metadata, sample.metadata && JSON.parse(sample.metadata));
      const { sample_of: _, ...rest } = scope;
      assertEquals(rest, JSON.parse(sample.scope ?? "{}"));
    }
  });

  Deno.test(`samples of ${profile}: its subscription gets them all and is complete`, () => {
    const { requiredSettings, requiredScope, events } = BUILT_IN.get(profile)!;
    const subscription = SAMPLE_SUBSCRIPTIONS.get(profile)!;
    assertEquals([subscription.profile, subscription.events], [profile, ["*"]]);
    const { sample_of: sampleOf, ...others } = subscription.scope;
    assertEquals(sampleOf, profile);
    assertEquals(Object.keys(others), requiredScope.slice(0, 1));
    for (const name of requiredSettings) assert(subscription.settings?.[name]);
    for (const { type } of SAMPLES.get(profile)!) {
      assert(!events || events.some((pattern) => pattern.matches(type)), type);
      const resource = type.split(/[:|]/)[0]!;
      assert(!subscription.permissions || subscription.permissions.includes(resource), type);
    }
  });
}

Deno.test("samples of booking-experts: the receiver's recipe accepts all", () => {
  for (const sample of SAMPLES.get("booking-experts")!) {
    const verification = verify("booking-experts", {
      headers: new Headers({ "Content-Type": "application/json" }),
      rawBody: new TextEncoder().encode(BODY_OF["booking-experts"]!(sample)),
      receivedAt: 0,
    }, undefined);
    assertEquals(verification, { ok: true, event: sample.type, signed: false });
  }
});
