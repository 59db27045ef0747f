import type { Config } from "../config/config.ts";
import { type JsonText, membersOf } from "../domain/json_text.ts";
import type { Subscription } from "../domain/subscription.ts";
import { type Sample, SAMPLES } from "../profiles/samples/samples.ts";
import type { PostedEvent } from "./posted_event.ts";

/** What an operator says of a test event; what is left out is found for the subscription. */
export interface TestRequest {
  readonly type?: string;
  readonly data?: JsonText;
}

/**
 * An event such as this subscription gets: of a type that it wants, with the config's example or the
 * profile's sample as data, and with a scope that its condition lets through.
 */
export function testEvent(
  subscription: Subscription,
  { type: wanted, data }: TestRequest,
  eventTypes: Config["eventTypes"],
): PostedEvent {
  const samples = SAMPLES.get(subscription.profile.name) ?? [];
  const type = wanted ?? typeFor(subscription, samples, eventTypes);
  const receiverName = subscription.rename.get(type) ?? type;
  const sample = samples.find((one) => one.type === receiverName) ?? samples[0];
  return {
    type,
    scope: new Map([...membersOf(sample?.scope ?? "{}")!, ...scopeFor(subscription)]),
    data: data ?? eventTypes?.get(type)?.example ?? sample?.data ?? '{"test":true}',
    ...(sample?.metadata === undefined ? {} : { metadata: sample.metadata }),
  };
}

function typeFor(
  { events, rename, profile }: Subscription,
  samples: readonly Sample[],
  eventTypes: Config["eventTypes"],
): string {
  const wants = (type: string) => events.some((pattern) => pattern.matches(type));
  const candidates = [
    ...(eventTypes?.keys() ?? []),
    ...rename.keys(),
    ...samples.map(({ type }) => type),
    ...[...events, ...profile.events ?? []].map(({ text }) => text)
      .filter((text) => !text.includes("*")),
    ...events.map(({ text }) => text.replaceAll("*", "test")),
  ];
  return candidates.find(wants) ?? samples[0]?.type ?? "bellhook.test";
}

/** Of each name that the subscription's scope asks for, the first value it takes. */
function scopeFor(subscription: Subscription): [string, JsonText][] {
  return [...subscription.scope].map(([name, values]) => [name, asWritten(values[0]!)]);
}

/** A canonical scalar as a person would write it: `12e0` is 12. */
function asWritten(canonical: string): JsonText {
  const whole = /^(-?\d+)e(\d{1,3})$/.exec(canonical);
  if (whole) return whole[1]! + "0".repeat(Number(whole[2]));
  return /^-?\d/.test(canonical) ? JSON.stringify(Number(canonical)) : canonical;
}
