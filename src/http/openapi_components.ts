import * as z from "zod";
import { cloudEventSchema, MAX_EVENTS, postedEventSchema } from "../ingest/posted_event.ts";
import {
  attempt,
  countAnswer,
  delivery,
  deliveryWithAttempts,
  eventWithDeliveries,
  health,
  historyEntry,
  matchAnswer,
  pageOf,
  postedEvents,
  problemSchema,
  receipt,
  reloadReport,
  replay,
  replayAnswer,
  replayRequest,
  searchedPageOf,
  storedEvent,
  subscription,
  testAnswer,
  testRequest,
} from "./schemas.ts";

/** A part of the document. */
export type Json = Readonly<Record<string, unknown>>;

/** The schemas that requests are validated with, by their names in the document. */
const REQUESTS = {
  Event: postedEventSchema,
  Events: postedEvents,
  CloudEvent: cloudEventSchema,
  CloudEvents: z.array(cloudEventSchema).min(1).max(MAX_EVENTS),
  TestRequest: testRequest,
  ReplayRequest: replayRequest,
};

/** The schemas of the answers, by their names in the document. */
export const ANSWERS = {
  Receipt: receipt,
  Receipts: z.union([receipt, z.array(receipt)])
    .describe("A receipt for one event, an array of them for an array"),
  StoredEvent: storedEvent,
  EventPage: searchedPageOf(storedEvent),
  EventWithDeliveries: eventWithDeliveries,
  Delivery: delivery,
  DeliveryPage: searchedPageOf(delivery),
  Attempt: attempt,
  DeliveryWithAttempts: deliveryWithAttempts,
  HistoryEntry: historyEntry,
  HistoryPage: pageOf(historyEntry),
  Replay: replay,
  ReplayStarted: replayAnswer,
  Count: countAnswer,
  Health: health,
  Subscription: subscription,
  SubscriptionPage: pageOf(subscription).extend({
    removed: z.array(z.object({ id: z.string(), pending: z.number().int() })).optional()
      .describe("What the config has no more, with the deliveries that it holds"),
  }),
  TestStarted: testAnswer,
  Matches: matchAnswer,
  Healthy: z.object({ status: z.literal("healthy") }),
  Ready: z.object({ status: z.literal("ready") }),
  Reloaded: reloadReport,
  Problem: problemSchema,
};

type SchemaName = keyof typeof REQUESTS | keyof typeof ANSWERS;

/** A reference to a schema of the document. */
export function schemaRef(name: SchemaName): Json {
  return { $ref: `${PREFIX}${name}` };
}

/** `components`: the schemas of requests and answers with examples, problems and authentication. */
export function components(): Json {
  return {
    schemas: { ...describe(REQUESTS, "input"), ...describe(ANSWERS, "output") },
    responses: responses(),
    securitySchemes: SECURITY_SCHEMES,
  };
}

const SECURITY_SCHEMES: Json = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "A token of `auth.operators`, or of `auth.publishers` for `POST /v1/events`. " +
      "Without `auth` in the config none is asked for, and only this machine is served.",
  },
};

/** Who may make a call: everyone, only operators, or publishers too. */
export type Who = "all" | "operators" | "publishers";

/** A call's `security`. Without `auth` it is `{}`: no token is needed. */
export function securityOf(who: Who, hasAuth: boolean): readonly Json[] {
  return who === "all" || hasAuth ? SECURITY[who] : [{}, ...SECURITY[who]];
}

/** For a bearer token, the list names roles (OpenAPI 3.1.1, section 4.8.30). */
const SECURITY: Readonly<Record<Who, readonly Json[]>> = {
  all: [],
  operators: [{ bearer: ["operator"] }],
  publishers: [{ bearer: ["publisher"] }, { bearer: ["operator"] }],
};

/** The parameters of a query's schema. */
export function parametersOf(query: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = property as { description?: string };
    return {
      name,
      in: "query",
      ...(description !== undefined && { description }),
      ...(required.includes(name) && { required: true }),
      schema,
    };
  });
}

/** `components.responses`: the problems by status. */
function responses(): Json {
  return Object.fromEntries(
    PROBLEMS.map(([status, title, detail, more]) => [String(status), {
      description: title,
      content: {
        "application/problem+json": {
          schema: schemaRef("Problem"),
          example: { type: "about:blank", status, title, detail, ...more?.body },
        },
      },
      ...(more?.header !== undefined && {
        headers: {
          [more.header]: { schema: { type: "string" }, example: more.example },
        },
      }),
    }]),
  );
}

