import type { Config } from "../config/config.ts";
import { ANY_VALUE } from "../domain/event.ts";
import { type JsonText, membersOf } from "../domain/json_text.ts";
import { admits, receiverName, type Subscription } from "../domain/subscription.ts";
import type { Sample } from "../profiles/samples/sample.ts";
import { SAMPLES } from "../profiles/samples/samples.ts";
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

/** Why the subscription's profile does not take an event; undefined where it does. */
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
    // As in `*:*`, where the first is a resource that the subscription may read.
    ...patterns.filter((text) => text.includes("*")).flatMap((text) =>
      [...permissions, "test"].map((first) => text.replace("*", first).replaceAll("*", "test"))
    ),
  ];
}

/** A sample's, with what the profile needs, and what the subscription asks for: its first values. */
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
