import type { Config } from "../config/config.ts";
import { formatRate } from "../domain/duration.ts";
import type { Admission } from "../ingest/admission.ts";
import { type Ingest, MAX_DELIVERIES, type Submitted } from "../ingest/ingest.ts";
import { type Parsed, parsingSteps } from "../ingest/posted_event.ts";
import type { Clock } from "../runtime/clock.ts";
import { Turn } from "../runtime/turn.ts";
import type { Answer } from "../server/answer.ts";
import { assertOwnPage, type Caller, callerOf, nameOf } from "./access.ts";
import { type ReadOptions, readText } from "./body.ts";
import { assertAddressed } from "./host.ts";
import { expectedBytes, type Intake, type Reservation } from "./intake.ts";
import { NOT_CACHED, type Problem, problem, ProblemError } from "./problem.ts";

/** When a publisher may try again if the daemon can't store events now. */
export const RETRY_AFTER_SECONDS = 5;

/** A longer body, or an array, is a large request. */
const SMALL_CHARACTERS = 16 * 1024;

export interface PublishPorts {
  readonly ingest: Ingest;
  readonly admission: Admission;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly intake: Intake;
  /** Why no events are accepted; undefined if they are. */
  readonly closedBecause: () => string | undefined;
  /** Called for each request that is answered with an error. */
  readonly onRefused: (status: number, rule?: string) => void;
}

/** The parts of a request that posting events needs. */
export type Posting = Pick<Request, "method" | "url" | "body" | "bytes"> & {
  readonly headers: Pick<Headers, "get">;
};

/** The path that events are posted to. */
export const EVENTS_PATH = "/v1/events";

/**
 * Whether a request posts events. This is faster than the router, but recognises only the usual
 * spelling of the path; the router finds the others.
 */
export function postsEvents({ method, url }: Posting): boolean {
  return method === "POST" && url.endsWith(EVENTS_PATH) &&
    url.indexOf("/", SCHEME_LENGTH) === url.length - EVENTS_PATH.length;
}

/** The length of `https://`; for `http://` it includes one letter of the host. */
const SCHEME_LENGTH = 8;

/**
 * Answers `POST /v1/events`, access checks included. As middleware and a route, these steps would take
 * several times as long. `problemOf` makes the answers for errors.
 */
export function publishing(
  ports: PublishPorts,
  problemOf: (error: Error, request: Posting) => Response | Promise<Response>,
): (request: Posting) => Promise<Answer> {
  const { intake } = ports;
  return async (request) => {
    let response: Answer;
    let rule: string | undefined;
    try {
      response = await publish(request);
    } catch (error) {
      response = await problemOf(error as Error, request);
      if (error instanceof ProblemError) rule = error.problem.rule;
    }
    if (response.status >= 400) ports.onRefused(response.status, rule);
    return response;
  };

  async function publish(request: Posting): Promise<Answer> {
    const { headers } = request;
    const config = ports.config();
    assertOwnPage(headers, config);
    assertAddressed(request);
    const caller = callerOf(headers, config);
    const publisher = caller.kind === "local" ? undefined : nameOf(caller);
    const { maxBodyBytes } = config.server;
    const expected = Math.min(expectedBytes(headers), maxBodyBytes);
    const reservation = intake.reserve(publisher, expected);
    try {
      const format = requestFormat(headers);
      const text = await readText(request, readOptions(reservation, maxBodyBytes));
      reservation.complete();
      const key = idempotencyKey(headers.get("idempotency-key"));
      const storeText = () => store(text, { format, caller, key });
      return isSmall(text) ? await storeText() : await queued(storeText);
    } finally {
      reservation.release();
    }
  }

  async function store(text: string, { format, caller, key }: PostedText): Promise<Answer> {
    const closed = ports.closedBecause() ??
      (ports.admission.isOverloaded ? "the daemon is overloaded, deliveries are late" : undefined);
    if (closed !== undefined) throw new ProblemError(unavailable(closed));
    const turn = new Turn(ports.clock);
    const { events, isArray } = postedIn(await turn.run(parsingSteps(text, format)));
    ports.admission.spent(turn.workedMs);
    const submitted = await ports.ingest.submit({
      events,
      isArray,
      ...(caller.kind === "publisher" ? { publisher: caller.publisher } : {}),
      ...(key === undefined ? {} : { idempotencyKey: key }),
    });
    const publisher = caller.kind === "local" ? undefined : nameOf(caller);
    return answer(submitted, { isArray, events: events.length, publisher });
  }

  /** Queues a large request, so that it leaves time for others and for sending. */
  async function queued(storeText: () => Promise<Answer>): Promise<Answer> {
    if (!await ports.admission.enter()) {
      throw new ProblemError(unavailable("too many large requests are waiting"));
    }
    try {
      return await storeText();
    } finally {
      ports.admission.leave();
    }
  }

  function readOptions(reservation: Reservation, maxBytes: number): ReadOptions {
    return {
      maxBytes,
      clock: ports.clock,
      onBytes: (bytes) => reservation.received(bytes),
      onSlow: () => reservation.releaseSlot(),
    };
  }
}

/** What a body needs besides its text. */
interface PostedText {
  readonly format: Format;
  readonly caller: Caller;
  readonly key: string | undefined;
}

