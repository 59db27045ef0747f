import { bareSubscription } from "../../src/config/settings.ts";
import type { Event } from "../../src/domain/event.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";

/** A Standard Webhooks secret for tests. */
export const A_SECRET = new Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");

/** A subscription to all events. Its profile provides the defaults. */
export function aSubscription(overrides: Partial<Subscription> = {}): Subscription {
  const profile = overrides.profile ?? BUILT_IN.get("standard")!;
  return {
    ...bareSubscription("a-subscription", "https://receiver.example/webhooks", profile),
    events: [compilePattern("*")],
    ...(profile.secretRequired && {
      secret: profile.secretForm === "text" ? new Secret("a secret") : A_SECRET,
    }),
    settings: new Map(profile.requiredSettings.map((key) => [key, `"a ${key}"`])),
    // So that each wait is exactly the one of the schedule.
    jitter: 0,
    ...overrides,
  };
}

/** An event that happened at 2024-03-15T10:30:00Z. */
export function anEvent(overrides: Partial<Event> = {}): Event {
  return {
    id: "evt_01HS1JB3Y0000000000000000",
    type: "booking.created",
    occurredAt: Date.UTC(2024, 2, 15, 10, 30),
    scope: new Map(),
    data: `{"booking_id":"bk_12345"}`,
    ...overrides,
  };
}
