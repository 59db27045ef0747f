import { type Actor, actorName, credit } from "../domain/actor.ts";
import type { Steered } from "../domain/delivery.ts";
import type { Instant } from "../domain/instant.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { HistoryEntry, NewEvent, Outbox, Replay, ReplayFilter } from "../outbox/outbox.ts";
import type { OutboxReader } from "../outbox/reader.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { HealthAction, HealthBoard } from "./health_board.ts";
import type { Scheduler } from "./scheduler.ts";

export interface SteeringPorts {
  readonly outbox: Outbox;
  readonly reader: OutboxReader;
  readonly scheduler: Scheduler;
  readonly health: HealthBoard;
  readonly steady: SteadyClock;
  readonly subscription: (id: string) => Subscription | undefined;
  /** Keeps who did what on record; never rejects. */
  readonly remember: (entry: HistoryEntry) => Promise<void>;
  /** Told that a replay has begun. */
  readonly onReplay: () => void;
  /** Has it stored that an operator has paused a subscription, with notices for those to be told. */
  readonly tellingPaused: (
    id: string,
    change: HealthAction,
    store: (notices: readonly NewEvent[]) => Promise<boolean>,
  ) => Promise<boolean>;
}

/** An operator's hand on deliveries and subscriptions. */
export class Steering {
  readonly #ports: SteeringPorts;

  constructor(ports: SteeringPorts) {
    this.#ports = ports;
  }

  /** Makes a pending delivery due now; sends a finished one again as a new one. */
  async retry(deliveryId: string, by: Actor): Promise<Steered> {
    const { outbox, reader, scheduler, steady } = this.#ports;
    const delivery = await reader.delivery(deliveryId);
    if (!delivery) return { kind: "unknown" };
    const { subscription } = delivery;
    if (!this.#ports.subscription(subscription)) return refused(removed(subscription));
    const now = steady.now();
    if (delivery.state === "pending") {
      // Nothing holds a test.
      const why = delivery.cause === "test" ? undefined : this.#heldBecause(subscription);
      if (why !== undefined) return refused(why);
      if (await outbox.hasten(deliveryId, now)) {
        scheduler.noteDue(subscription, now);
        await this.#remember("retried", delivery, {
          by,
          cause: "the next attempt was put forward",
        });
        return { kind: "done", delivery: deliveryId };
      }
    }
    const again = await outbox.redeliver(deliveryId, now);
    if (!again) return refused(`delivery "${deliveryId}" is changing at this moment; ask again`);
    scheduler.noteDue(subscription, now);
    await this.#remember("retried", delivery, { by, cause: `sent again as ${again.id}` });
    return { kind: "done", delivery: again.id };
  }

  /** Ends a pending delivery; an attempt under way is not called back, but nothing follows it. */
  async cancel(deliveryId: string, by: Actor): Promise<Steered> {
    const { outbox, reader, scheduler, steady } = this.#ports;
    const delivery = await reader.delivery(deliveryId);
    if (!delivery) return { kind: "unknown" };
    const reason = `cancelled by ${actorName(by)}`;
    if (await outbox.cancel([deliveryId], reason, steady.now()) > 0) {
      scheduler.forget(new Set([deliveryId]));
      await this.#remember("cancelled", delivery, { by, cause: reason });
      return { kind: "done", delivery: deliveryId };
    }
    const now = await reader.delivery(deliveryId) ?? delivery;
    return refused(`delivery "${deliveryId}" is ${now.state} already; a final state stays`);
  }

  /** The replay's id. */
  async startReplay(filter: ReplayFilter, by: Actor): Promise<string> {
    const at = this.#ports.steady.now();
    const { id } = await this.#ports.outbox.startReplay({
      filter,
      by: actorName(by),
      at,
      entry: (replay) => entryOf(replay, { at, by, cause: beginningOf(replay) }),
    });
    this.#ports.onReplay();
    return id;
  }

  /** Ends a replay that is under way; false where there is no such one. */
  async stopReplay(id: string, by: Actor): Promise<boolean> {
    const at = this.#ports.steady.now();
    return await this.#ports.outbox.stopReplay(id, {
      at,
      entry: (replay) => {
        const cause = `stopped ${id} after ${replay.done} of ${deliveriesIn(replay)}`;
        return entryOf(replay, { at, by, cause });
      },
    });
  }

  /** False where the config has no such subscription. */
  async pause(subscriptionId: string, by: Actor): Promise<boolean> {
    const { health, scheduler, steady } = this.#ports;
    if (!this.#ports.subscription(subscriptionId)) return false;
    if (health.isPaused(subscriptionId)) return true;
    const change = { cause: `paused by ${actorName(by)}`, ...credit(by), at: steady.now() };
    try {
      await this.#ports.tellingPaused(
        subscriptionId,
        change,
        (notices) => health.pause(subscriptionId, change, notices),
      );
    } finally {
      scheduler.reconsider(subscriptionId);
    }
    return true;
  }

  /** False where the config has no such subscription. */
  async resume(subscriptionId: string, by: Actor): Promise<boolean> {
    const { health, scheduler, steady } = this.#ports;
    if (!this.#ports.subscription(subscriptionId)) return false;
    const change = { cause: `resumed by ${actorName(by)}`, ...credit(by), at: steady.now() };
    try {
      await health.resume(subscriptionId, change);
    } finally {
      // What was looked at as if it were resumed, or paused, is looked at anew.
      scheduler.reconsider(subscriptionId);
    }
    return true;
  }

  #remember(
    kind: "retried" | "cancelled",
    { id, subscription }: { id: string; subscription: string },
    { by, cause }: { by: Actor; cause: string },
  ): Promise<void> {
    const at = this.#ports.steady.now();
    return this.#ports.remember({ at, kind, subscription, delivery: id, cause, ...credit(by) });
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

/** The line of history about what an operator did to many deliveries at once. */
function entryOf(
  { filter }: Replay,
  { at, by, cause }: { readonly at: Instant; readonly by: Actor; readonly cause: string },
): HistoryEntry {
  const about = filter.subscription === undefined ? {} : { subscription: filter.subscription };
  return { at, kind: KINDS[actionOf(filter)], ...about, cause, ...credit(by) };
}

function beginningOf(replay: Replay): string {
  const deliveries = deliveriesIn(replay);
  switch (actionOf(replay.filter)) {
    case "cancel":
      return `began to cancel ${deliveries} (${replay.id})`;
    case "retry":
      return `began to retry ${deliveries} (${replay.id})`;
    case "send again":
      return `began to send ${deliveries} again (${replay.id})`;
  }
}

const KINDS = { cancel: "cancelled", retry: "retried", "send again": "replayed" } as const;

function actionOf({ action, state }: ReplayFilter): keyof typeof KINDS {
  if (action === "cancel") return "cancel";
  return state === "pending" ? "retry" : "send again";
}

function deliveriesIn({ total }: Replay): string {
  return total === 1 ? "1 delivery" : `${total} deliveries`;
}

function removed(subscriptionId: string): string {
  return `subscription "${subscriptionId}" is no longer in the config; ` +
    "put it back and reload, or cancel the delivery";
}

function refused(why: string): Steered {
  return { kind: "refused", why };
}
