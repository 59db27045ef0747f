import type {
  Attempt,
  FailureKind,
  Headers,
  LastResult,
  Outcome,
  Response,
} from "../../domain/attempt.ts";
import type { Delivery, DeliveryCause } from "../../domain/delivery.ts";
import type { Event, Scope } from "../../domain/event.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { JsonText } from "../../domain/json_text.ts";
import type { StoredEvent } from "../reader.ts";
import { type Bytes, bytesToScope, toText } from "./bytes.ts";
import { DAMAGED, isJson } from "./damage.ts";
import { GONE } from "../../domain/verdict.ts";
import { deliveryId } from "../ids.ts";
import { STATE_FILTERS, STATES } from "./schema.ts";

/** What EVENT_BY_SEQ selects. */
export interface EventRow {
  readonly seq: number;
  readonly id: Bytes;
  readonly type: Bytes;
  readonly occurred_at: Instant;
  readonly accepted_at: Instant;
  readonly publisher: Bytes | null;
  readonly scope: Bytes | null;
  readonly metadata: Bytes | null;
  readonly data: Bytes;
  readonly trace: string | null;
  readonly sent_as: Bytes | null;
}

export const EVENT_BY_SEQ = `
  select e.seq, e.id, t.name as type, e.occurred_at, e.accepted_at, e.publisher, e.scope,
    e.metadata, e.data, e.trace, e.sent_as
  from events e join types t on t.id = e.type where e.seq = ?`;

export function eventFromRow(row: EventRow): Event {
  return {
    id: toText(row.id),
    type: toText(row.type),
    occurredAt: row.occurred_at,
    scope: soundScope(row.scope),
    data: soundJson(row.data),
    ...(row.metadata === null ? {} : { metadata: soundJson(row.metadata) }),
    ...(row.trace === null ? {} : { trace: row.trace }),
    ...(row.sent_as === null ? {} : { sentAs: toText(row.sent_as) }),
  };
}

/** What is shown of JSON: where it is none any more, a text that says so. */
function soundJson(bytes: Bytes): JsonText {
  const text = toText(bytes);
  return isJson(text) ? text : JSON.stringify(DAMAGED);
}

function soundScope(bytes: Bytes | null): Scope {
  return bytes === null || isJson(toText(bytes)) ? bytesToScope(bytes) : new Map();
}

/** Pairs, or the values alone of headers whose names are stored apart. */
function soundHeaders(bytes: Bytes, names: Bytes | null): Headers {
  const text = toText(bytes), namesText = names && toText(names);
  if (!isJson(text) || namesText !== null && !isJson(namesText)) return [["damaged", DAMAGED]];
  if (namesText === null) return JSON.parse(text);
  const values: string[] = JSON.parse(text);
  return (JSON.parse(namesText) as string[]).map((name, index) => [name, values[index] ?? DAMAGED]);
}

export function storedEventFromRow(row: EventRow): StoredEvent {
  return {
    ...eventFromRow(row),
    acceptedAt: row.accepted_at,
    ...(row.publisher === null ? {} : { publisher: toText(row.publisher) }),
  };
}

/** What DELIVERY_BY_SEQ selects. */
export interface DeliveryRow {
  readonly seq: number;
  readonly event: number;
  readonly event_id: Bytes;
  readonly event_sent_as: Bytes | null;
  readonly type: Bytes;
  readonly subscription: Bytes;
  readonly format: number;
  readonly cause: DeliveryCause;
  readonly state: number;
  readonly reason: Bytes | null;
  readonly last_status: number | null;
  readonly attempt_count: number;
  readonly due_at: Instant | null;
  readonly created_at: Instant;
  readonly finished_at: Instant | null;
  readonly redelivery_of: string | null;
}

export const DELIVERY_BY_SEQ = `
  select d.seq, d.event, e.id as event_id, e.sent_as as event_sent_as, t.name as type,
    s.name as subscription, d.format, d.cause, d.state, d.reason, d.last_status, d.attempt_count, d.due_at, d.created_at,
    d.finished_at, d.redelivery_of
  from deliveries_now d
    join events e on e.seq = d.event
    join types t on t.id = d.type
    join subscriptions s on s.id = d.subscription
  where d.seq = ?`;

