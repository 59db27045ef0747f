import type { DeliveryCause, DeliveryState } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Grant } from "./claims.ts";

/** What a transaction changes beside its rows; it comes to count when the commit is through. */
export class Changes {
  /** New deliveries, in the order of their numbers. */
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
  /** By how much counts change for what no attempt tells; written once at the end. */
  readonly counts = new Map<number, CountChange>();
  /** Written once at the end of the transaction, the last one said, by subscription. */
  readonly health = new Map<number, Health>();
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

  /** A delivery became final. */
  finish({ subscription, seq }: DeliveryNumbers): void {
    this.finished.push(seq);
    this.finishDamaged({ subscription, seq });
  }

  /** The same of one whose event can't be read any more: nobody is to ask whose it was. */
  finishDamaged({ subscription, seq }: DeliveryNumbers): void {
    this.#wait(subscription, -1);
    this.touched?.add(seq);
  }

  /** One that was pending became final without an attempt that says so. */
  countEnd(subscription: number, state: DeliveryState): void {
    this.count(subscription, "pending", -1);
    this.count(subscription, state, 1);
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
