import type { JsonText } from "../domain/json_text.ts";
import type { Instant } from "../domain/instant.ts";
import type { DeliveryState } from "../domain/delivery.ts";

/** What an operator can set going; the daemon puts the parts that do it behind this. */
export interface Operations {
  /** A pending delivery at once, a finished one again. */
  retry(deliveryId: string, by: string): Promise<Steered>;
  cancel(deliveryId: string, by: string): Promise<Steered>;
  /** False where the config has no such subscription. */
  pause(subscriptionId: string, by: string): Promise<boolean>;
  resume(subscriptionId: string, by: string): Promise<boolean>;
  /** Undefined where the config has no such subscription. */
  test(
    subscriptionId: string,
    sample: { readonly type?: string; readonly data?: JsonText },
  ): Promise<{ readonly event: string; readonly delivery: string } | undefined>;
}

/** As Operations, for replays. */
export interface Replays {
  /** How many deliveries a replay would send again. */
  countReplay(filter: ReplayFilter): Promise<number>;
  /** The replay's id. */
  startReplay(filter: ReplayFilter, by: string): Promise<string>;
}

/** Which finished deliveries to send again; those that were sent again already are left out. */
export interface ReplayFilter {
  readonly subscription?: string;
  readonly type?: string;
  readonly state?: Exclude<DeliveryState, "pending">;
  readonly since: Instant;
  readonly until: Instant;
}

/** What came of steering one delivery. */
export type Steered =
  /** The delivery that goes on: the same, or the new one that sends it again. */
  | { readonly kind: "done"; readonly delivery: string }
  | { readonly kind: "unknown" }
  /** It is not in a state for it; `why` says which and what helps. */
  | { readonly kind: "refused"; readonly why: string };