/** What domain's isInState() says of a row of deliveries; `:state` is null where any will do. */
export function isInState(row: string): string {
  const gone = `${row}.state = 3 and ${row}.reason = cast('${GONE}' as blob)`;
  return `(:state is null or ${row}.state = :state
    or :state = ${STATE_FILTERS.indexOf("failed")} and (${row}.state = 2 or ${gone}))`;
}

/** What LAST_RESULT selects. */
export interface LastResultRow {
  readonly last_result_at: Instant | null;
  readonly last_status: number | null;
  readonly last_error_kind: FailureKind | null;
  readonly last_error_message: Bytes | null;
}

/**
 * What the last attempt of a delivery came to: one look-up by its number, which is the count of them.
 * An error's kind and message come after the answer's body in the row, and mostly there is but one.
 */
export const LAST_RESULT = `
  select started_at + duration_ms as last_result_at, status as last_status,
    error_kind as last_error_kind, error_message as last_error_message
  from attempts where delivery = ? and number = ?`;

export function lastResultFromRow(row: LastResultRow): LastResult | undefined {
  if (row.last_result_at === null) return undefined;
  return {
    at: row.last_result_at,
    ...(row.last_status === null ? {} : { status: row.last_status }),
    ...(row.last_error_kind === null ? {} : {
      error: { kind: row.last_error_kind, message: toText(row.last_error_message!) },
    }),
  };
}

/** `last` is undefined where nothing was attempted, or the attempt can't be read any more. */
export function deliveryFromRow(row: DeliveryRow, last: LastResultRow | undefined): Delivery {
  const lastResult = last && lastResultFromRow(last);
  return {
    id: deliveryId({ createdAt: row.created_at, seq: row.seq }),
    eventId: toText(row.event_id),
    ...(row.event_sent_as === null ? {} : { eventSentAs: toText(row.event_sent_as) }),
    type: toText(row.type),
    subscription: toText(row.subscription),
    cause: row.cause,
    state: STATES[row.state]!,
    ...(row.reason === null ? {} : { reason: toText(row.reason) }),
    ...(row.last_status === null ? {} : { lastStatus: row.last_status }),
    attemptCount: row.attempt_count,
    ...(row.due_at === null ? {} : { dueAt: row.due_at }),
    createdAt: row.created_at,
    ...(row.finished_at === null ? {} : { finishedAt: row.finished_at }),
    ...(row.redelivery_of === null ? {} : { redeliveryOf: row.redelivery_of }),
    ...(lastResult === undefined ? {} : { lastResult }),
  };
}

/** What ATTEMPTS_OF selects. */
export interface AttemptRow {
  readonly number: number;
  readonly started_at: Instant;
  readonly duration_ms: number;
  readonly succeeded: number;
  readonly url: Bytes;
  readonly request_names: Bytes | null;
  readonly request_headers: Bytes;
  readonly remote_address: Bytes | null;
  readonly status: number | null;
  readonly response_names: Bytes | null;
  readonly response_headers: Bytes | null;
  readonly response_body: Bytes | null;
  readonly truncated: number | null;
  readonly error_kind: FailureKind | null;
  readonly error_message: Bytes | null;
}

export const ATTEMPTS_OF = `
  select a.number, a.started_at, a.duration_ms, a.succeeded, coalesce(a.url, u.name, x'') as url,
    s.name as request_names, a.request_headers, a.remote_address, a.status,
    r.name as response_names, a.response_headers, a.response_body, a.truncated, a.error_kind,
    a.error_message
  from attempts a
    left join urls u on u.id = a.url_number
    left join header_names s on s.id = a.request_names
    left join header_names r on r.id = a.response_names
  where a.delivery = ? order by a.number`;

export function attemptFromRow(row: AttemptRow): Attempt {
  return {
    number: row.number,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    result: row.succeeded ? "success" : "failure",
    url: toText(row.url),
    requestHeaders: soundHeaders(row.request_headers, row.request_names),
    outcome: outcomeFromRow(row),
  };
}

