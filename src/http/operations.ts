import type { Steered } from "../domain/delivery.ts";
import type { JsonText } from "../domain/json_text.ts";
import type { ReplayFilter } from "../outbox/outbox.ts";

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
    request: { readonly type?: string; readonly data?: JsonText; readonly by: string },
  ): Promise<{ readonly event: string; readonly delivery: string } | undefined>;
  /** The replay's id. */
  startReplay(filter: ReplayFilter, by: string): Promise<string>;
}
