import type { Config } from "../../config/config.ts";
import type { Event } from "../../domain/event.ts";
import { receiverName, type Subscription } from "../../domain/subscription.ts";
import { testEvent } from "../../ingest/test_event.ts";
import { SAMPLES } from "../../profiles/samples/samples.ts";

type EventTypes = Config["eventTypes"];

/** The publisher's names of the events that a subscription can get, as far as they are known. */
export function exampleTypes(subscription: Subscription, eventTypes: EventTypes): string[] {
  const { events, rename, profile } = subscription;
  const known = new Set([
    ...(eventTypes?.keys() ?? []),
    ...rename.keys(),
    ...(SAMPLES.get(profile.name) ?? []).map(({ type }) => type),
    ...events.map(({ text }) => text).filter((text) => !text.includes("*")),
    ...(profile.events ?? []).map(({ text }) => text).filter((text) => !text.includes("*")),
  ]);
  return [...known].filter((type) =>
    events.some((pattern) => pattern.matches(type)) &&
    (profile.events?.some((pattern) => pattern.matches(receiverName(subscription, type))) ??
      true) &&
    (eventTypes?.has(type) ?? true)
  );
}

/** What a test event is of where nothing else is asked for. */
export function testType(subscription: Subscription, eventTypes: EventTypes): string {
  return testEvent(subscription, {}, eventTypes).type;
}

/** Whether there is an example of just this event, and not only of the profile's form. */
export function hasExample(
  subscription: Subscription,
  type: string,
  eventTypes: EventTypes,
): boolean {
  const name = receiverName(subscription, type);
  return eventTypes?.get(type)?.example !== undefined ||
    (SAMPLES.get(subscription.profile.name) ?? []).some((sample) => sample.type === name);
}

/** The example of an event as this subscription gets it; no event of that id is stored. */
export function exampleEvent(
  subscription: Subscription,
  type: string,
  { eventTypes, at }: { eventTypes: EventTypes; at: number },
): Event {
  const { scope, data, metadata } = testEvent(subscription, { type }, eventTypes);
  return {
    id: "evt_01HS1JB3Y0EXAMPLE000000000",
    type,
    occurredAt: at,
    scope,
    data,
    ...(metadata === undefined ? {} : { metadata }),
  };
}
