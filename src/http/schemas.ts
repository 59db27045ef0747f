import * as z from "zod";
import { parseInstant } from "../domain/instant.ts";
import { MAX_EVENTS, postedEventSchema } from "../ingest/posted_event.ts";

/**
 * What the API takes and gives. The routes validate with the request schemas, the tests hold every
 * answer against the response schemas, and the OpenAPI document is made from both.
 */

const instant = z.string().describe("RFC 3339 in UTC").meta({ format: "date-time" });

const instantQuery = z.string().refine((text) => parseInstant(text) !== undefined, {
  error: 'must be an RFC 3339 instant, as in "2024-03-15T10:30:00Z"',
}).describe("RFC 3339 instant").meta({ format: "date-time" });

/** A number in a query: digits alone, where `Number` would take `0x10`, `1e2` and ` 5 ` as well. */
function wholeNumber(least: number, most: number) {
  return z.preprocess((text, context) => {
    if (/^\d+$/.test(String(text))) return Number(text);
    context.addIssue("must be a whole number");
  }, z.number().int().min(least).max(most));
}

const deliveryState = z.enum(["pending", "delivered", "exhausted", "cancelled"]);

const FAILED = "`failed`: those that failed for good, exhausted or cancelled by the receiver's 410";

/** Lists: newest first, `limit` at a time; `cursor` is a page's `next`. */
export const pageQuery = z.strictObject({
  limit: wholeNumber(1, 500).prefault(50).describe("Items a page, at most 500"),
  cursor: z.string().max(200).optional().describe("The `next` of the page before"),
});

const searched = z.string().min(1).max(200).optional().describe(
  "The beginning of an id, a subscription or a type, or a text anywhere in the event's data, " +
    "scope or metadata; of letters in a text the case does not matter",
);

export const eventsQuery = pageQuery.extend({
  type: z.string().optional().describe("Exactly this event type"),
  since: instantQuery.optional().describe("Accepted at or after"),
  until: instantQuery.optional().describe("Accepted before"),
  q: searched,
});

export const eventQuery = z.strictObject({
  publisher: z.string().optional().describe(
    "Only this publisher's event; empty: the one posted by an operator or without a token",
  ),
});

export const deliveriesQuery = pageQuery.extend({
  state: z.enum([...deliveryState.options, "failed"]).optional()
    .describe(`Only deliveries in this state; ${FAILED}`),
  subscription: z.string().optional(),
  type: z.string().optional().describe("Exactly this event type"),
  event: z.string().optional()
    .describe(
      "The event's id, as it was posted or as receivers get it; several events may have the same",
    ),
  status: wholeNumber(100, 999).optional()
    .describe("The status of the last answer"),
  since: instantQuery.optional().describe("Created at or after"),
  until: instantQuery.optional().describe("Created before"),
  q: searched,
});

export const historyQuery = pageQuery.extend({
  subscription: z.string().optional(),
  delivery: z.string().optional().describe("The delivery's id"),
});

export const reloadQuery = z.strictObject({
  dryRun: z.enum(["true", "false"]).default("false").describe("Only say what would change"),
});

export const testRequest = z.strictObject({
  type: postedEventSchema.shape.type.optional()
    .describe("The event type; the profile's first example"),
  data: z.json().optional().describe("The event's data; the profile's example"),
});

export const replayRequest = z.strictObject({
  subscription: z.string().optional(),
  type: z.string().optional().describe("Exactly this event type"),
  state: z.enum(["pending", "delivered", "exhausted", "cancelled", "failed"]).optional()
    .describe(
      `Only deliveries that ended so; all finished ones where left out. ${FAILED} ` +
        "Pending ones become due now; no new deliveries are made of them",
    ),
  action: z.enum(["send", "cancel"]).optional()
    .describe("cancel ends what is pending instead: with it, state is pending or left out"),
  since: instantQuery.describe("Deliveries created at or after"),
  until: instantQuery.optional().describe("… and before; now where left out"),
  dryRun: z.boolean().default(false).describe("Only count"),
}).describe("Which deliveries to send again or now, or to cancel");

export const receipt = z.object({
  id: z.string().describe("The event's id"),
  deliveries: z.array(z.object({ id: z.string(), subscription: z.string() })),
}).describe("An event that is stored, and who gets it");

const SENT_AS =
  "The id that receivers get for the event, where another event already had the same id";

/** Why there was no answer, or none to its end. */
const failure = z.object({
  kind: z.enum(["dns", "connect", "tls", "timeout", "reset", "blocked", "protocol"]),
  message: z.string(),
});

const lastResult = z.object({
  at: instant.describe("When the attempt ended"),
  status: z.number().int().optional().describe(
    "The status of the answer; beside an `error` where the answer broke off in its body",
  ),
  error: failure.optional().describe("Why there was no answer, or none to its end"),
});

export const delivery = z.object({
  id: z.string(),
  event: z.string().describe("The event's id"),
  sentAs: z.string().optional().describe(SENT_AS),
  type: z.string(),
  subscription: z.string(),
  state: deliveryState,
  reason: z.string().optional().describe("Why it ended as it did; none while it is pending"),
  held: z.boolean().describe("Pending, and its subscription is paused, disabled or removed"),
  attemptCount: z.number().int(),
  nextAttemptAt: instant.optional(),
  createdAt: instant,
  finishedAt: instant.optional(),
  redeliveryOf: z.string().optional(),
  lastResult: lastResult.optional()
    .describe("What the last attempt came to; none before the first"),
}).describe("One event for one subscription");

