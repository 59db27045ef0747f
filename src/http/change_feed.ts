import type { Change, OutboxReader } from "../outbox/outbox.ts";
import type { Clock } from "../runtime/clock.ts";

/** How many changes are kept for those who come back with a `Last-Event-ID`. */
const KEPT = 10_000;
/** How long changes go on being kept after the last listener has left. */
const LINGER_MS = 5 * 60_000;

export interface NumberedChange {
  /** Goes up by one with each change. */
  readonly number: number;
  readonly change: Change;
}

/** What becomes durable, numbered, with a memory for listeners that were away for a moment. */
export class ChangeFeed {
  /** Numbers mean nothing to another run of the daemon; this tells the runs apart. */
  readonly run: string;
  readonly #reader: OutboxReader;
  readonly #clock: Clock;
  readonly #listeners = new Set<(changes: readonly NumberedChange[]) => void>();
  #kept: NumberedChange[] = [];
  #lastNumber = 0;
  #stopWatching: (() => void) | undefined;
  #cancelLinger: (() => void) | undefined;

  constructor({ reader, clock }: { reader: OutboxReader; clock: Clock }) {
    this.#reader = reader;
    this.#clock = clock;
    this.run = clock.wall().toString(36);
  }

  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** What came after that number; undefined where some of it is no longer, or not yet, kept. */
  since(number: number): readonly NumberedChange[] | undefined {
    if (number === this.#lastNumber) return [];
    const first = this.#kept[0]?.number;
    if (first === undefined || number < first - 1 || number > this.#lastNumber) return undefined;
    return this.#kept.slice(number - first + 1);
  }

  listen(listener: (changes: readonly NumberedChange[]) => void): () => void {
    this.#cancelLinger?.();
    this.#listeners.add(listener);
    this.#stopWatching ??= this.#reader.watch((changes) => this.#take(changes));
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#cancelLinger = this.#clock.after(LINGER_MS, () => this.close());
    };
  }

  /** Forgets everything and stops watching. */
  close(): void {
    this.#cancelLinger?.();
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#kept = [];
    // A number that was never given marks the gap for whoever comes back.
    this.#lastNumber++;
  }

  #take(changes: readonly Change[]): void {
    const numbered = changes.map((change) => ({ number: ++this.#lastNumber, change }));
    this.#kept.push(...numbered);
    if (this.#kept.length > 2 * KEPT) this.#kept = this.#kept.slice(-KEPT);
    for (const listener of this.#listeners) listener(numbered);
  }
}