function isSmall(text: string): boolean {
  return text.length <= SMALL_CHARACTERS && !/^\s*\[/.test(text);
}

/** The answer if nothing can be stored now. */
export function unavailable(why: string) {
  return {
    status: 503,
    title: "Service Unavailable",
    detail: `nothing was stored: ${why}`,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  } as const;
}

type Format = "events" | "cloudevents";

const FORMATS: ReadonlyMap<string, Format> = new Map([
  ["application/json", "events"],
  ["application/cloudevents+json", "cloudevents"],
  ["application/cloudevents-batch+json", "cloudevents"],
]);

function requestFormat(headers: Posting["headers"]): Format {
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new ProblemError({
      status: 415,
      title: "Unsupported Media Type",
      detail: `Content-Encoding "${encoding}" is not taken; send the body as it is`,
    });
  }
  const contentType = headers.get("content-type") ?? "";
  const format = formatNamed(contentType);
  if (format !== undefined) return format;
  throw new ProblemError({
    status: 415,
    title: "Unsupported Media Type",
    detail: `Content-Type "${contentType}" is not taken; send "application/json", ` +
      `"application/cloudevents+json" or "application/cloudevents-batch+json", in UTF-8`,
  });
}

/** The format for a media type; undefined if it isn't supported. */
export function formatNamed(contentType: string): Format | undefined {
  return FORMATS.get(contentType) ?? FORMATS.get(typeInUtf8(contentType) ?? "");
}

/** A media type without its parameters; undefined if its charset isn't UTF-8. */
function typeInUtf8(contentType: string): string | undefined {
  const [type, ...parameters] = contentType.toLowerCase().split(";").map((s) => s.trim());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="));
  return charset === undefined || /^charset="?utf-?8"?$/.test(charset) ? type : undefined;
}

function postedIn(parsed: Parsed): Parsed & { kind: "parsed" } {
  if (parsed.kind === "malformed") {
    throw new ProblemError({
      status: 400,
      title: "Bad Request",
      detail: `the body cannot be read as JSON: ${parsed.message}`,
    });
  }
  if (parsed.kind === "invalid") {
    throw new ProblemError({
      status: 422,
      title: "Unprocessable Content",
      detail: "the body is JSON, but no event or list of events; nothing was stored",
      errors: parsed.faults,
    });
  }
  return parsed;
}

function idempotencyKey(header: string | null): string | undefined {
  if (header === null) return undefined;
  if (/^[\x20-\x7e]{1,255}$/.test(header)) return header;
  throw new ProblemError({
    status: 400,
    title: "Bad Request",
    detail: "an Idempotency-Key is 1 to 255 visible ASCII characters",
  });
}

const JSON_HEADERS = Object.entries({ "content-type": "application/json", ...NOT_CACHED });

function answer(
  submitted: Submitted,
  { isArray, ...request }: { isArray: boolean; events: number; publisher: string | undefined },
): Answer {
  switch (submitted.kind) {
    case "accepted": {
      const body = isArray ? submitted.receipts : submitted.receipts[0];
      const status = submitted.isNew ? 202 : 200;
      return { status, headers: JSON_HEADERS, text: JSON.stringify(body) };
    }
    case "forbidden":
      return problem({
        status: 403,
        title: "Forbidden",
        detail: "the publisher may not post this; nothing was stored",
        errors: submitted.faults,
      });
    case "undeclared":
      return problem({
        status: 422,
        title: "Unprocessable Content",
        detail: "an event type is not declared; nothing was stored",
        errors: submitted.faults,
      });
    case "incomplete":
      return problem({
        status: 422,
        title: "Unprocessable Content",
        detail: "an event lacks a value that is needed to route it; nothing was stored",
        errors: submitted.faults,
      });
    case "tooManyDeliveries":
      return problem({
        status: 413,
        title: "Content Too Large",
        detail:
          `these events would create ${submitted.deliveries} deliveries, and one request may create ` +
          `at most ${MAX_DELIVERIES}; nothing was stored. Post them in ` +
          `${Math.ceil(submitted.deliveries / MAX_DELIVERIES)} or more requests, or one by one`,
      });
    case "idConflict":
      return problem({
        status: 409,
        title: "Conflict",
        detail: `event "${submitted.id}" already exists with different content; nothing was ` +
          "stored. Repeat an event unchanged, or give a new event a new id",
        errors: [{ path: isArray ? `[${submitted.index}].id` : "id", message: "is taken" }],
      });
    case "keyConflict":
      return problem({
        status: 422,
        title: "Unprocessable Content",
        detail: "this Idempotency-Key was used with different content; nothing was stored. " +
          "Repeat a request unchanged, or give a new request a new key",
      });
    case "tooFast":
    case "tooManyPending":
      throw new ProblemError(overQuota(submitted, request));
  }
}

/** The answer if a publisher's limit is exceeded: which one, and what to do. */
function overQuota(
  over: Submitted & { readonly kind: "tooFast" | "tooManyPending" },
  { events, publisher }: { events: number; publisher: string | undefined },
): Problem {
  const refusal = { status: 429, title: "Too Many Requests" } as const;
  if (over.kind === "tooFast") {
    const retryAfterSeconds = Math.max(1, Math.ceil(over.waitMs / 1_000));
    const rate = formatRate(over.rate);
    const large = events > over.rate.count
      ? `; a request of ${events} events is taken once no earlier event counts, smaller ones sooner`
      : "";
    return {
      ...refusal,
      rule: "rate",
      retryAfterSeconds,
      detail:
        `nothing was stored: publisher "${publisher}" may post ${rate} (its "rate" in the config), ` +
        `and this request would exceed it; try again in ${retryAfterSeconds} s${large}`,
    };
  }
  const { pending, more, most } = over;
  const advice = more > most
    ? "this request alone exceeds it: post fewer events at a time, or have the limit raised"
    : "try again once some of them have ended";
  return {
    ...refusal,
    rule: "max_pending",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    detail:
      `nothing was stored: publisher "${publisher}" has ${pending} pending deliveries, and this ` +
      `request would add ${more}; its "maxPending" in the config is ${most}; ${advice}`,
  };
}
