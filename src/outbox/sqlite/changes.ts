import type { DeliveryCause, DeliveryState } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Grant } from "./claims.ts";
import type { TalliedAttempt } from "./tallied_attempt.ts";

/** What a transaction changes beside its rows; it comes to count when the commit is through. */
export class Changes {
  /** Fresh deliveries, in the order of their numbers. */
  readonly created: CreatedDelivery[] = [];
  readonly granted: Grant[] = [];
  readonly ended: DeliveryNumbers[] = [];
  /** The numbers of deliveries that became final, but for damaged ones. */
  readonly finished: number[] = [];
  /** Ended from outside, maybe under the hands of who attempts them. */
  readonly cancelled: DeliveryNumbers[] = [];
  /** Cancelled claims of which nothing more is to come. */
  readonly settled: Grant[] = [];
  /** By how much the number of pending deliveries changes, by subscription. */
  readonly pending = new Map<number, number>();
  /** The same of all states, but for what is fresh; written once at the end. */
  readonly counts = new Map<number, CountChange>();
  /** What is to be tallied at the end of the transaction. */
  readonly attempts: TalliedAttempt[] = [];
  /** What is to be tallied when the indexes take in its delivery, which is fresh. */
  readonly freshAttempts: TalliedAttempt[] = [];
  /** Written once at the end of the transaction, the last one said, by subscription. */
  readonly health = new Map<number, Health>();
  /** Last successes that fresh deliveries tell of, and nothing else is new, by subscription. */
  readonly successes = new Map<number, FreshSuccess>();
  /** The deliveries that it changes; undefined while nobody wants to know. */
  readonly touched: Set<number> | undefined;

  constructor({ watched }: { watched: boolean }) {
    this.touched = watched ? new Set() : undefined;
  }

  create(created: CreatedDelivery): void {
    this.created.push(created);
    this.#wait(created.subscription, 1);
    this.touched?.add(created.seq);
  }

  /** A delivery is to be attempted again. */
  postpone({ subscription, seq, fresh }: FinishedDelivery): void {
    if (fresh) this.count(subscription, "pending", 1);
    this.touched?.add(seq);
  }

  /** A delivery became final. */
  finish({ subscription, seq, fresh }: FinishedDelivery, state: DeliveryState): void {
    this.finished.push(seq);
    this.finishDamaged({ subscription, seq, fresh }, state);
  }

  /** The same of one whose event can't be read any more: nobody is to ask whose it was. */
  finishDamaged({ subscription, seq, fresh }: FinishedDelivery, state: DeliveryState): void {
    this.#wait(subscription, -1);
    if (!fresh) {
      this.count(subscription, "pending", -1);
      this.count(subscription, state, 1);
    }
    this.touched?.add(seq);
  }

  #wait(subscription: number, by: number): void {
    this.pending.set(subscription, (this.pending.get(subscription) ?? 0) + by);
  }

  count(subscription: number, state: DeliveryState, by: number): void {
    let change = this.counts.get(subscription);
    if (!change) {
      change = { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 };
      this.counts.set(subscription, change);
    }
    change[state] += by;
  }
}

/** A success that only a fresh delivery tells of, and the status it was answered with. */
export interface FreshSuccess {
  readonly at: Instant;
  readonly status: number | null;
}

/** A delivery by numbers. */
export interface DeliveryNumbers {
  readonly subscription: number;
  readonly seq: number;
}

/** A delivery, and whether it was fresh until now. */
interface FinishedDelivery extends DeliveryNumbers {
  readonly fresh: boolean;
}

/** A delivery that was just stored. */
export interface CreatedDelivery extends DeliveryNumbers {
  readonly createdAt: Instant;
  readonly cause: DeliveryCause;
}

type CountChange = { [state in DeliveryState]: number };
