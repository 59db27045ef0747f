import { OutboxFailed, OutboxUnavailable } from "../errors.ts";
import type { TimedCommit } from "../outbox.ts";

/** Carries changes out, each as a commit of its own, until one fails for good. */
export class Commits {
  readonly failed: Promise<OutboxFailed>;
  timed: TimedCommit = (commit) => commit();
  count = 0;
  readonly #fail: (failure: OutboxFailed) => void;
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;
  /** Why the last one could not be carried out. */
  #refused: OutboxFailed | OutboxUnavailable | undefined;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<OutboxFailed>();
    this.failed = promise;
    this.#fail = resolve;
  }

  async run<Value>(change: () => Value, about?: { readonly ofEvents: number }): Promise<Value> {
    this.assertOpen();
    const committing = this.#carryOut(change, about);
    this.#underWay.add(committing);
    try {
      const answer = await committing;
      this.#refused = undefined;
      return answer;
    } catch (error) {
      if (error instanceof OutboxFailed) this.#fail(this.#refused = error);
      if (error instanceof OutboxUnavailable) this.#refused = error;
      throw error;
    } finally {
      this.#underWay.delete(committing);
    }
  }

  async #carryOut<Value>(change: () => Value, about?: { readonly ofEvents: number }) {
    return await this.timed(() => {
      const answer = change();
      this.count++;
      return Promise.resolve(answer);
    }, about);
  }

  assertOpen(): void {
    if (this.#refused instanceof OutboxFailed) throw this.#refused;
    if (this.#isClosed) {
      throw new OutboxUnavailable("the outbox in memory is closed: Bellhook is stopping");
    }
  }

  async unavailableBecause(): Promise<string | undefined> {
    if (!this.#refused && !this.#isClosed) return undefined;
    try {
      await this.run(() => {});
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }
}
