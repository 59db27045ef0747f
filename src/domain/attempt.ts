import type { Instant } from "./instant.ts";

/** Why no complete answer came. `blocked`: the address guard refused; nothing was sent. */
export type FailureKind =
  | "dns"
  | "connect"
  | "tls"
  | "timeout"
  | "reset"
  | "blocked"
  | "protocol";

/** Names and values in the order and spelling they had on the wire. */
export type Headers = readonly (readonly [name: string, value: string])[];

/** At most this much of a response body is kept; the rest is never buffered. */
export const MAX_RESPONSE_BYTES = 64 * 1024;

/** A receiver's answer, or as much of it as came. */
export interface Response {
  readonly status: number;
  readonly headers: Headers;
  /** At most MAX_RESPONSE_BYTES. */
  readonly body: Uint8Array;
  /** More of the body was announced, or came, than is here. */
  readonly truncated: boolean;
  /** The `Content-Encoding` that the body is still under: it could not be unpacked. */
  readonly packing?: string;
}

/** What came of one HTTP request: a value, whatever the receiver did. */
export type Outcome =
  | Response & {
    readonly kind: "answered";
    readonly remoteAddress?: string;
  }
  | {
    readonly kind: "failed";
    readonly error: { readonly kind: FailureKind; readonly message: string };
    /** What had come when an answer broke off after its head: it doesn't count, and is kept. */
    readonly response?: Response;
    readonly remoteAddress?: string;
  };

/** What came of the last attempt, of a delivery or of anything for a subscription. */
export interface LastResult {
  /** When the attempt ended. */
  readonly at: Instant;
  /** The answer's, if one came; beside an `error` where the answer broke off. */
  readonly status?: number;
  readonly error?: { readonly kind: FailureKind; readonly message: string };
}

/** An outcome without its answer's head and body, which lists have no use for. */
export function lastResultOf(outcome: Outcome, at: Instant): LastResult {
  if (outcome.kind === "answered") return { at, status: outcome.status };
  const { error, response } = outcome;
  return response === undefined ? { at, error } : { at, status: response.status, error };
}

/** The answer that came, whole or broken off; undefined where none did. */
export function responseOf(outcome: Outcome): Response | undefined {
  return outcome.kind === "answered" ? outcome : outcome.response;
}

/** Says of a body that could not be unpacked that it is as it came; undefined for any other. */
export function packingNote({ packing }: Response): string | undefined {
  return packing &&
    `the body is marked as compressed with "${packing}" but can't be unpacked: it is kept as received`;
}

/** One HTTP request of a delivery, as it is kept on record. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  readonly startedAt: Instant;
  readonly durationMs: number;
  readonly result: "success" | "failure";
  readonly url: string;
  /** As sent, secrets replaced by `[redacted]`. */
  readonly requestHeaders: Headers;
  readonly outcome: Outcome;
}

/** Which statuses count as success, as inclusive ranges. */
export type StatusRanges = readonly (readonly [from: number, to: number])[];

export function isSuccess(outcome: Outcome, success: StatusRanges): boolean {
  return outcome.kind === "answered" &&
    success.some(([from, to]) => from <= outcome.status && outcome.status <= to);
}

/** The ranges of `"2xx"`, `"200"`, `"200-299"` or a list of them by comma; undefined if none. */
export function parseStatusRanges(text: string): StatusRanges | undefined {
  const ranges = text.split(",").map((part): [number, number] | undefined => {
    const word = part.trim();
    const hundred = /^([1-5])xx$/.exec(word);
    if (hundred) return [Number(hundred[1]) * 100, Number(hundred[1]) * 100 + 99];
    const range = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(word);
    if (!range) return undefined;
    return [Number(range[1]), Number(range[2] ?? range[1])];
  });
  return ranges.every((range) => range !== undefined && range[0] <= range[1])
    ? ranges as [number, number][]
    : undefined;
}

/** As `parseStatusRanges` reads it. */
export function formatStatusRanges(ranges: StatusRanges): string {
  return ranges.map(([from, to]) => {
    if (from === to) return `${from}`;
    return from % 100 === 0 && to === from + 99 ? `${from / 100}xx` : `${from}-${to}`;
  }).join(",");
}
