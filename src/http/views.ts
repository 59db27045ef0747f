import {
  type Attempt,
  type Headers,
  type LastResult,
  packingNote,
  responseOf,
} from "../domain/attempt.ts";
import { shownSettings } from "../config/settings.ts";
import { type Delivery, endReason } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import { type Health, healthState, isAnswering } from "../domain/health.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import {
  canonicalScalar,
  type ExactValue,
  type JsonText,
  NumberText,
  parseExact,
  plainScalar,
} from "../domain/json_text.ts";
import { Secret } from "../domain/secret.ts";
import type { Operator, Subscription, ValueTest } from "../domain/subscription.ts";
import type { Page, StoredEvent } from "../outbox/reader.ts";

/** The API's JSON for domain objects. Built as text where numbers must keep their digits. */

/** Whether the subscription's deliveries wait, because it is paused, disabled or removed. */
export type IsHeld = (subscription: string) => boolean;

export function deliveryView(delivery: Delivery, isHeld: IsHeld) {
  const pending = delivery.state === "pending";
  const held = pending && delivery.cause !== "test" && isHeld(delivery.subscription);
  return {
    id: delivery.id,
    event: delivery.eventId,
    ...given("sentAs", delivery.eventSentAs),
    type: delivery.type,
    subscription: delivery.subscription,
    state: delivery.state,
    ...given("reason", endReason(delivery)),
    held,
    attemptCount: delivery.attemptCount,
    ...instantOf("nextAttemptAt", pending && !held ? delivery.dueAt : undefined),
    createdAt: formatInstant(delivery.createdAt),
    ...instantOf("finishedAt", delivery.finishedAt),
    ...given("redeliveryOf", delivery.redeliveryOf),
    ...given("lastResult", lastResultView(delivery.lastResult)),
  };
}

function lastResultView(result: LastResult | undefined) {
  return result && {
    at: formatInstant(result.at),
    ...given("status", result.status),
    ...given("error", result.error),
  };
}

/** The progress of a list's search. */
export function searchedView({ searched }: Page<unknown>) {
  if (searched === undefined) return {};
  return { searched: { ...searched, backTo: formatInstant(searched.backTo) } };
}

export function attemptView(attempt: Attempt, { body, diagnosis }: {
  body: string;
  diagnosis: string | undefined;
}) {
  const { outcome } = attempt;
  const response = responseOf(outcome);
  return {
    number: attempt.number,
    startedAt: formatInstant(attempt.startedAt),
    durationMs: attempt.durationMs,
    result: attempt.result,
    ...given("status", response?.status),
    ...(outcome.kind === "failed" && { error: outcome.error }),
    ...given("diagnosis", diagnosis),
    ...given("remoteAddress", outcome.remoteAddress),
    request: { url: attempt.url, headers: headersView(attempt.requestHeaders), body },
    ...(response && {
      response: {
        headers: headersView(response.headers),
        body: new TextDecoder().decode(response.body),
        truncated: response.truncated,
        ...given("note", packingNote(response)),
      },
    }),
  };
}

