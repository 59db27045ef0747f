import { type LastResult, lastResultOf, type Outcome } from "./attempt.ts";
import type { Instant } from "./instant.ts";
import type { Verdict } from "./verdict.ts";

/** How a subscription's receiver has been doing; kept across restarts. */
export interface Health {
  /** Set while deliveries have been exhausted and none has succeeded since. */
  readonly failingSince?: Instant;
  /** Set while an operator, or a 410, has paused it. */
  readonly pausedAt?: Instant;
  /** Why, and who did it where a person did. */
  readonly pausedReason?: string;
  readonly lastSuccessAt?: Instant;
  /** Failed attempts since the last success, of any delivery. */
  readonly consecutiveFailures: number;
  /** When the first of them ended; unknown where an older version counted it. */
  readonly failuresSince?: Instant;
  /** What came of the last attempt, of any delivery. */
  readonly lastResult?: LastResult;
  /** When the state last changed. */
  readonly changedAt?: Instant;
}

export const UNTRIED: Health = { consecutiveFailures: 0 };

export type HealthState = "healthy" | "failing" | "paused" | "disabled";

/** A change worth a notice. */
export type HealthChange = "failing" | "recovered" | "paused";

export function healthState(health: Health, enabled: boolean): HealthState {
  if (!enabled) return "disabled";
  if (health.pausedAt !== undefined) return "paused";
  return health.failingSince !== undefined ? "failing" : "healthy";
}

/** So many failures in a row are no accident, even of a receiver that has answered before. */
const NOT_ANSWERING_AFTER = 3;

/**
 * Whether the receiver can be taken to answer: not from its third failure in a row on, nor from its
 * first if it never succeeded. Only a success makes it answer again, whatever its URL is by then.
 */
export function isAnswering({ consecutiveFailures, lastSuccessAt }: Health): boolean {
  const allowed = lastSuccessAt === undefined ? 0 : NOT_ANSWERING_AFTER - 1;
  return consecutiveFailures <= allowed;
}

/** What a subscription is called where people look: "healthy" only if its receiver answers. */
export type Condition = HealthState | "not answering";

export function conditionOf(health: Health, enabled: boolean): Condition {
  const state = healthState(health, enabled);
  return state === "healthy" && !isAnswering(health) ? "not answering" : state;
}

/** What an attempt came to, and whether that is a success for its subscription. */
export interface AttemptEnd {
  readonly succeeded: boolean;
  readonly outcome: Outcome;
  readonly at: Instant;
}

/** Health after an attempt that ended at `at`, and the change it made, if any. */
export function healthAfter(
  before: Health,
  verdict: Verdict,
  { succeeded, outcome, at }: AttemptEnd,
): { health: Health; change?: HealthChange } {
  const health = { ...before, lastResult: lastResultOf(outcome, at) };
  if (succeeded) {
    const { failingSince, failuresSince: _, ...rest } = health;
    const recovered: Health = { ...rest, lastSuccessAt: at, consecutiveFailures: 0 };
    return failingSince === undefined
      ? { health: recovered }
      : { health: { ...recovered, ...turned(health, at) }, change: "recovered" };
  }
  // The one attempt of who waits for no confirmation: whatever came back, nothing follows from it.
  if (verdict.kind === "delivered") return { health };
  const failed = {
    ...health,
    ...(health.consecutiveFailures === 0 && { failuresSince: at }),
    consecutiveFailures: health.consecutiveFailures + 1,
  };
  if (verdict.kind === "exhausted" && health.failingSince === undefined) {
    return {
      health: { ...failed, failingSince: at, ...turned(health, at) },
      change: "failing",
    };
  }
  if (verdict.kind === "cancelled" && health.pausedAt === undefined) {
    const paused = { ...failed, pausedAt: at, pausedReason: verdict.reason, changedAt: at };
    return { health: paused, change: "paused" };
  }
  return { health: failed };
}

/** While it is paused it stays so, whatever a test comes to. */
function turned({ pausedAt }: Health, at: Instant): Pick<Health, "changedAt"> {
  return pausedAt === undefined ? { changedAt: at } : {};
}
