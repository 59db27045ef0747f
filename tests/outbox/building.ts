import type { Attempt, Outcome } from "../../src/domain/attempt.ts";
import type { Event } from "../../src/domain/event.ts";
import type { Instant } from "../../src/domain/instant.ts";
import type { Claim, Enqueued, NewDelivery, NewEvent, Recording } from "../../src/outbox/outbox.ts";

/** An ordinary afternoon: the tests' instants count from here. */
export const NOON: Instant = Date.UTC(2024, 2, 15, 12);

let lastId = 0;

export function anEvent(overrides: Partial<Event> = {}): Event {
  return {
    id: `evt_${++lastId}`,
    type: "booking.created",
    occurredAt: NOON,
    scope: new Map([["venue_id", "42"]]),
    data: '{"total":1.10}',
    ...overrides,
  };
}

export function aDelivery(overrides: Partial<NewDelivery> = {}): NewDelivery {
  return {
    subscription: "crm",
    format: '{"profile":"standard"}',
    cause: "event",
    claim: false,
    ...overrides,
  };
}

export function aNewEvent(overrides: Partial<NewEvent> = {}): NewEvent {
  return { event: anEvent(), deliveries: [aDelivery()], ...overrides };
}

/** 16 bytes that are the same for the same number. */
export function aHash(of: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(16).fill(of);
}

export function answered(status: number): Outcome {
  return {
    kind: "answered",
    status,
    headers: [["Content-Type", "text/plain"]],
    body: new TextEncoder().encode("seen"),
    truncated: false,
    remoteAddress: "203.0.113.7",
  };
}

export function anAttempt(overrides: Partial<Attempt> = {}): Attempt {
  return {
    number: 1,
    startedAt: NOON,
    durationMs: 12,
    result: "success",
    url: "https://crm.example/hooks",
    requestHeaders: [["webhook-id", "evt_1"], ["Authorization", "[redacted]"]],
    outcome: answered(200),
    ...overrides,
  };
}

/** A successful attempt, as the dispatcher records it. */
export function delivered(claim: Claim, at: Instant): Recording {
  const attempt = anAttempt({ number: claim.delivery.attemptCount + 1, startedAt: at - 12 });
  return { claim, attempt, verdict: { kind: "delivered" }, at };
}

/** A failed attempt that is to be repeated. */
export function toRetry(claim: Claim, { at, dueAt }: { at: Instant; dueAt: Instant }): Recording {
  const attempt = anAttempt({
    number: claim.delivery.attemptCount + 1,
    startedAt: at - 12,
    result: "failure",
    outcome: answered(503),
  });
  return { claim, attempt, verdict: { kind: "retry", dueAt }, at };
}

/** The last failed attempt. */
export function exhausted(claim: Claim, at: Instant): Recording {
  const attempt = anAttempt({
    number: claim.delivery.attemptCount + 1,
    startedAt: at - 12,
    result: "failure",
    outcome: { kind: "failed", error: { kind: "timeout", message: "no answer within 30s" } },
  });
  return { claim, attempt, verdict: { kind: "exhausted", reason: "the last attempt failed" }, at };
}

export function accepted(enqueued: Enqueued): Enqueued & { kind: "accepted" } {
  if (enqueued.kind !== "accepted") throw new Error(`not accepted, but ${enqueued.kind}`);
  return enqueued;
}