type ProblemRow = readonly [
  status: number,
  title: string,
  detail: string,
  more?: { readonly body?: Json; readonly header?: string; readonly example?: string },
];

const PROBLEMS: readonly ProblemRow[] = [
  [400, "Bad Request", "the body cannot be read as JSON: Unexpected end of JSON input"],
  [401, "Unauthorized", "a token is needed: send `Authorization: Bearer TOKEN`", {
    header: "WWW-Authenticate",
    example: 'Bearer realm="bellhook"',
  }],
  [
    403,
    "Forbidden",
    "this is for operators; the token is a publisher's. Use one of auth.operators",
  ],
  [404, "Not Found", 'there is no delivery "dlv_1"; it may have been pruned'],
  [408, "Request Timeout", "the body did not arrive within 30 s"],
  [
    409,
    "Conflict",
    'event "bk_1" is known with other content; nothing was stored. Repeat an event unchanged, or ' +
    "give a new one a new id",
    { body: { errors: [{ path: "id", message: "is taken" }] } },
  ],
  [
    413,
    "Content Too Large",
    "the body is larger than server.maxBody, 256KiB; send fewer events at once, or raise it",
  ],
  [
    415,
    "Unsupported Media Type",
    'Content-Type "text/plain" is not taken; send "application/json", ' +
    '"application/cloudevents+json" or "application/cloudevents-batch+json", in UTF-8',
  ],
  [422, "Unprocessable Content", "the query is not valid", {
    body: {
      errors: [{
        path: "since",
        message: 'must be an RFC 3339 instant, as in "2024-03-15T10:30:00Z"',
      }],
    },
  }],
  [
    429,
    "Too Many Requests",
    'nothing was stored: publisher "booking-app" may post 200/s (its "rate" in the config), ' +
    "and this request would exceed it; try again in 1 s",
    {
      header: "Retry-After",
      example: "1",
    },
  ],
  [500, "Internal Server Error", "a fault inside bellhook; its log says more"],
  [503, "Service Unavailable", "nothing was stored: the daemon is stopping", {
    header: "Retry-After",
    example: "5",
  }],
];

const PREFIX = "#/components/schemas/";

function describe(named: Readonly<Record<string, z.ZodType>>, io: "input" | "output"): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io,
    uri: (id) => PREFIX + id,
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      // For members that are forbidden: data_base64.
      if (zodSchema._zod.def.type === "undefined") jsonSchema.not = {};
      makePlain(jsonSchema, io);
    },
  });
  return Object.fromEntries(
    Object.keys(named).map((name) => {
      const { $schema: _, $id: __, ...schema } = withoutShared(schemas[name]) as Json;
      return [name, { ...schema, examples: [EXAMPLES[name as SchemaName]] }];
    }),
  );
}

/** Removes what is stricter than intended. */
function makePlain(schema: z.core.JSONSchema.BaseSchema, io: "input" | "output"): void {
  // Answers may get more members in a minor version, so clients must accept unknown ones.
  if (io === "output" && schema.additionalProperties === false) delete schema.additionalProperties;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  // A record's keys are always strings.
  const names = schema.propertyNames;
  if (typeof names === "object" && Object.keys(names).join() === "type") {
    delete schema.propertyNames;
  }
}

/** The only recursive schema is the one for any JSON value; `{}` means the same. */
function withoutShared(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutShared);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([name, value]) => name !== "$ref" || !String(value).includes("__shared#"))
      .map(([name, value]) => [name, withoutShared(value)]),
  );
}

const EVENT_ID = "evt_01HS1JB3Y0J7Q1V8W3Z5K2M4N6";
const DELIVERY_ID = "dlv_01HS1JB3Y1R5T9X2C6D8F0G3H7";
const AT = "2024-03-15T10:30:00Z";

const RECEIPT = { id: EVENT_ID, deliveries: [{ id: DELIVERY_ID, subscription: "pms" }] };

const POSTED = {
  id: "bk_12345/created",
  type: "booking.created",
  timestamp: AT,
  scope: { venue_id: "v1" },
  data: { booking_id: "bk_12345", total: 6000 },
};

const CLOUD_EVENT = {
  specversion: "1.0",
  id: "bk_12345/created",
  source: "/bookings",
  type: "booking.created",
  time: AT,
  data: { booking_id: "bk_12345" },
};