/** Headers by name. Repeated headers are joined, as RFC 9110 allows. */
function headersView(headers: Headers): Record<string, string> {
  const view = new Map<string, string>();
  for (const [name, value] of headers) {
    const before = view.get(name);
    view.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(view);
}

/** An event as JSON text, with its numbers unchanged and additional members. */
export function eventText(event: StoredEvent, more: Record<string, unknown> = {}): JsonText {
  const members: [string, JsonText | undefined][] = [
    ["id", JSON.stringify(event.id)],
    ["type", JSON.stringify(event.type)],
    ["timestamp", JSON.stringify(formatInstant(event.occurredAt))],
    ["scope", scopeText(event)],
    ["data", event.data],
    ["metadata", event.metadata],
    ["acceptedAt", JSON.stringify(formatInstant(event.acceptedAt))],
    ["publisher", JSON.stringify(event.publisher)],
    ["sentAs", JSON.stringify(event.sentAs)],
    ...Object.entries(more).map(([name, value]): [string, string] => [name, JSON.stringify(value)]),
  ];
  const given = members.filter(([, text]) => text !== undefined);
  return `{${given.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}

function scopeText(event: Event): JsonText {
  return `{${[...event.scope].map(([name, v]) => `${JSON.stringify(name)}:${v}`).join(",")}}`;
}

export function subscriptionView(
  subscription: Subscription,
  { health, counts }: { health: Health; counts: Counts },
) {
  return {
    id: subscription.id,
    url: subscription.url,
    ...given("description", subscription.description),
    profile: subscription.profile.name,
    events: subscription.events.map(({ text }) => text),
    enabled: subscription.enabled,
    config: settingsView(subscription),
    health: healthView(health, { enabled: subscription.enabled, pending: counts.pending }),
    counts,
  };
}

export interface Counts {
  readonly pending: number;
  readonly delivered: number;
  readonly exhausted: number;
  readonly cancelled: number;
}

export function healthView(
  health: Health,
  { enabled, pending }: { enabled: boolean; pending: number },
) {
  return {
    state: healthState(health, enabled),
    ...instantOf("since", health.changedAt),
    ...given("reason", health.pausedReason),
    answering: isAnswering(health),
    ...instantOf("failuresSince", health.failuresSince),
    ...instantOf("lastSuccessAt", health.lastSuccessAt),
    ...given("lastResult", lastResultView(health.lastResult)),
    consecutiveFailures: health.consecutiveFailures,
    pending,
  };
}

/** All settings of a subscription, with defaults. Shows only whether there is a secret. */
export function settingsView(subscription: Subscription) {
  const { previousSecret } = subscription;
  return {
    ...given("contact", subscription.contact),
    scope: Object.fromEntries(
      [...subscription.scope].map(([name, anyOf]) => [name, anyOf.map(scalarView)]),
    ),
    match: Object.fromEntries(
      subscription.match.map(({ path, anyOf }) => [path, anyOf.map(conditionView)]),
    ),
    headers: Object.fromEntries(
      subscription.headers.map(([name, v]) => [name, v instanceof Secret ? "[redacted]" : v]),
    ),
    rename: Object.fromEntries(subscription.rename),
    settings: Object.fromEntries([...subscription.settings].map(([k, v]) => [k, exactView(v)])),
    permissions: subscription.permissions,
    hasSecret: subscription.secret !== undefined,
    ...instantOf("previousSecretUntil", previousSecret?.until),
    ...shownSettings(subscription),
  };
}

function conditionView(test: ValueTest) {
  if (test.kind === "equals") return scalarView(test.value);
  return Object.fromEntries(
    test.operators.map((operator) => [operator.name, operandView(operator)]),
  );
}

function operandView({ name, operand }: Operator) {
  if (operand instanceof NumberText) return scalarView(canonicalScalar(operand.text));
  return name === "!=" ? scalarView(operand) : operand;
}

/** A canonical scalar as a value that JSON.stringify writes with every digit. */
function scalarView(canonical: string): unknown {
  return exactView(plainScalar(canonical));
}

/** A JSON text as a value that JSON.stringify writes with every digit. */
function exactView(text: JsonText): unknown {
  return rawNumbersIn(parseExact(text));
}

function rawNumbersIn(value: ExactValue): unknown {
  if (value instanceof NumberText) {
    const number = Number(value.text);
    return JSON.stringify(number) === value.text ? number : rawJson(value.text);
  }
  if (Array.isArray(value)) return value.map(rawNumbersIn);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, rawNumbersIn(v)]));
}

/** A value that JSON.stringify writes as this text (ECMAScript's JSON.rawJSON). */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };

function instantOf<Name extends string>(name: Name, at: Instant | undefined) {
  return given(name, at === undefined ? undefined : formatInstant(at));
}

function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { [name in Name]?: Value } {
  return value === undefined ? {} : { [name]: value } as { [name in Name]: Value };
}
