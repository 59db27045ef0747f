import type { DeliveryCause, DeliveryState } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Grant } from "./claims.ts";
import type { TalliedAttempt } from "./tallying.ts";

/** What a transaction changes beside its rows; it comes to count when the commit is through. */
export class Changes {
  /** Fresh deliveries, in the order of their numbers. */
  readonly created: CreatedDelivery[] = [];
  readonly granted: Grant[] = [];
  readonly ended: DeliveryNumbers[] = [];
  /** Ended from outside, maybe under the hands of who attempts them. */
  readonly cancelled: DeliveryNumbers[] = [];
  /** Cancelled claims of which nothing more is to come. */
  readonly settled: Grant[] = [];
  /** By how much the numbers of deliveries change, by subscription; written once at the end. */
  readonly counts = new Map<number, CountChange>();
  /** What is to be tallied at the end of the transaction. */
  readonly attempts: TalliedAttempt[] = [];
  /** Written once at the end of the transaction, the last one said, by subscription. */
  readonly health = new Map<number, Health>();
  /** The deliveries that it changes; undefined while nobody wants to know. */
  readonly touched: Set<number> | undefined;

  constructor({ watched }: { watched: boolean }) {
    this.touched = watched ? new Set() : undefined;
  }

  create(created: CreatedDelivery): void {
    this.created.push(created);
    this.count(created.subscription, "pending", 1);
    this.touched?.add(created.seq);
  }

  /** A delivery became final. */
  finish({ subscription, seq }: DeliveryNumbers, state: DeliveryState): void {
    this.count(subscription, "pending", -1);
    this.count(subscription, state, 1);
    this.touched?.add(seq);
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

/** A delivery by numbers. */
export interface DeliveryNumbers {
  readonly subscription: number;
  readonly seq: number;
}

/** A delivery that was just stored. */
export interface CreatedDelivery extends DeliveryNumbers {
  readonly createdAt: Instant;
  readonly cause: DeliveryCause;
}

type CountChange = { [state in DeliveryState]: number };
