import { assertEquals } from "@std/assert";
import type { Event } from "../../src/domain/event.ts";
import { parseInstant } from "../../src/domain/instant.ts";
import { compact, membersOf } from "../../src/domain/json_text.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { formatOf, renderBody } from "../../src/profiles/render.ts";
import type { Sample } from "../../src/profiles/samples/sample.ts";
import { SAMPLE_SUBSCRIPTIONS, SAMPLES } from "../../src/profiles/samples/samples.ts";
import { headersFor } from "../../src/profiles/sign.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { resolveProfile } from "../../src/profiles/resolve_profile.ts";
import { verify } from "../../src/receivers/verify.ts";
import type { Verification } from "../../src/receivers/verification.ts";
import { anyJsonText } from "../support/any_json_text.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { fc } from "../support/properties.ts";
import { verify as verifyByRecipe } from "./recipes/recipes.ts";
import { SIGNED_AT } from "./signed_by_hand.ts";

/** The receiver's verification of an attempt made by the sending side. */
function verifySent(subscription: Subscription, event: Event, secret?: string): Verification {
  const body = new TextEncoder().encode(renderBody(formatOf(subscription), event));
  const sent = headersFor({ subscription, event, body, at: SIGNED_AT });
  const headers = new Headers(sent.map(({ name, value }): [string, string] => [name, value]));
  const request = { headers, rawBody: body, receivedAt: SIGNED_AT + 1_500 };
  const { profile } = subscription;
  const known = secret ?? subscription.secret?.reveal();
  const verification = verify(profile, request, known);
  if (BUILT_IN.has(profile.name)) {
    // The recipe is an independent implementation of the platform's page.
    assertEquals(verifyByRecipe(profile.name, request, known), verification);
  }
  return verification;
}

function eventOf({ type, timestamp, scope, data, metadata }: Sample): Event {
  return anEvent({
    type,
    ...(timestamp && { occurredAt: parseInstant(timestamp)! }),
    scope: new Map(membersOf(scope ?? "{}")),
    data,
    ...(metadata && { metadata }),
  });
}

function sampleSubscription(profile: string): Subscription {
  const settings = Object.entries(SAMPLE_SUBSCRIPTIONS.get(profile)!.settings ?? {});
  return aSubscription({
    profile: BUILT_IN.get(profile)!,
    settings: new Map(settings.map(([name, value]) => [name, JSON.stringify(value)])),
  });
}

for (const profile of BUILT_IN.keys()) {
  const signed = profile !== "booking-experts";

  Deno.test(`both sides of ${profile}: the receiver verifies each sample`, () => {
    const subscription = sampleSubscription(profile);
    for (const sample of SAMPLES.get(profile)!) {
      const expected = { ok: true as const, event: sample.type, signed };
      assertEquals(verifySent(subscription, eventOf(sample)), expected);
    }
  });

  Deno.test(`both sides of ${profile}: the receiver verifies any data and any id`, () => {
    const subscription = sampleSubscription(profile);
    const [sample] = SAMPLES.get(profile)!;
    fc.assert(fc.property(anyJsonText(), fc.string({ minLength: 1 }), (text, id) => {
      // BookingShake and Booking Experts promise an object.
      const event = { ...eventOf(sample!), id, data: compact(`{"any":${text}}`) };
      assertEquals(verifySent(subscription, event), { ok: true, event: sample!.type, signed });
    }));
  });
}

Deno.test("both sides of booking-experts: a subscription with a secret signs the trio", () => {
  const [sample] = SAMPLES.get("booking-experts")!;
  for (const secret of ["any text", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]) {
    const subscription = { ...sampleSubscription("booking-experts"), secret: new Secret(secret) };
    const expected = { ok: true as const, event: sample!.type, signed: true };
    assertEquals(verifySent(subscription, eventOf(sample!)), expected);
  }
});

Deno.test("both sides of a custom profile: the new secret verifies, and for a while the old one", () => {
  const profile = resolveProfile("house", {
    body: {
      kind: { value: "event" },
      what: { members: { name: { from: "type" }, at: { from: "timestamp", as: "unixSeconds" } } },
      payload: { from: "data" },
      more: { from: "metadata", whenMissing: "omit" },
    },
    headers: { "X-Event": "{type}", "X-Key": "{uuid}" },
    signature: {
      header: "X-House",
      algorithm: "sha384",
      encoding: "base64",
      over: "{uuid}.{timestamp}.{type}.{body:encode64}",
      value: "t={timestamp},v1={signature}",
      separator: ",",
    },
    secret: { form: "text", required: true },
  }, undefined);
  const subscription = aSubscription({
    profile,
    secret: new Secret("new"),
    previousSecret: { secret: new Secret("old"), until: SIGNED_AT + 1 },
  });
  const event = anEvent({ type: "Zimmer|gereinigt größer" });
  for (const secret of ["new", "old"]) {
    assertEquals(verifySent(subscription, event, secret), {
      ok: true,
      event: event.type,
      signed: true,
    });
  }
  assertEquals(verifySent(subscription, event, "neither").ok, false);
});
