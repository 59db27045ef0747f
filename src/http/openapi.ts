import { MAX_DELIVERIES } from "../ingest/ingest.ts";
import { MAX_EVENTS } from "../ingest/posted_event.ts";
import { VERSION } from "../version.ts";
import {
  components,
  type Json,
  parametersOf,
  schemaRef,
  securityOf,
  type Who,
} from "./openapi_components.ts";
import { webhooks } from "./openapi_webhooks.ts";
import {
  deliveriesQuery,
  eventQuery,
  eventsQuery,
  historyQuery,
  pageQuery,
  reloadQuery,
} from "./schemas.ts";

/** The parts of the config that the document depends on. */
export interface Served {
  readonly basePath: string;
  /** Whether its config has `auth`. */
  readonly hasAuth: boolean;
}

/** The text of `GET /openapi.json`. */
export function openapiText({ basePath, hasAuth }: Served): string {
  if (last?.basePath === basePath && last.hasAuth === hasAuth) return last.text;
  const text = JSON.stringify(document({ basePath, hasAuth }));
  last = { basePath, hasAuth, text };
  return text;
}

let last: Served & { readonly text: string } | undefined;

/**
 * The OpenAPI 3.1 document of this API and of the webhooks that receivers get. It is built from the
 * routes' schemas, the profiles and their samples.
 */
function document({ basePath, hasAuth }: Served): Json {
  return {
    openapi: "3.1.1",
    info: {
      title: "Bellhook",
      version: VERSION,
      description: INTRODUCTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: basePath || "/", description: "The daemon that serves this document" }],
    tags: TAGS,
    paths: Object.fromEntries(
      Object.entries(CALLS).map(([path, calls]) => [path, pathItem(path, calls, hasAuth)]),
    ),
    // Cached: it is slow to build, and always the same.
    ...(parts ??= { webhooks: webhooks(), components: components() }),
  };
}

let parts: Json | undefined;

const INTRODUCTION =
  "Events in, webhooks out: stored before the answer, delivered at least once. " +
  "Errors are `application/problem+json` (RFC 9457). Lists are newest first, take `limit` and " +
  "`cursor`, and answer `{items, next}`; `next` is null on the last page, and only there. Instants are RFC 3339 " +
  "in UTC.";

const SEARCHING =
  "What an index has comes at once: filters, and `q` as the beginning of an id or the name of a " +
  "subscription or a type. For the rest, a call looks through older rows for half a second. Its page " +
  "may be short, even empty, and still have a `next`; `searched` says how far back it is.";

const TAGS = [
  { name: "events", description: "What happened" },
  { name: "deliveries", description: "One event for one subscription, and its attempts" },
  { name: "replays", description: "Many deliveries sent again, retried or cancelled as one job" },
  { name: "subscriptions", description: "Who wants events, and how their receivers are doing" },
  { name: "daemon", description: "The process itself" },
  { name: "webhooks", description: "What receivers get, by profile" },
];

/** One call of the API; `operation` adds what all calls have. */
interface Call {
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly who: Who;
  readonly parameters?: readonly Json[];
  readonly requestBody?: Json;
  /** The answers besides those that all calls have. A number stands for the problem with this status. */
  readonly answers: readonly (readonly [status: number, answer: Json] | number)[];
}

