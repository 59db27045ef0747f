import type { Subscription } from "../domain/subscription.ts";
import type { Outbox, OutboxReader } from "../outbox/outbox.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { HealthBoard } from "./health_board.ts";
import type { Scheduler } from "./scheduler.ts";

export interface SteeringPorts {
  readonly outbox: Outbox;
  readonly reader: OutboxReader;
  readonly scheduler: Scheduler;
  readonly health: HealthBoard;
  readonly steady: SteadyClock;
  readonly subscription: (id: string) => Subscription | undefined;
}

/** What came of steering one delivery. */
export type Steered =
  /** The delivery that goes on: the same, or the new one that sends it again. */
  | { readonly kind: "done"; readonly delivery: string }
  | { readonly kind: "unknown" }
  | { readonly kind: "refused"; readonly why: string };

/** An operator's hand on deliveries and subscriptions. */
export class Steering {
  readonly #ports: SteeringPorts;

  constructor(ports: SteeringPorts) {
    this.#ports = ports;
  }

  /** Makes a pending delivery due now; sends a finished one again as a new one. */
  async retry(deliveryId: string): Promise<Steered> {
    const { outbox, reader, scheduler, steady } = this.#ports;
    const delivery = await reader.delivery(deliveryId);
    if (!delivery) return { kind: "unknown" };
    const { subscription } = delivery;
    if (!this.#ports.subscription(subscription)) return refused(removed(subscription));
    const now = steady.now();
    if (delivery.state === "pending") {
      const why = this.#heldBecause(subscription);
      if (why !== undefined) return refused(why);
      if (await outbox.hasten(deliveryId, now)) {
        scheduler.noteDue(subscription, now);
        return { kind: "done", delivery: deliveryId };
      }
    }
    const again = await outbox.redeliver(deliveryId, now);
    if (!again) return refused(`delivery "${deliveryId}" is changing at this moment; ask again`);
    scheduler.noteDue(subscription, now);
    return { kind: "done", delivery: again.id };
  }

  /** Ends a pending delivery; an attempt under way is not called back, but nothing follows it. */
  async cancel(deliveryId: string, by: string): Promise<Steered> {
    const { outbox, reader, scheduler, steady } = this.#ports;
    const ended = await outbox.cancel([deliveryId], `cancelled by ${by}`, steady.now());
    if (ended > 0) {
      scheduler.forget(new Set([deliveryId]));
      return { kind: "done", delivery: deliveryId };
    }
    const delivery = await reader.delivery(deliveryId);
    if (!delivery) return { kind: "unknown" };
    return refused(`delivery "${deliveryId}" is ${delivery.state} already; a final state stays`);
  }

  /** False where the config has no such subscription. */
  async pause(subscriptionId: string, by: string): Promise<boolean> {
    if (!this.#ports.subscription(subscriptionId)) return false;
    await this.#ports.health.pause(subscriptionId, `paused by ${by}`, this.#ports.steady.now());
    await this.#ports.scheduler.refresh();
    return true;
  }

  /** False where the config has no such subscription. */
  async resume(subscriptionId: string): Promise<boolean> {
    if (!this.#ports.subscription(subscriptionId)) return false;
    await this.#ports.health.resume(subscriptionId, this.#ports.steady.now());
    await this.#ports.scheduler.refresh();
    return true;
  }

  #heldBecause(subscriptionId: string): string | undefined {
    if (this.#ports.health.isPaused(subscriptionId)) {
      return `subscription "${subscriptionId}" is paused and holds its deliveries; resume it first`;
    }
    return this.#ports.subscription(subscriptionId)!.enabled
      ? undefined
      : `subscription "${subscriptionId}" is disabled and holds its deliveries; enable it first`;
  }
}

function removed(subscriptionId: string): string {
  return `subscription "${subscriptionId}" is no longer in the config; ` +
    "put it back and reload, or cancel the delivery";
}

function refused(why: string): Steered {
  return { kind: "refused", why };
}
