import { Buffer } from "node:buffer";
import type { Config } from "../../../config/config.ts";
import { formatDuration, formatSize } from "../../../domain/duration.ts";
import { formatInstant } from "../../../domain/instant.ts";
import type { Ladder } from "../../../domain/ladder.ts";
import { MAX_RESPONSE_BYTES, type StatusRanges } from "../../../domain/attempt.ts";
import { Secret } from "../../../domain/secret.ts";
import { receiverName, type Subscription } from "../../../domain/subscription.ts";
import { formatOf, renderBody } from "../../../profiles/render.ts";
import { headersFor, redact } from "../../../profiles/sign.ts";
import { exampleEvent, exampleTypes, hasExample } from "../examples.ts";
import { prettyJson } from "../pretty_json.ts";
import { type Sample, samplesFor } from "./sample.ts";
import { type Scheme, schemeOf } from "./scheme.ts";

/** What the people behind a receiver need to know of what they get. No secret is in it. */
export interface Guide {
  readonly subscription: string;
  readonly url: string;
  readonly format: string;
  readonly headers: readonly GuideHeader[];
  readonly events: readonly GuideEvent[];
  readonly verification: Verification;
  /** Sentences. */
  readonly answering: readonly string[];
  readonly failing: readonly string[];
  readonly repeating: readonly string[];
}

export interface GuideHeader {
  readonly name: string;
  /** As an example has it. */
  readonly value: string;
  readonly meaning: string;
}

export interface GuideEvent {
  /** As this receiver knows it. */
  readonly name: string;
  readonly description?: string;
  /** Undefined where nobody gave an example of it. */
  readonly body?: string;
}

export interface Verification {
  readonly sentences: readonly string[];
  readonly samples: readonly Sample[];
  /** A request to try a check on. */
  readonly example?: {
    readonly secret: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly body: string;
  };
}

/** When the example requests were made. */
const EXAMPLE_AT = Date.UTC(2024, 2, 15, 10, 30);
const EXAMPLE_TEXT = "an-example-secret-for-trying-out";

export function guideFor(subscription: Subscription, config: Config): Guide {
  const { profile } = subscription;
  const scheme = schemeOf(subscription);
  const example = exampleRequest(subscription, config.eventTypes);
  return {
    subscription: subscription.id,
    url: addressOf(subscription.url),
    format: profile.description ?? profile.name,
    headers: example.headers.map(([name, value]) => ({
      name,
      value,
      meaning: meaningOf(name, subscription),
    })),
    events: eventsFor(subscription, config.eventTypes),
    verification: verificationOf(subscription, scheme, example),
    answering: answering(subscription),
    failing: failing(subscription),
    repeating: repeating(subscription),
  };
}

/** Where requests go; a query may hold a token, and is left out. */
export function addressOf(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return origin + pathname + (search === "" ? "" : "?…");
}

function eventsFor(subscription: Subscription, eventTypes: Config["eventTypes"]): GuideEvent[] {
  return exampleTypes(subscription, eventTypes).map((type) => {
    const description = eventTypes?.get(type)?.description;
    const event = exampleEvent(subscription, type, { eventTypes, at: EXAMPLE_AT });
    const body = renderBody(formatOf(subscription), event);
    return {
      name: receiverName(subscription, type),
      ...(description === undefined ? {} : { description }),
      ...(hasExample(subscription, type, eventTypes) ? { body: prettyJson(body) ?? body } : {}),
    };
  });
}