/** Every call, by path and method. */
const CALLS: Readonly<Record<string, Readonly<Record<string, Call>>>> = {
  "/v1/events": {
    post: {
      id: "postEvents",
      tag: "events",
      summary: "Post one event, or several",
      description:
        "202 means stored: the event and all its deliveries are on disk. An array of up " +
        `to ${MAX_EVENTS} is stored as a whole or not at all, and is answered with an array; one ` +
        `that comes to more than ${MAX_DELIVERIES} deliveries is refused (413). An \`id\`, or an ` +
        "`Idempotency-Key`, makes it safe to repeat. 429 means that the publisher has too much under " +
        "way, or is over its `rate` or `maxPending`.",
      who: "publishers",
      parameters: [{
        name: "Idempotency-Key",
        in: "header",
        description: "Makes the request as a whole safe to repeat",
        schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[\\x20-\\x7e]+$" },
        example: "order-77",
      }],
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: schemaRef("Events") },
          "application/cloudevents+json": { schema: schemaRef("CloudEvent") },
          "application/cloudevents-batch+json": { schema: schemaRef("CloudEvents") },
        },
      },
      answers: [
        [202, json("Stored", "Receipts")],
        [200, json("A repeat: the first answer, once more", "Receipts")],
        ...[400, 408, 409, 413, 415, 422, 429],
      ],
    },
    get: {
      id: "listEvents",
      tag: "events",
      summary: "List events",
      description: SEARCHING,
      who: "operators",
      parameters: parametersOf(eventsQuery),
      answers: [[200, json("A page of events", "EventPage")], 422],
    },
  },
  "/v1/events/{id}": {
    get: {
      id: "getEvent",
      tag: "events",
      summary: "One event and its deliveries",
      description:
        "Numbers in `data`, `metadata` and `scope` have the digits they were posted with. " +
        "Several publishers or sources may use the same id. Then this is the event that receivers " +
        "know by it; `sameId` lists the others, each with its `publisher`, `source` and `sentAs`.",
      who: "operators",
      parameters: parametersOf(eventQuery),
      answers: [[200, json("The event", "EventWithDeliveries")], 404, 422],
    },
  },
  "/v1/deliveries": {
    get: {
      id: "listDeliveries",
      tag: "deliveries",
      summary: "List deliveries",
      description: SEARCHING,
      who: "operators",
      parameters: parametersOf(deliveriesQuery),
      answers: [[200, json("A page of deliveries", "DeliveryPage")], 422],
    },
  },
  "/v1/deliveries/{id}": {
    get: {
      id: "getDelivery",
      tag: "deliveries",
      summary: "One delivery and its attempts",
      who: "operators",
      answers: [[200, json("The delivery", "DeliveryWithAttempts")], 404],
    },
  },
  "/v1/deliveries/{id}/retry": {
    post: {
      id: "retryDelivery",
      tag: "deliveries",
      summary: "Send a delivery now, or again",
      description:
        "A pending one is sent at once. Of a finished one a new delivery is made, with " +
        "`redeliveryOf` and the same ids for receivers to dedupe on.",
      who: "operators",
      answers: [[202, json("The delivery that is sent", "Delivery")], 404, 408, 409, 413],
    },
  },
  "/v1/deliveries/{id}/cancel": {
    post: {
      id: "cancelDelivery",
      tag: "deliveries",
      summary: "Give a pending delivery up",
      who: "operators",
      answers: [[200, json("The cancelled delivery", "Delivery")], 404, 408, 409, 413],
    },
  },
  "/v1/replays": {
    post: {
      id: "startReplay",
      tag: "replays",
      summary: "Send finished deliveries again",
      description: "It runs on by itself, at a pace that leaves room for new events, and goes on " +
        "after a restart.",
      who: "operators",
      requestBody: { required: true, content: content("ReplayRequest") },
      answers: [
        [200, json("How many a dry run has counted", "Count")],
        [202, json("The replay has begun", "ReplayStarted")],
        ...[400, 408, 413, 422],
      ],
    },
  },
  "/v1/replays/{id}": {
    get: {
      id: "getReplay",
      tag: "replays",
      summary: "How far a replay is",
      who: "operators",
      answers: [[200, json("The replay", "Replay")], 404],
    },
  },
  "/v1/replays/{id}/stop": {
    post: {
      id: "stopReplay",
      tag: "replays",
      summary: "Stop a replay",
      description:
        "What it has sent or cancelled by then stays so. One that has finished stays as it is.",
      who: "operators",
      answers: [[200, json("The replay", "Replay")], 404, 408, 413],
    },
  },
  "/v1/history": {
    get: {
      id: "listHistory",
      tag: "daemon",
      summary: "Who did what, and what happened",
      description:
        "Sign-ins, operators' actions and reloads, with the operator's name and address, and " +
        "subscriptions that began to fail, recovered or were paused.",
      who: "operators",
      parameters: parametersOf(historyQuery),
      answers: [[200, json("A page of the history", "HistoryPage")], 422],
    },
  },
  "/v1/subscriptions": {
    get: {
      id: "listSubscriptions",
      tag: "subscriptions",
      summary: "List subscriptions",
      description: "By id. Secrets are never shown.",
      who: "operators",
      parameters: parametersOf(pageQuery),
      answers: [[200, json("A page of subscriptions", "SubscriptionPage")], 422],
    },
  },
  "/v1/subscriptions/{id}": {
    get: {
      id: "getSubscription",
      tag: "subscriptions",
      summary: "One subscription: config, health, counts",
      who: "operators",
      answers: [[200, json("The subscription", "Subscription")], 404],
    },
  },
  "/v1/subscriptions/{id}/test": {
    post: {
      id: "testSubscription",
      tag: "subscriptions",
      summary: "Send a test event to this subscription alone",
      description:
        "Also while it is disabled or paused. Without a body, the event is the config's " +
        "or the profile's example.",
      who: "operators",
      requestBody: { required: false, content: content("TestRequest") },
      answers: [[202, json("Stored, and on its way", "TestStarted")], 400, 404, 408, 413, 422],
    },
  },
  "/v1/subscriptions/{id}/pause": {
    post: {
      id: "pauseSubscription",
      tag: "subscriptions",
      summary: "Hold a subscription's deliveries",
      description: "New events are stored for it meanwhile. It survives restarts.",
      who: "operators",
      answers: [[200, json("The subscription, paused", "Subscription")], 404, 408, 413],
    },
  },
  "/v1/subscriptions/{id}/resume": {
    post: {
      id: "resumeSubscription",
      tag: "subscriptions",
      summary: "Let a subscription's deliveries go on",
      who: "operators",
      answers: [[200, json("The subscription", "Subscription")], 404, 408, 413],
    },
  },
  "/v1/match": {
    post: {
      id: "matchEvent",
      tag: "subscriptions",
      summary: "Which subscriptions would get an event",
      description: "And for each other one, which rule keeps it back. Stores nothing.",
      who: "operators",
      requestBody: {
        required: true,
        content: {
          ...content("Event"),
          "application/cloudevents+json": { schema: schemaRef("CloudEvent") },
        },
      },
      answers: [[200, json("Who would get it", "Matches")], 400, 408, 413, 422],
    },
  },
  "/v1/stream": {
    get: {
      id: "streamChanges",
      tag: "daemon",
      summary: "State changes as server-sent events",
      description:
        "It begins with an id and no event, so that who is cut off before the first misses nothing. " +
        "`delivery` events carry a Delivery, `subscription` events a subscription's id " +
        "and its health. A `gap` event says that changes were missed: read the " +
        "lists anew.",
      who: "operators",
      parameters: [{
        name: "Last-Event-ID",
        in: "header",
        description: "The last id seen: what came after it is sent first",
        schema: { type: "string" },
      }],
      answers: [[200, {
        description: "A stream that stays open",
        content: {
          "text/event-stream": {
            schema: { type: "string", description: "WHATWG HTML, section 9.2" },
            example: 'id: 01HS1JB3Y0-7\nevent: subscription\ndata: {"id":"pms","health":' +
              '{"state":"healthy","answering":true,"consecutiveFailures":0,"pending":0}}\n\n',
          },
        },
      }]],
    },
  },
  "/-/healthy": {
    get: {
      id: "isHealthy",
      tag: "daemon",
      summary: "Whether the process answers",
      who: "all",
      answers: [[200, json("It does", "Healthy")]],
    },
  },
  "/-/ready": {
    get: {
      id: "isReady",
      tag: "daemon",
      summary: "Whether events are taken",
      who: "all",
      answers: [[200, json("They are", "Ready")], 503],
    },
  },
  "/-/reload": {
    post: {
      id: "reloadConfig",
      tag: "daemon",
      summary: "Read the config file anew",
      description: "A file with problems changes nothing.",
      who: "operators",
      parameters: parametersOf(reloadQuery),
      answers: [[200, json("What changed", "Reloaded")], 408, 413, 422],
    },
  },
  "/metrics": {
    get: {
      id: "getMetrics",
      tag: "daemon",
      summary: "Numbers for Prometheus",
      who: "operators",
      answers: [[200, {
        description: "Prometheus' text format, version 0.0.4",
        content: {
          "text/plain": {
            schema: { type: "string" },
            example: "# HELP bellhook_ready Whether events are taken: 1, or 0.\n" +
              "# TYPE bellhook_ready gauge\nbellhook_ready 1\n",
          },
        },
      }]],
    },
  },
  "/openapi.json": {
    get: {
      id: "getOpenApi",
      tag: "daemon",
      summary: "This document",
      who: "all",
      answers: [[200, {
        description: "OpenAPI 3.1",
        content: { "application/json": { schema: { type: "object" } } },
      }]],
    },
  },
};

