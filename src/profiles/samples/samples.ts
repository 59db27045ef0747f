import type { JsonText } from "../../domain/json_text.ts";
import { BOOKING_EXPERTS } from "./booking_experts.ts";
import { BOOKINGSCHEDULER } from "./bookingscheduler.ts";
import { BOOKINGSHAKE } from "./bookingshake.ts";
import { BOOKINGSYNC } from "./bookingsync.ts";
import { ROOSTSYNC } from "./roostsync.ts";
import type { Sample } from "./sample.ts";
import { STANDARD } from "./standard.ts";

/** The sample events of each built-in profile. */
export const SAMPLES: ReadonlyMap<string, readonly Sample[]> = new Map([
  ["standard", STANDARD],
  ["bookingsync", BOOKINGSYNC],
  ["booking-experts", BOOKING_EXPERTS],
  ["bookingshake", BOOKINGSHAKE],
  ["bookingscheduler", BOOKINGSCHEDULER],
  ["roostsync", ROOSTSYNC],
]);

/** The scope member that tells samples of one profile from those of another. */
const SAMPLE_OF = "sample_of";

/** A subscription to a profile's samples, as in a config file, without id, URL and secret. */
export interface SampleSubscription {
  readonly profile: string;
  readonly events: readonly string[];
  /** Matches only this profile's samples, as written by `sampleEvent`. */
  readonly scope: { readonly [name: string]: string };
  readonly settings?: { readonly [name: string]: string | number };
  readonly permissions?: readonly string[];
}

/** For each built-in profile, the subscription that gets all of its samples and no others. */
export const SAMPLE_SUBSCRIPTIONS: ReadonlyMap<string, SampleSubscription> = new Map(
  [...SAMPLES.keys()].map((profile) => [
    profile,
    {
      profile,
      events: ["*"],
      scope: { [SAMPLE_OF]: profile },
      ...(profile === "bookingshake" && { scope: { [SAMPLE_OF]: profile, venue_id: "*" } }),
      ...(profile === "booking-experts" && {
        settings: { subscription_id: "sub_77" },
        permissions: ["reservation", "channel", "category", "currency"],
      }),
    },
  ]),
);

/**
 * A sample as the JSON of a POST to /v1/events. Its scope names the profile, because profiles share
 * event names (three have `booking.created`). No body contains that part of the scope.
 */
export function sampleEvent(profile: string, sample: Sample): JsonText {
  const { type, timestamp, scope = "{}", data, metadata } = sample;
  const mark = `${JSON.stringify(SAMPLE_OF)}:${JSON.stringify(profile)}`;
  const marked = scope === "{}" ? `{${mark}}` : `${scope.slice(0, -1)},${mark}}`;
  const members = [
    `"type":${JSON.stringify(type)}`,
    ...(timestamp === undefined ? [] : [`"timestamp":${JSON.stringify(timestamp)}`]),
    `"scope":${marked}`,
    `"data":${data}`,
    ...(metadata === undefined ? [] : [`"metadata":${metadata}`]),
  ];
  return `{${members.join(",")}}`;
}
