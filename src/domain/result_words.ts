import type { LastResult } from "./attempt.ts";
import { A_MERE_SUCCESS, type DeliveryState } from "./delivery.ts";
import { type Instant, parseInstant } from "./instant.ts";
import { A_LAST_FAILURE, GONE } from "./verdict.ts";

/**
 * What an attempt came to, as short as a row of a list needs it: `503 Service Unavailable`,
 * `connection refused`, `certificate expired 2 days ago`. The full message is with the attempt.
 */
export function resultWords({ status, error }: Result, now: Instant): string {
  if (error === undefined) return statusWords(status!);
  const words = errorWords(error.message, now);
  return status === undefined ? words : `${status}, then ${words}`;
}

/** A last result, whenever it was. */
type Result = {
  readonly status?: LastResult["status"] | undefined;
  readonly error?: LastResult["error"] | undefined;
};

/** What a row of a delivery goes by; the API's have instants as texts. */
export interface RowFacts {
  readonly state: DeliveryState;
  readonly reason?: string | undefined;
  readonly lastResult?: Result | undefined;
}

/**
 * Why a delivery is where it is, for its row: what was decided where that is not the last answer's
 * doing, else the last answer. Undefined where its state says it all.
 */
export function rowReason(
  { state, reason, lastResult }: RowFacts,
  now: Instant,
): string | undefined {
  const answer = lastResult && resultWords(lastResult, now);
  switch (state) {
    case "pending":
      return answer;
    case "delivered":
      return reason === undefined || A_MERE_SUCCESS.test(reason) ? undefined : reason;
    case "exhausted":
      return reason === undefined || A_LAST_FAILURE.test(reason) ? answer ?? reason : reason;
    case "cancelled":
      return reason === undefined || reason === GONE ? answer ?? reason : reason;
  }
}

/** A status with its reason phrase, where there is a registered one. */
export function statusWords(status: number): string {
  const phrase = PHRASES[status];
  return phrase === undefined ? String(status) : `${status} ${phrase}`;
}

/** The IANA registry of HTTP status codes, without those that no final answer has. */
const PHRASES: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  511: "Network Authentication Required",
};

/** A message without the addresses and the advice in it, and with its days counted from now. */
function errorWords(message: string, now: Instant): string {
  const causes = message.replace(ADVICE, "").split("; ").map((cause) => shortened(cause, now));
  // Several addresses mostly end alike: one of them says it.
  return [...new Set(causes)].join("; ");
}

const ADVICE = /: nothing was sent; .*$/;

function shortened(cause: string, now: Instant): string {
  for (const [form, words] of SHORTER) {
    const found = form.exec(cause);
    if (found) return words(found[1]!, now);
  }
  return cause;
}

const SHORTER: readonly (readonly [form: RegExp, words: (part: string, now: Instant) => string])[] =
  [
    [
      /^(connection refused|connection reset|no route|no answer) (?:by|to|from) \S+$/,
      (what) => what,
    ],
    [/^the deadline of (\S+) passed while connecting/, (time) => `no connection within ${time}`],
    [/^the deadline of (\S+) passed while setting up TLS/, (time) => `no TLS within ${time}`],
    [/^the deadline of (\S+) passed/, (time) => `no answer within ${time}`],
    [/^the receiver closed the connection (.+)$/, (when) => `connection closed ${when}`],
    [/^certificate expired on (\S+)$/, (day, now) => `certificate expired ${daysAgo(day, now)}`],
  ];

const DAY_MS = 86_400_000;

/** `today`, `1 day ago`; the day itself where it is none before now. */
function daysAgo(day: string, now: Instant): string {
  const days = Math.floor(now / DAY_MS) - (parseInstant(`${day}T00:00:00Z`) ?? NaN) / DAY_MS;
  if (days === 0) return "today";
  return days > 0 ? `${days} ${days === 1 ? "day" : "days"} ago` : `on ${day}`;
}
