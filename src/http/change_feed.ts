import type { Change, OutboxReader } from "../outbox/reader.ts";
import type { Clock } from "../runtime/clock.ts";

/** How many changes are kept for clients that reconnect with a `Last-Event-ID`. */
const KEPT = 10_000;
/** How long changes are kept after the last listener has left. */
const LINGER_MS = 5 * 60_000;

export interface NumberedChange {
  /** Increases by one with each change. */
  readonly number: number;
  readonly change: Change;
}

/** Numbers the stored changes, and keeps the latest for clients that reconnect. */
export class ChangeFeed {
  /** Identifies this run of the daemon: numbers are valid only within one run. */
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

  /** The changes after this number; undefined if some of them aren't kept. */
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

  /** Drops all changes and stops watching. */
  close(): void {
    this.#cancelLinger?.();
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#kept = [];
    // Skip a number, so that clients that reconnect see a gap.
    this.#lastNumber++;
  }

  #take(changes: readonly Change[]): void {
    const numbered = changes.map((change) => ({ number: ++this.#lastNumber, change }));
    this.#kept.push(...numbered);
    if (this.#kept.length > 2 * KEPT) this.#kept = this.#kept.slice(-KEPT);
    for (const listener of this.#listeners) listener(numbered);
  }
}
