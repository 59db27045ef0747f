import { bareSubscription } from "../config/settings.ts";
import { formatDuration } from "../domain/duration.ts";
import type { Event } from "../domain/event.ts";
import { type Instant, parseInstant } from "../domain/instant.ts";
import { membersOf } from "../domain/json_text.ts";
import type { Ladder } from "../domain/ladder.ts";
import type { BodyShape, BodyValue, Profile } from "../domain/profile.ts";
import { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";
import { formatOf, renderBody } from "../profiles/render.ts";
import type { Sample } from "../profiles/samples/sample.ts";
import { SAMPLE_SUBSCRIPTIONS, SAMPLES } from "../profiles/samples/samples.ts";
import { headersFor } from "../profiles/sign.ts";
import { BUILT_IN } from "../profiles/table.ts";
import type { Json } from "./openapi_components.ts";

/**
 * The document's `webhooks`: what receivers get with each built-in profile. Bodies and headers are
 * made by the same code as real ones, from the profile's samples and a secret that is shown.
 */
export function webhooks(): Json {
  return Object.fromEntries(
    [...BUILT_IN].map(([name, profile]) => [name, { post: webhook(profile) }]),
  );
}

/** When the attempt of the examples starts: when its event happened. */
const AT: Instant = Date.UTC(2024, 2, 15, 10, 30);

const EXAMPLE_SECRETS: Readonly<Record<Profile["secretForm"], string>> = {
  standard: `whsec_${btoa("an example, for nobody to use")}`,
  either: "an example, for nobody to use",
  text: "an example, for nobody to use",
};

function webhook(profile: Profile): Json {
  const subscription = exampleSubscription(profile);
  const events = SAMPLES.get(profile.name)!.map(exampleEvent);
  const bodies = events.map((event) => renderBody(formatOf(subscription), event));
  const headers = headersFor({
    subscription,
    event: events[0]!,
    body: new TextEncoder().encode(bodies[0]!),
    at: AT,
  });
  return {
    operationId: `receive-${profile.name}`,
    tags: ["webhooks"],
    summary: profile.description ?? profile.name,
    description:
      `What a subscription with the profile \`${profile.name}\` sends. Each attempt of a ` +
      "delivery has the same body, byte for byte, and may come more than once: dedupe on " +
      "`webhook-id`. The headers' examples belong to the first example of the body, sent at " +
      `2024-03-15T10:30:00Z and signed with the secret \`${
        EXAMPLE_SECRETS[profile.secretForm]
      }\`. ` +
      retries(profile),
    security: [],
    // `content` has the Content-Type; it must be omitted here (OpenAPI 3.1.1, section 4.8.12.1).
    parameters: headers.filter(({ name }) => name !== "Content-Type").map(({ name, value }) => ({
      name,
      in: "header",
      required: profile.secretRequired || !/signature/i.test(name),
      schema: { type: "string" },
      example: value,
    })),
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: bodySchema(profile),
          examples: Object.fromEntries(
            bodies.map((body, index) => [
              `${index + 1}-${events[index]!.type.replace(/[^A-Za-z0-9._-]/g, "-")}`,
              { summary: events[index]!.type, value: JSON.parse(body) },
            ]),
          ),
        },
      },
    },
    responses: {
      ...Object.fromEntries(
        profile.success.map((range) => [
          statusKey(range),
          { description: "Delivered. The beginning of the answer's body is kept" },
        ]),
      ),
      ...(profile.waitForConfirmation === undefined && {
        "410": { description: "Gone for good: the delivery ends and the subscription is paused" },
      }),
      default: { description: "A failed attempt, redirects too; Bellhook retries on its schedule" },
    },
  };
}

function exampleSubscription(profile: Profile): Subscription {
  const { settings = {} } = SAMPLE_SUBSCRIPTIONS.get(profile.name)!;
  return {
    ...bareSubscription("example", "https://receiver.example/webhooks", profile),
    secret: new Secret(EXAMPLE_SECRETS[profile.secretForm]),
    settings: new Map(Object.entries(settings).map(([key, v]) => [key, JSON.stringify(v)])),
  };
}

function exampleEvent({ type, timestamp, scope = "{}", data, metadata }: Sample): Event {
  return {
    id: "evt_01HS1JB3Y0J7Q1V8W3Z5K2M4N6",
    type,
    occurredAt: timestamp === undefined ? AT : parseInstant(timestamp)!,
    scope: new Map(membersOf(scope)),
    data,
    ...(metadata !== undefined && { metadata }),
  };
}

function retries({ timeoutMs, ladder, waitForConfirmation }: Profile): string {
  return `An attempt has ${formatDuration(timeoutMs)} in all; after a failed one the next waits ` +
    `${waits(ladder)}.` +
    (waitForConfirmation === undefined
      ? ""
      : " With `waitForConfirmation: false` there is one attempt alone.");
}

function waits({ waitsMs, thenEveryMs, forMs }: Ladder): string {
  const rungs = waitsMs.map(formatDuration).join(", ");
  return thenEveryMs === undefined
    ? rungs
    : `${rungs}, then ${formatDuration(thenEveryMs)} each, for ${formatDuration(forMs!)} in all`;
}

/** A status or a range of statuses, in OpenAPI's form. */
function statusKey([from, to]: readonly [number, number]): string {
  return from === to ? String(from) : `${Math.floor(from / 100)}XX`;
}

function bodySchema(profile: Profile): Json {
  return objectSchema(profile.body, profile);
}

function objectSchema(shape: BodyShape, profile: Profile): Json {
  return {
    type: "object",
    properties: Object.fromEntries(shape.map(([name, v]) => [name, valueSchema(v, profile)])),
    required: shape
      .filter(([, value]) => value.kind !== "from" || value.whenMissing !== "omit")
      .map(([name]) => name),
  };
}

function valueSchema(value: BodyValue, profile: Profile): Json {
  if (value.kind === "object") return objectSchema(value.members, profile);
  if (value.kind === "constant") return { const: JSON.parse(value.value) };
  switch (value.source) {
    case "id":
      return { type: "string", description: "The event's id" };
    case "type":
      return { type: "string", description: "The event's name", ...catalogueSchema(profile) };
    case "timestamp":
      return value.as === "iso"
        ? { type: "string", format: "date-time", description: "When it happened, in UTC" }
        : {
          type: "integer",
          description: `When it happened, Unix ${
            value.as === "unixMs" ? "milliseconds" : "seconds"
          }`,
        };
    case "data":
      return { description: "The event's data, with every digit" };
    case "metadata":
      return { description: "More about the event" };
    default:
      return {
        type: ["string", "number", "boolean", "null"],
        description: value.source.startsWith("scope.")
          ? `\`${value.source.slice("scope.".length)}\` of the event's scope`
          : `\`${value.source}\` of the subscription's config`,
      };
  }
}

/** The profile's event names if it lists them, or patterns that they match. */
function catalogueSchema({ events }: Profile): Json {
  if (!events) return {};
  const texts = events.map(({ text }) => text);
  if (texts.every((text) => !text.includes("*"))) return { enum: texts };
  return {
    anyOf: texts.map((text) => ({
      pattern: `^${text.replace(/[\\^$.+?()[\]{}|]/g, "\\$&").replaceAll("*", ".*")}$`,
    })),
  };
}