export const attempt = z.object({
  number: z.number().int().min(1),
  startedAt: instant,
  durationMs: z.number().int(),
  result: z.enum(["success", "failure"]),
  status: z.number().int().optional().describe(
    "The status of the answer; beside an `error` where the answer broke off in its body",
  ),
  error: failure.optional().describe("Why there was no answer, or none to its end"),
  diagnosis: z.string().optional().describe("What a failure means and what to do about it"),
  remoteAddress: z.string().optional(),
  request: z.object({
    url: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.string(),
  }),
  response: z.object({
    headers: z.record(z.string(), z.string()),
    body: z.string().describe("Unpacked, where it came as gzip, deflate or br"),
    truncated: z.boolean().describe("Whether there was more than is kept"),
    note: z.string().optional().describe("Why the body is shown as it came, packed"),
  }).optional(),
}).describe("One HTTP request of a delivery");

export const deliveryWithAttempts = delivery.extend({ attempts: z.array(attempt) });

export const storedEvent = z.object({
  id: z.string(),
  type: z.string(),
  timestamp: instant,
  scope: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  data: z.json(),
  metadata: z.json().optional(),
  acceptedAt: instant,
  publisher: z.string().optional().describe(
    "Who posted it; left out for operators and posts without a token",
  ),
  sentAs: z.string().optional().describe(SENT_AS),
});

export const eventWithDeliveries = storedEvent.extend({
  sameId: z.array(z.object({
    publisher: z.string().optional(),
    source: z.string().optional().describe("Of a CloudEvent"),
    sentAs: z.string().optional().describe("GET /v1/events/{id} finds the event by this id too"),
  })).optional().describe("Up to 20 events with the same id from other publishers or sources"),
  deliveries: z.array(delivery),
});

export const health = z.object({
  state: z.enum(["healthy", "failing", "paused", "disabled"]),
  since: instant.optional(),
  reason: z.string().optional(),
  answering: z.boolean().describe(
    "False from the third failed attempt in a row on, or from the first if none ever succeeded; " +
      "true again after a success",
  ),
  failuresSince: instant.optional().describe(
    "When the first of the failed attempts in a row ended",
  ),
  lastSuccessAt: instant.optional(),
  lastResult: lastResult.optional()
    .describe("What the last attempt of any delivery came to; none before the first"),
  consecutiveFailures: z.number().int().describe("Failed attempts since the last success"),
  pending: z.number().int(),
});

export const subscription = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string().optional(),
  profile: z.string(),
  events: z.array(z.string()),
  enabled: z.boolean(),
  config: z.record(z.string(), z.json()).describe("All settings in force, secrets left out"),
  health,
  counts: z.object({
    pending: z.number().int(),
    delivered: z.number().int(),
    exhausted: z.number().int(),
    cancelled: z.number().int(),
  }).describe("Deliveries on record, by state"),
});

export const matchAnswer = z.object({
  matches: z.array(z.object({
    subscription: z.string(),
    type: z.string().describe("The name the receiver knows the event by"),
    held: z.boolean(),
  })),
  others: z.array(z.object({
    subscription: z.string(),
    rule: z.enum(["events", "scope", "match", "catalogue", "admission"]),
    why: z.string(),
  })),
});

export const replay = z.object({
  id: z.string(),
  action: z.enum(["send", "cancel"]),
  state: z.enum(["running", "finished", "stopped"]),
  total: z.number().int().describe("Deliveries that the filter found"),
  done: z.number().int().describe(
    "Deliveries sent, retried or cancelled; fewer than total in the end where it was stopped, others " +
      "were faster, or a subscription holds its deliveries",
  ),
  perSecond: z.number().int().optional().describe("How many a second, so far"),
  createdAt: instant,
  finishedAt: instant.optional(),
});

export const historyEntry = z.object({
  at: instant,
  kind: z.enum([
    "failing",
    "recovered",
    "paused",
    "resumed",
    "retried",
    "cancelled",
    "replayed",
    "tested",
    "reloaded",
    "rejected",
    "signed in",
    "signed out",
  ]),
  subscription: z.string().optional(),
  delivery: z.string().optional(),
  cause: z.string().describe("Why, or what was done, for people"),
  by: z.string().optional().describe("The operator who did it; left out where nobody did"),
  address: z.string().optional().describe(
    "Where the operator's request came from; `unix` for a Unix socket",
  ),
}).describe("What happened, or who did what");

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
}).describe("RFC 9457");

export const testAnswer = z.object({ event: z.string(), delivery: z.string() });
export const replayAnswer = z.object({ id: z.string() });
export const countAnswer = z.object({ count: z.number().int() });

export const reloadReport = z.object({
  kind: z.literal("reloaded"),
  added: z.array(z.string()),
  changed: z.array(z.string()),
  removed: z.array(z.string()),
  settings: z.array(z.string()),
  needsRestart: z.array(z.string()),
  changes: z.array(z.string()),
  warnings: z.array(z.string()),
});

export const postedEvents = z.union([
  postedEventSchema,
  z.array(postedEventSchema).min(1).max(MAX_EVENTS),
]);

/** How far back a search has looked. */
export const progress = z.object({
  backTo: instant,
  rows: z.number().int().describe("About so many rows are passed"),
  of: z.number().int().describe("… of those that there are in the time that was asked for"),
}).describe("How far back a search has looked that goes on with `next`");

/** A page of a list that can be searched. */
export function searchedPageOf<Item extends z.ZodType>(item: Item) {
  return pageOf(item).extend({ searched: progress.optional() });
}

/** A page of a list. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}