function outcomeFromRow(row: AttemptRow): Outcome {
  const remote = row.remote_address === null ? {} : { remoteAddress: toText(row.remote_address) };
  const response = responseFromRow(row);
  if (row.error_kind === null) return { kind: "answered", ...response!, ...remote };
  const error = { kind: row.error_kind, message: toText(row.error_message!) };
  return { kind: "failed", error, ...(response && { response }), ...remote };
}

function responseFromRow(row: AttemptRow): Response | undefined {
  if (row.status === null) return undefined;
  const headers = soundHeaders(row.response_headers!, row.response_names);
  const packing = headers.find(([name]) => name.toLowerCase() === "content-encoding")?.[1];
  return {
    status: row.status,
    headers,
    body: row.response_body!,
    truncated: (row.truncated! & TRUNCATED) !== 0,
    ...((row.truncated! & PACKED) !== 0 && { packing: packing ?? "" }),
  };
}

/** What the column `truncated` holds: its name is older than the second. */
const TRUNCATED = 1, PACKED = 2;

/** How a body that is kept differs from the one that the receiver meant. */
export function extentOf({ truncated, packing }: Response): number {
  return (truncated ? TRUNCATED : 0) | (packing === undefined ? 0 : PACKED);
}

/** What HEALTH selects. */
export interface HealthRow extends LastResultRow {
  readonly subscription: Bytes;
  readonly failing_since: Instant | null;
  readonly paused_at: Instant | null;
  readonly paused_reason: Bytes | null;
  readonly last_success_at: Instant | null;
  readonly consecutive_failures: number;
  readonly failures_since: Instant | null;
  readonly changed_at: Instant | null;
}

export function healthFromRow(row: Omit<HealthRow, "subscription">): Health {
  const lastResult = lastResultFromRow(row);
  return {
    ...(row.failing_since === null ? {} : { failingSince: row.failing_since }),
    ...(row.paused_at === null ? {} : { pausedAt: row.paused_at }),
    ...(row.paused_reason === null ? {} : { pausedReason: toText(row.paused_reason) }),
    ...(row.last_success_at === null ? {} : { lastSuccessAt: row.last_success_at }),
    consecutiveFailures: row.consecutive_failures,
    ...(row.failures_since === null ? {} : { failuresSince: row.failures_since }),
    ...(lastResult === undefined ? {} : { lastResult }),
    ...(row.changed_at === null ? {} : { changedAt: row.changed_at }),
  };
}

/** When attempts last succeeded, by subscription, and with which status; the caller says of which. */
export const LAST_SUCCESSES = `
  select d.subscription, max(a.started_at + a.duration_ms) as last_at, a.status
  from attempts a cross join deliveries d on d.seq = a.delivery
  where a.state = 1 and a.succeeded = 1`;

/** Those of them that the table health does not know of yet. */
const NEW_SUCCESSES = `
  ${LAST_SUCCESSES} and a.seq > (select attempt from rolled_up) group by d.subscription`;

/** Whether such a success came after what is stored as the last attempt; null where there is none. */
const IS_LATER = "n.last_at > coalesce(h.last_result_at, -1)";

export const HEALTH = `
  select s.name as subscription, h.failing_since, h.paused_at, h.paused_reason,
    max(coalesce(h.last_success_at, n.last_at), coalesce(n.last_at, h.last_success_at))
      as last_success_at,
    h.consecutive_failures, h.failures_since, h.changed_at,
    iif(${IS_LATER}, n.last_at, h.last_result_at) as last_result_at,
    iif(${IS_LATER}, n.status, h.last_status) as last_status,
    iif(${IS_LATER}, null, h.last_error_kind) as last_error_kind,
    iif(${IS_LATER}, null, h.last_error_message) as last_error_message
  from health h join subscriptions s on s.id = h.subscription
    left join (${NEW_SUCCESSES}) n on n.subscription = h.subscription`;

/** Pending deliveries by subscription. */
export const PENDING_COUNTS = `
  select subscription, sum(n) as n from (
    select subscription, count(*) as n from pending indexed by pending_due group by subscription
    union all
    select subscription, 1 as n from newly_pending
  ) group by subscription`;
