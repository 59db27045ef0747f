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

/** Health after an attempt that ended at `at`, and the change it made, if any. */
export function healthAfter(
  health: Health,
  verdict: Verdict,
  { succeeded, at }: { succeeded: boolean; at: Instant },
): { health: Health; change?: HealthChange } {
  if (succeeded) {
    const { failingSince, ...rest } = health;
    const recovered: Health = { ...rest, lastSuccessAt: at, consecutiveFailures: 0 };
    return failingSince === undefined
      ? { health: recovered }
      : { health: { ...recovered, ...turned(health, at) }, change: "recovered" };
  }
  // The one attempt of who waits for no confirmation: whatever came back, nothing follows from it.
  if (verdict.kind === "delivered") return { health };
  const failed = { ...health, consecutiveFailures: health.consecutiveFailures + 1 };
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