function pathItem(
  path: string,
  calls: Readonly<Record<string, Call>>,
  hasAuth: boolean,
): Json {
  const operations = Object.entries(calls)
    .map(([method, call]) => [method, operation(call, hasAuth)]);
  const id = /\/v1\/(\w+)\/\{id\}/.exec(path)?.[1];
  return {
    ...(id !== undefined && {
      parameters: [{
        name: "id",
        in: "path",
        required: true,
        description: `The ${SINGULAR[id]}'s id, percent-encoded`,
        schema: { type: "string" },
      }],
    }),
    ...Object.fromEntries(operations),
  };
}

const SINGULAR: Readonly<Record<string, string>> = {
  events: "event",
  deliveries: "delivery",
  replays: "replay",
  subscriptions: "subscription",
};

function operation({ id, tag, who, answers, ...told }: Call, hasAuth: boolean): Json {
  // All calls: 400 for an invalid request. With a token: 401, or 429 after many wrong ones. With
  // storage: 503 if it is unavailable.
  const everywhere = who === "all" ? [400, 403, 500] : [400, 401, 403, 429, 500, 503];
  return {
    operationId: id,
    tags: [tag],
    ...told,
    security: securityOf(who, hasAuth),
    responses: Object.fromEntries(
      [...answers, ...everywhere].map((answer) =>
        typeof answer === "number"
          ? [answer, { $ref: `#/components/responses/${answer}` }]
          : [...answer]
      ),
    ),
  };
}

function json(description: string, schema: Parameters<typeof schemaRef>[0]): Json {
  return { description, content: content(schema) };
}

function content(schema: Parameters<typeof schemaRef>[0]): Json {
  return { "application/json": { schema: schemaRef(schema) } };
}
