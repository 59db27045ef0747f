import type { Health } from "../../domain/health.ts";
import type { Grant } from "./claims.ts";

/** What a transaction changes beside its rows; it comes to count when the commit is through. */
export class Changes {
  readonly granted: Grant[] = [];
  readonly ended: { readonly subscription: number; readonly seq: number }[] = [];
  /** By how much the number of pending deliveries changes, by subscription. */
  readonly pending = new Map<number, number>();
  /** Written once at the end of the transaction, the last one said, by subscription. */
  readonly health = new Map<number, Health>();

  addPending(subscription: number, by: number): void {
    this.pending.set(subscription, (this.pending.get(subscription) ?? 0) + by);
  }

  /** A delivery became final. */
  finish(subscription: number, seq: number): void {
    this.addPending(subscription, -1);
    this.ended.push({ subscription, seq });
  }
}