const STORED = {
  id: EVENT_ID,
  type: "booking.created",
  timestamp: AT,
  scope: { venue_id: "v1" },
  data: { booking_id: "bk_12345", total: 6000 },
  acceptedAt: "2024-03-15T10:30:00.123Z",
  publisher: "booking-app",
};

const DELIVERY = {
  id: DELIVERY_ID,
  event: EVENT_ID,
  type: "booking.created",
  subscription: "pms",
  state: "pending",
  held: false,
  attemptCount: 1,
  nextAttemptAt: "2024-03-15T10:31:00.456Z",
  createdAt: "2024-03-15T10:30:00.123Z",
  lastResult: { at: "2024-03-15T10:30:00.456Z", status: 503 },
};

const ATTEMPT = {
  number: 1,
  startedAt: "2024-03-15T10:30:00.125Z",
  durationMs: 331,
  result: "failure",
  status: 503,
  diagnosis: "answered 503: the receiver's server is down or overloaded behind its proxy",
  remoteAddress: "203.0.113.7",
  request: {
    url: "https://pms.example/webhooks",
    headers: { "Content-Type": "application/json", "webhook-id": EVENT_ID },
    body: '{"type":"booking.created","timestamp":"2024-03-15T10:30:00Z","data":{}}',
  },
  response: { headers: { "retry-after": "30" }, body: "busy", truncated: false },
};

const HEALTH = {
  state: "failing",
  since: "2024-03-15T10:30:00.456Z",
  answering: false,
  failuresSince: "2024-03-14T18:03:11Z",
  lastSuccessAt: "2024-03-14T18:02:11Z",
  lastResult: {
    at: "2024-03-15T10:30:00.456Z",
    error: { kind: "connect", message: "connection refused by 203.0.113.7:443" },
  },
  consecutiveFailures: 6,
  pending: 1,
};

const SUBSCRIPTION = {
  id: "pms",
  url: "https://pms.example/webhooks",
  description: "The property management system",
  profile: "standard",
  events: ["booking.*"],
  enabled: true,
  config: { hasSecret: true, timeout: "30s", headers: { "X-Api-Key": "[redacted]" } },
  health: HEALTH,
  counts: { pending: 1, delivered: 1204, exhausted: 1, cancelled: 0 },
};

const HISTORY_ENTRY = {
  at: AT,
  kind: "paused",
  subscription: "pms",
  cause: "paused by ada",
  by: "ada",
  address: "203.0.113.9",
};

const EXAMPLES: Readonly<Record<SchemaName, unknown>> = {
  Event: POSTED,
  Events: POSTED,
  CloudEvent: CLOUD_EVENT,
  CloudEvents: [CLOUD_EVENT],
  TestRequest: { type: "booking.created", data: { booking_id: "bk_test" } },
  ReplayRequest: { subscription: "pms", state: "exhausted", since: AT, dryRun: true },
  Receipt: RECEIPT,
  Receipts: RECEIPT,
  StoredEvent: STORED,
  EventPage: { items: [STORED], next: null },
  EventWithDeliveries: { ...STORED, deliveries: [DELIVERY] },
  Delivery: DELIVERY,
  DeliveryPage: { items: [DELIVERY], next: null },
  Attempt: ATTEMPT,
  DeliveryWithAttempts: { ...DELIVERY, attempts: [ATTEMPT] },
  HistoryEntry: HISTORY_ENTRY,
  HistoryPage: { items: [HISTORY_ENTRY], next: null },
  Replay: {
    id: "rpl_01HS1JB3Y2",
    action: "send",
    state: "running",
    total: 240,
    done: 100,
    createdAt: AT,
  },
  ReplayStarted: { id: "rpl_01HS1JB3Y2" },
  Count: { count: 240 },
  Health: HEALTH,
  Subscription: SUBSCRIPTION,
  SubscriptionPage: { items: [SUBSCRIPTION], next: null },
  TestStarted: { event: EVENT_ID, delivery: DELIVERY_ID },
  Matches: {
    matches: [{ subscription: "pms", type: "booking.created", held: false }],
    others: [{
      subscription: "crm",
      rule: "events",
      why: '"booking.created" fits none of "contact.*"',
    }],
  },
  Healthy: { status: "healthy" },
  Ready: { status: "ready" },
  Reloaded: {
    kind: "reloaded",
    added: ["crm"],
    changed: [],
    removed: [],
    settings: [],
    needsRestart: [],
    changes: ["+ crm"],
    warnings: [],
  },
  Problem: {
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: 'there is no delivery "dlv_1"; it may have been pruned',
  },
};
