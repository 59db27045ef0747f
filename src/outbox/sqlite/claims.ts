/** Who may attempt what, in memory alone: whoever dies, what was pending and due is so still. */
export class Claims {
  readonly #tokens = new Map<number, Map<number, number>>();
  #lastToken = 0;

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
}

/** A claim by numbers. */
export interface Grant {
  readonly subscription: number;
  readonly seq: number;
  readonly token: number;
}
