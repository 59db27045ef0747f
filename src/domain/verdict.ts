import { isSuccess, type Outcome, responseOf, type StatusRanges } from "./attempt.ts";
import type { Instant } from "./instant.ts";
import { isWithin, type Ladder, waitAfter } from "./ladder.ts";

/** What becomes of a delivery after an attempt. */
export type Verdict =
  | { readonly kind: "delivered"; readonly reason?: string }
  | { readonly kind: "retry"; readonly dueAt: Instant }
  | { readonly kind: "exhausted"; readonly reason: string }
  /** The receiver is gone for good: its subscription is paused as well. */
  | { readonly kind: "cancelled"; readonly reason: string };

/** Why a delivery was cancelled whose receiver is gone for good: it failed, as an exhausted one did. */
export const GONE = "the receiver answered 410 Gone";

/** Such a reason says no more than that an attempt, the last, failed: lists show its result instead. */
export const A_LAST_FAILURE = /^attempt \d+, the last, failed: |; no confirmation is awaited, so/;

/** The delivery rules that a verdict goes by; a subscription has them all. */
export interface DeliveryRules {
  readonly success: StatusRanges;
  readonly ladder: Ladder;
  /** The greatest share of a rung that may be added to it; 0.1 is ten per cent. */
  readonly jitter: number;
  /** False: one attempt, its answer recorded and not acted on (Booking Experts). */
  readonly waitForConfirmation: boolean;
  /** False: 410 Gone is a failure like any other, and pauses nothing. */
  readonly endsWhenGone?: boolean;
}

/** Where a delivery stands when an attempt of it has ended. */
export interface Standing {
  /** The number of the attempt that has just ended; 1 is the first. */
  readonly attempt: number;
  /** When the first attempt of this delivery started. */
  readonly firstAt: Instant;
  /** In [0, 1): how much of the jitter this attempt's wait gets. */
  readonly chance: number;
}

/** The most that `Retry-After` can postpone an attempt by. */
const MAX_POSTPONEMENT_MS = 24 * 3_600_000;

/** Judges an outcome that was complete at `at`. */
export function decide(
  rules: DeliveryRules,
  standing: Standing,
  outcome: Outcome,
  at: Instant,
): Verdict {
  if (isSuccess(outcome, rules.success)) return { kind: "delivered" };
  const what = describe(outcome);
  if (!rules.waitForConfirmation) {
    return outcome.kind === "answered"
      ? { kind: "delivered", reason: `${what}; no confirmation is awaited` }
      : {
        kind: "exhausted",
        reason: `${what}; no confirmation is awaited, so none is asked again`,
      };
  }
  const { endsWhenGone = true } = rules;
  if (endsWhenGone && outcome.kind === "answered" && outcome.status === 410) {
    return { kind: "cancelled", reason: GONE };
  }
  const waitMs = waitAfter(standing.attempt, rules.ladder, {
    jitter: rules.jitter,
    chance: standing.chance,
  });
  if (waitMs === undefined || !isWithin(rules.ladder, standing.firstAt, at + waitMs)) {
    return { kind: "exhausted", reason: `attempt ${standing.attempt}, the last, failed: ${what}` };
  }
  return { kind: "retry", dueAt: at + Math.max(waitMs, retryAfterMs(outcome, at) ?? 0) };
}

function describe(outcome: Outcome): string {
  return outcome.kind === "answered"
    ? `the receiver answered ${outcome.status}`
    : `${outcome.error.kind}: ${outcome.error.message}`;
}

/** The wait a 429 or 503 asks for (RFC 9110, section 10.2.3), at most 24 h. */
function retryAfterMs(outcome: Outcome, at: Instant): number | undefined {
  const response = responseOf(outcome);
  if (response === undefined || (response.status !== 429 && response.status !== 503)) {
    return undefined;
  }
  const value = response.headers.find(([name]) => name.toLowerCase() === "retry-after")?.[1].trim();
  if (value === undefined) return undefined;
  const askedMs = /^\d+$/.test(value) ? Number(value) * 1_000 : httpDate(value, at) - at;
  return askedMs > 0 ? Math.min(askedMs, MAX_POSTPONEMENT_MS) : undefined;
}

/** An HTTP date (RFC 9110, section 5.6.7) as an instant; NaN where the text is none. */
function httpDate(text: string, now: Instant): number {
  if (/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)) {
    return Date.parse(text);
  }
  if (/^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.test(text)) {
    return Date.parse(`${text} GMT`);
  }
  const [, day, year, time] = /^[A-Z][a-z]+day, (\d\d-[A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d GMT)$/
    .exec(text) ?? [];
  if (day === undefined) return NaN;
  // Of the years that end so, the latest that is at most fifty years ahead.
  const latest = new Date(now).getUTCFullYear() + 50;
  return Date.parse(`${day.replace("-", " ")} ${latest - (latest - Number(year)) % 100} ${time}`);
}