interface ExampleRequest {
  readonly secret: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** A request as this subscription gets it, signed with a secret that is nobody's. */
function exampleRequest(
  subscription: Subscription,
  eventTypes: Config["eventTypes"],
): ExampleRequest {
  const types = exampleTypes(subscription, eventTypes);
  const type = types.find((one) => hasExample(subscription, one, eventTypes)) ?? types[0] ??
    "bellhook.test";
  const event = exampleEvent(subscription, type, { eventTypes, at: EXAMPLE_AT });
  const body = renderBody(formatOf(subscription), event);
  const secret = exampleSecret(subscription);
  const { secret: own, previousSecret: _, ...rest } = subscription;
  const headers = headersFor({
    subscription: own === undefined ? rest : { ...rest, secret: new Secret(secret) },
    event,
    body: new TextEncoder().encode(body),
    at: EXAMPLE_AT,
  });
  return { secret, body, headers: redact(headers) };
}

/** In the form of the real one, so that the example is made just so. */
function exampleSecret({ secret, profile }: Subscription): string {
  const isText = profile.secretForm === "text" ||
    (profile.secretForm === "either" && !/^wh(sec|sk)_/.test(secret?.reveal() ?? ""));
  return isText ? EXAMPLE_TEXT : `whsec_${Buffer.from(EXAMPLE_TEXT).toString("base64")}`;
}

function meaningOf(name: string, { profile, headers }: Subscription): string {
  const known: Readonly<Record<string, string>> = {
    "content-type": "The body is JSON in UTF-8.",
    "user-agent": "Who asks.",
    "webhook-id": "The same for every attempt of an event: what you know already, answer with " +
      "success and leave alone.",
    "webhook-timestamp": "When this attempt was made, in Unix seconds.",
    "webhook-signature": "The signature of Standard Webhooks, over id, timestamp and body.",
    "idempotency-key": "The same for every attempt of an event.",
  };
  const lower = name.toLowerCase();
  if (lower === profile.signature?.header.toLowerCase()) return "The signature over the body.";
  if (headers.some(([own]) => own.toLowerCase() === lower)) return "Agreed upon with you.";
  return known[lower] ?? "Of this format.";
}

function verificationOf(
  subscription: Subscription,
  scheme: Scheme | undefined,
  example: ExampleRequest,
): Verification {
  if (!scheme) {
    return { sentences: [notShown(subscription)], samples: [] };
  }
  const sentences = [
    "Check the signature before you believe a request, over the bytes of the body as they came: " +
    "a JSON parser in between may change them.",
    ...sentencesOn(scheme, subscription),
  ];
  return {
    sentences,
    samples: samplesFor(scheme),
    ...(scheme.kind === "ed25519" ? {} : { example }),
  };
}

function notShown({ secret, profile }: Subscription): string {
  if (!secret) {
    return "Requests are not signed. Take them only on an address that nobody else knows, or " +
      "behind a check of your own.";
  }
  const rule = profile.signature;
  if (!rule) return "Requests are not signed.";
  return `Requests are signed in the header ${rule.header}: HMAC-${rule.algorithm.toUpperCase()}, ` +
    `${rule.encoding}, over "${rule.over}", written as "${rule.value}".`;
}

function sentencesOn(scheme: Scheme, { profile, standardHeaders }: Subscription): string[] {
  if (scheme.kind === "ed25519") {
    return [
      `The public key is ${scheme.publicKey}; it is no secret. The signature is one of ` +
      'Standard Webhooks, of version "v1a" (Ed25519); libraries for it exist in every language.',
      "Requests older than five minutes are refused: somebody may have caught them.",
    ];
  }
  const handed = "The secret was handed to you apart from this page.";
  if (scheme.kind === "standard") {
    return [
      handed,
      "The signature is one of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 " +
      'over "ID.TIMESTAMP.BODY"; libraries for it exist in every language. ' +
      (scheme.key === "base64"
        ? 'What follows "whsec_" in the secret is Base64 of the key.'
        : "The key is the secret's own bytes."),
      "Requests older than five minutes are refused: somebody may have caught them.",
    ];
  }
  const reserialised = scheme.over.some((piece) =>
    piece.kind === "body" && piece.form === "reserialised"
  );
  return [
    handed,
    ...(reserialised
      ? [
        "What is signed is the body after JSON.stringify(JSON.parse(body)). That is the body " +
        "itself, unless it holds numbers that JavaScript would write differently (as 1.10) or " +
        "keys that are numbers. Only JavaScript makes that text" +
        (standardHeaders
          ? ", so the samples in other languages check webhook-signature, which covers every body."
          : "."),
      ]
      : []),
    ...(standardHeaders && profile.signature
      ? [
        "Every request also carries webhook-id, webhook-timestamp and webhook-signature of " +
        "Standard Webhooks, keyed with the same secret: they let you refuse old requests too.",
      ]
      : []),
  ];
}

function answering({ success, timeoutMs, waitForConfirmation }: Subscription): string[] {
  if (!waitForConfirmation) {
    return [
      "Each event is sent once. Your answer is kept on record and not acted on.",
      `Answer within ${formatDuration(timeoutMs)}; the connection is closed then.`,
    ];
  }
  return [
    `Answer with ${statusText(success)} once you have stored the event.`,
    `Answer within ${formatDuration(timeoutMs)}, connecting and sending included: answer first, ` +
    "work afterwards.",
    `What you write into the body helps us to help you: up to ${
      formatSize(MAX_RESPONSE_BYTES)
    } of it are kept for our operators.`,
    "Redirects are not followed.",
    "429 or 503 with Retry-After postpones the next attempt, by a day at the most.",
    "410 Gone stops everything: nothing more is sent until our operators hear from you.",
  ];
}

function statusText(success: StatusRanges): string {
  const parts = success.map(([from, to]) => {
    if (from === to) return `exactly ${from}`;
    return from % 100 === 0 && to === from + 99 ? `any ${from / 100}xx` : `${from} to ${to}`;
  });
  return parts.join(", or ");
}

function failing({ ladder, jitter, waitForConfirmation }: Subscription): string[] {
  if (!waitForConfirmation) {
    return ["What does not reach you is not sent again by itself; our operators can."];
  }
  return [
    ladderText(ladder, jitter),
    "After the last attempt the event is given up for you, and our operators are told. They can " +
    "send it again.",
    "New events go on being sent meanwhile.",
  ];
}

function ladderText({ waitsMs, thenEveryMs, forMs }: Ladder, jitter: number): string {
  if (waitsMs.length === 0 && thenEveryMs === undefined) return "There is one attempt alone.";
  const waits = waitsMs.map(formatDuration).join(", ");
  const then = thenEveryMs === undefined
    ? ""
    : `${waits === "" ? "" : ", then "}every ${formatDuration(thenEveryMs)} for ${
      formatDuration(forMs!)
    }`;
  const late = jitter > 0 ? `, each up to ${Math.round(jitter * 100)} % longer` : "";
  return `An attempt that fails is repeated after ${waits}${then}, counted from the end of the ` +
    `attempt before${late}. Any other answer than the one above is a failure, and so is none.`;
}

function repeating({ standardHeaders, profile }: Subscription): string[] {
  const id = standardHeaders
    ? "webhook-id"
    : profile.headers.find(([, template]) => /\{(uuid|id)\}/.test(template))?.[0];
  return [
    "An event can come more than once: an answer may get lost on its way back." +
    (id === undefined ? "" : ` ${id} tells you which you know already.`),
    "Events can come in another order than they happened in" +
    (profile.body.some(([, value]) => value.kind === "from" && value.source === "timestamp")
      ? "; the body's timestamp says when."
      : "."),
    `The body of an event is the same, byte for byte, in every attempt.`,
  ];
}

/** When the example was made, for those who check its age. */
export const EXAMPLE_MADE = formatInstant(EXAMPLE_AT);
