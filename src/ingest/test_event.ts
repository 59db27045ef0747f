import type { Config } from "../config/config.ts";
import { ANY_VALUE } from "../domain/event.ts";
import { type JsonText, membersOf } from "../domain/json_text.ts";
import { admits, receiverName, type Subscription } from "../domain/subscription.ts";
import type { Sample } from "../profiles/samples/sample.ts";
import { SAMPLES } from "../profiles/samples/samples.ts";
import type { PostedEvent } from "./posted_event.ts";

/** What an operator chose for a test event. The rest is filled in to suit the subscription. */
export interface TestRequest {
  readonly type?: string;
  readonly data?: JsonText;
}

/**
 * Builds an event that the subscription would get: a type that matches its patterns, the config's
 * example or the profile's sample as data, and a scope that meets its condition.
 */
export function testEvent(
  subscription: Subscription,
  { type: wanted, data }: TestRequest,
  eventTypes: Config["eventTypes"],
): PostedEvent {
  const ofType = (type: string): PostedEvent => {
    const name = receiverName(subscription, type);
    const sample = samples.find((one) => one.type === name) ?? samples[0];
    const metadata = sample?.metadata ??
      (subscription.profile.requiredValues.some(({ source }) => source === "metadata")
        ? '{"test":true}'
        : undefined);
    return {
      type,
      scope: scopeFor(subscription, membersOf(sample?.scope ?? "{}")!),
      data: data ?? eventTypes?.get(type)?.example ?? sample?.data ?? '{"test":true}',
      ...(metadata === undefined ? {} : { metadata }),
    };
  };
  const samples = SAMPLES.get(subscription.profile.name) ?? [];
  if (wanted !== undefined) return ofType(wanted);
  const wants = (type: string) => subscription.events.some((pattern) => pattern.matches(type));
  const fitting = candidateTypes(subscription, samples, eventTypes).filter(wants).map(ofType);
  const admitted = fitting.find((posted) => refusal(subscription, posted) === undefined);
  return admitted ?? fitting[0] ?? ofType(samples[0]?.type ?? "bellhook.test");
}

/** Why the subscription's profile refuses an event; undefined if it doesn't. */
export function refusal(subscription: Subscription, posted: PostedEvent): string | undefined {
  const match = admits(subscription, { id: "evt_test", occurredAt: 0, ...posted });
  return match.matches ? undefined : match.why;
}

function candidateTypes(
  { events, rename, profile, permissions }: Subscription,
  samples: readonly Sample[],
  eventTypes: Config["eventTypes"],
): string[] {
  const patterns = [...events, ...profile.events ?? []].map(({ text }) => text);
  return [
    ...(eventTypes?.keys() ?? []),
    ...rename.keys(),
    ...samples.map(({ type }) => type),
    ...patterns.filter((text) => !text.includes("*")),
    // In `*:*` the first `*` is a resource that the subscription may read.
    ...patterns.filter((text) => text.includes("*")).flatMap((text) =>
      [...permissions, "test"].map((first) => text.replace("*", first).replaceAll("*", "test"))
    ),
  ];
}

/** The sample's scope, plus the values that the profile requires and the subscription's condition. */
function scopeFor(
  { scope, profile }: Subscription,
  sample: readonly (readonly [string, JsonText])[],
): Map<string, JsonText> {
  const found = new Map(sample);
  for (const { source, oneOf } of profile.requiredValues) {
    const name = source.slice("scope.".length);
    if (source !== "metadata" && !found.has(name)) found.set(name, asWritten(oneOf?.[0] ?? TEST));
  }
  for (const [name, values] of scope) {
    const [value = TEST] = values.filter((one) => one !== ANY_VALUE);
    if (value !== TEST || !found.has(name)) found.set(name, asWritten(value));
  }
  return found;
}

const TEST = '"test"';

/** A canonical scalar as a person would write it: `12e0` is 12. */
function asWritten(canonical: string): JsonText {
  const whole = /^(-?\d+)e(\d{1,3})$/.exec(canonical);
  if (whole) return whole[1]! + "0".repeat(Number(whole[2]));
  return /^-?\d/.test(canonical) ? JSON.stringify(Number(canonical)) : canonical;
}
