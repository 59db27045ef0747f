import type { Claim } from "../outbox.ts";
import { parseDeliveryId } from "../ids.ts";
import type { Names } from "./names.ts";

/** Who may attempt what, in memory alone: whoever dies, what was pending and due is so still. */
export class Claims {
  readonly #tokens = new Map<number, Map<number, number>>();
  /** Tokens of deliveries that were cancelled while claimed, by delivery, the oldest first. */
  readonly #cancelled = new Map<number, number>();
  readonly #subscriptions: Names;
  #lastToken = 0;

  constructor(subscriptions: Names) {
    this.#subscriptions = subscriptions;
  }

  /** A claim by numbers; undefined where its delivery's id or subscription is none of ours. */
  grantOf({ delivery, token }: Claim): Grant | undefined {
    const seq = parseDeliveryId(delivery.id)?.seq;
    const subscription = this.#subscriptions.find(delivery.subscription);
    return seq === undefined || subscription === undefined
      ? undefined
      : { subscription, seq, token };
  }

  /** A token that no claim has had; it counts once it is granted. */
  nextToken(): number {
    return ++this.#lastToken;
  }

  grant({ subscription, seq, token }: Grant): void {
    let ofSubscription = this.#tokens.get(subscription);
    if (!ofSubscription) this.#tokens.set(subscription, ofSubscription = new Map());
    ofSubscription.set(seq, token);
  }

  holds({ subscription, seq, token }: Grant): boolean {
    return this.#tokens.get(subscription)?.get(seq) === token;
  }

  isClaimed(subscription: number, seq: number): boolean {
    return this.#tokens.get(subscription)?.has(seq) ?? false;
  }

  /** How many deliveries of a subscription are claimed. */
  count(subscription: number): number {
    return this.#tokens.get(subscription)?.size ?? 0;
  }

  end(subscription: number, seq: number): void {
    const ofSubscription = this.#tokens.get(subscription);
    if (ofSubscription?.delete(seq) && ofSubscription.size === 0) this.#tokens.delete(subscription);
  }

  /** Ends a claim from outside: whoever held it may have an attempt under way. */
  cancel(subscription: number, seq: number): void {
    const token = this.#tokens.get(subscription)?.get(seq);
    this.end(subscription, seq);
    if (token === undefined) return;
    this.#cancelled.set(seq, token);
    // Who never began the attempt may never say so.
    if (this.#cancelled.size > REMEMBERED) {
      this.#cancelled.delete(this.#cancelled.keys().next().value!);
    }
  }

  /** Whether this was the claim that a cancel ended, and its attempt is not on record yet. */
  wasCancelled({ seq, token }: Grant): boolean {
    return this.#cancelled.get(seq) === token;
  }

  /** Nothing more is to come of a cancelled claim. */
  forget(grant: Grant): void {
    if (this.wasCancelled(grant)) this.#cancelled.delete(grant.seq);
  }
}

/** More than can be under way at once. */
const REMEMBERED = 10_000;

/** A claim by numbers. */
export interface Grant {
  readonly subscription: number;
  readonly seq: number;
  readonly token: number;
}
