import { setImmediate } from "node:timers";
import { DataDamaged, OutboxUnavailable } from "../errors.ts";
import type { TimedCommit } from "../outbox.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { UNREADABLE } from "./damage.ts";
import type { Journal } from "./journal.ts";
import {
  type Answer,
  type AnswerOf,
  isDispensable,
  type Operation,
  type OperationKind,
  rowsOf,
} from "./operations.ts";
import type { OwnFiles } from "./own_files.ts";
import type { Applied, Store } from "./store.ts";
import type { Trust } from "./trust.ts";
import type { Watchers } from "./watchers.ts";

/** At most this many rows a commit, so that none holds up the loop for long. */
export const COMMIT_ROWS = 500;

/** So often something is tried that comes upon damaged pages, each time upon others. */
const MOST_TRIES = 10;

interface Waiting {
  readonly operation: Operation;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

interface Parts {
  readonly store: Store;
  /** None where commits are durable by themselves, or never. */
  readonly journal: Journal | undefined;
  readonly files: OwnFiles | undefined;
  readonly trust: Trust;
  readonly checkpoints: Checkpoints;
  readonly watchers: Watchers;
  /** Why nothing is asked of the database any more. */
  readonly refusal: () => Error | undefined;
}

/**
 * Groups operations into commits. Whatever is asked for in one turn of the event loop, or while a commit
 * waits for the disk, shares the next commit: its fsync is what a change costs.
 */
export class Commits {
  /** Each commit is carried out within this. */
  timed: TimedCommit = (commit) => commit();
  readonly #parts: Parts;
  #queue: Waiting[] = [];
  /** A commit is about to begin, or waits for the disk. */
  #isDue = false;
  /** In the next turn of the loop something is counted. */
  #isCountDue = false;
  #onIdle: (() => void) | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  submit<Kind extends OperationKind>(
    operation: Operation & { readonly kind: Kind },
  ): Promise<AnswerOf<Kind>> {
    return new Promise((resolve, reject) => {
      const refusal = this.#parts.refusal();
      if (refusal) return reject(refusal);
      // The store answers each operation with its own kind of answer.
      this.#queue.push({ operation, resolve: resolve as (answer: Answer) => void, reject });
      this.#schedule();
    });
  }

  /** Resolves once all that was submitted is answered. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isDue) this.#onIdle = resolve;
      else resolve();
    });
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    // Not a timer, not a microtask: everything this turn of the loop brings comes along.
    setImmediate(() => void this.#next());
  }

  async #next(): Promise<void> {
    await this.#commit(this.#takeBatch());
    await this.#parts.checkpoints.afterCommit();
    this.#countOn();
    this.#isDue = false;
    if (this.#queue.length > 0) this.#schedule();
    else this.#onIdle?.();
  }

  /** Counts what is to be counted, a little in each turn of the loop, so that nobody waits for it. */
  #countOn(): void {
    const { store, trust, refusal } = this.#parts;
    if (this.#isCountDue || refusal() || !store.isCounting) return;
    this.#isCountDue = true;
    setImmediate(() => {
      this.#isCountDue = false;
      if (refusal()) return;
      try {
        store.countOn();
        this.#countOn();
      } catch (error) {
        // Whoever commits next finds out, and has it tried again.
        trust.judge(error);
      }
    });
  }

  /**
   * What the next commit carries out: of new events and of everything else the oldest, each as much as
   * fits. Apart, since what is on its way out would otherwise wait behind lists of a thousand events.
   * One that is too large for a commit has one without others of its sort.
   */
  #takeBatch(): Waiting[] {
    const batch: Waiting[] = [], later: Waiting[] = [];
    const rows = { events: 0, others: 0 };
    // What came before a step of the clock moves with it, and what came after it does not.
    const isOrdered = this.#queue.some(isClockStep);
    for (const waiting of this.#queue) {
      const sort = waiting.operation.kind === "enqueue" && !isOrdered ? "events" : "others";
      const before = rows[sort];
      rows[sort] += rowsOf(waiting.operation);
      (rows[sort] > COMMIT_ROWS && before > 0 ? later : batch).push(waiting);
    }
    this.#queue = later;
    return batch;
  }

  /** Answers all of a batch, once it is durable or is not stored. */
  async #commit(batch: readonly Waiting[], tries = 1): Promise<void> {
    const { store, trust, watchers } = this.#parts;
    let applied: Applied;
    const { commits } = store;
    try {
      if (trust.failure) throw trust.failure;
      const operations = batch.map(({ operation }) => operation);
      applied = await this.timed(() => this.#apply(operations), {
        ofEvents: shareOfEvents(operations),
      });
      trust.unavailable = undefined;
    } catch (error) {
      return await this.#failed(batch, { error, isUndone: store.commits === commits, tries });
    }
    for (const [i, { resolve }] of batch.entries()) resolve(applied.answers[i]!);
    await watchers.tell(applied);
  }

  /** Others may read meanwhile what is not durable yet; nobody is told that it is. */
  async #apply(operations: readonly Operation[]): Promise<Applied> {
    const { store, files, journal, watchers } = this.#parts;
    files?.assertJournal();
    const applied = store.apply(operations, { watched: watchers.areThere });
    files?.committed();
    await journal?.sync();
    return applied;
  }

  async #failed(
    batch: readonly Waiting[],
    { error, isUndone, tries }: { error: unknown; isUndone: boolean; tries: number },
  ): Promise<void> {
    const { trust } = this.#parts;
    const isDamage = isUndone && trust.isDamage(error);
    // What is damaged is remembered, and the next try goes without it.
    if (isDamage && batch.length === 1 && tries < MOST_TRIES) {
      return await this.#commit(batch, tries + 1);
    }
    const isRefused = isDamage && (batch.length > 1 || isDispensable(batch[0]!.operation));
    const judged = isRefused ? new DataDamaged(UNREADABLE, { cause: error }) : trust.judge(error);
    if (judged instanceof OutboxUnavailable) trust.unavailable = judged;
    const isOfOne = isRefused || judged === error && !(judged instanceof OutboxUnavailable) &&
        judged !== trust.failure;
    // One that can't be stored, by a fault of ours or a damaged row, must not take its neighbours
    // along. What is committed all the same must not be done twice.
    if (isOfOne && isUndone && batch.length > 1) {
      for (const waiting of batch) await this.#commit([waiting]);
    } else for (const { reject } of [...batch, ...this.#queuedAfter(batch)]) reject(judged);
  }

  /** What reckons with a step of the clock that could not be stored, and would move with it again. */
  #queuedAfter(batch: readonly Waiting[]): Waiting[] {
    return batch.some(isClockStep) ? this.#queue.splice(0) : [];
  }
}

function isClockStep({ operation: { kind } }: Waiting): boolean {
  return kind === "shiftDue";
}

/** How much of a commit's rows are publishers' events and their deliveries. */
function shareOfEvents(operations: readonly Operation[]): number {
  let events = 0, all = 0;
  for (const operation of operations) {
    const rows = rowsOf(operation);
    all += rows;
    if (operation.kind === "enqueue") events += rows;
  }
  return all === 0 ? 0 : events / all;
}
