import type { LastResult } from "./attempt.ts";
import type { Instant } from "./instant.ts";
import { GONE } from "./verdict.ts";

/** One event for one subscription. Final states stay final. */
export type DeliveryState = "pending" | "delivered" | "exhausted" | "cancelled";

/** Why a delivery exists: an event matched, an operator asked for a test, a notice is told. */
export type DeliveryCause = "event" | "test" | "redelivery" | "notice";

/** A delivery's body shape with the settings and names it was accepted under, frozen as JSON. */
export type FormatText = string;

export interface Delivery {
  /** `dlv_` and a ULID. */
  readonly id: string;
  readonly eventId: string;
  /** The id that receivers get of the event, where that is another. */
  readonly eventSentAs?: string;
  readonly type: string;
  readonly subscription: string;
  readonly cause: DeliveryCause;
  readonly state: DeliveryState;
  /** What was decided, where its last answer alone does not say it. */
  readonly reason?: string;
  /** What its last attempt was answered with, if it was. */
  readonly lastStatus?: number;
  /** What its last attempt came to; undefined before the first, and where that can't be read any more. */
  readonly lastResult?: LastResult;
  readonly attemptCount: number;
  /** When the next attempt may start; only while pending. */
  readonly dueAt?: Instant;
  readonly createdAt: Instant;
  readonly finishedAt?: Instant;
  /** The delivery this one sends again. */
  readonly redeliveryOf?: string;
}

/** What lists and replays can be asked for: the deliveries in a state, or those that failed for good. */
export type StateFilter = DeliveryState | "failed";

/** A delivery of ours, or as the API has it. */
interface Ended {
  readonly state: DeliveryState;
  readonly reason?: string | undefined;
}

/** Whether it failed for good: it is exhausted, or was cancelled because its receiver is gone (410). */
export function failedForGood({ state, reason }: Ended): boolean {
  return state === "exhausted" || state === "cancelled" && reason === GONE;
}

/** Whether a delivery is among those that a filter asks for. */
export function isInState(
  delivery: Ended,
  wanted: StateFilter,
): boolean {
  return wanted === "failed" ? failedForGood(delivery) : delivery.state === wanted;
}

/** Why it ended as it did; undefined while it is pending. */
export function endReason({ state, reason, lastStatus }: Delivery): string | undefined {
  if (reason !== undefined || state !== "delivered" || lastStatus === undefined) return reason;
  return `the receiver answered ${lastStatus}`;
}

/** Such a reason says no more than the state does: lists leave it out. */
export const A_MERE_SUCCESS = /^the receiver answered \d+$/;

/** What came of an operator's wish for one delivery. */
export type Steered =
  /** The delivery that goes on: the same, or the new one that sends it again. */
  | { readonly kind: "done"; readonly delivery: string }
  | { readonly kind: "unknown" }
  /** It is not in a state for it; `why` says which, and what helps. */
  | { readonly kind: "refused"; readonly why: string };
