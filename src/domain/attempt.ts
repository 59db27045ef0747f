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

/** What came of one HTTP request: a value, whatever the receiver did. */
export type Outcome =
  | {
    readonly kind: "answered";
    readonly status: number;
    readonly headers: Headers;
    /** At most MAX_RESPONSE_BYTES. */
    readonly body: Uint8Array;
    readonly truncated: boolean;
    readonly remoteAddress?: string;
  }
  | {
    readonly kind: "failed";
    readonly error: { readonly kind: FailureKind; readonly message: string };
    readonly remoteAddress?: string;
  };

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
