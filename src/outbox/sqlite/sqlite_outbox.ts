import type { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { Attempt } from "../../domain/attempt.ts";
import type { Delivery } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import { OutboxFailed, OutboxUnavailable } from "../outbox.ts";
import type {
  AnswerCount,
  Audit,
  Backlog,
  Change,
  Claim,
  Claimed,
  ClaimRequest,
  Counts,
  DeliveryFilter,
  DueBacklog,
  Enqueue,
  Enqueued,
  EventFilter,
  HistoryEntry,
  HistoryFilter,
  Outbox,
  OutboxReader,
  Page,
  Pruned,
  Recording,
  RememberedEntry,
  Replay,
  ReplayFilter,
  ReplayStep,
  StoredDelivery,
  StoredEvent,
  Tally,
  TallyRequest,
} from "../outbox.ts";
import { IN_MEMORY, type Migrating, openReading, openWriter } from "./connection.ts";
import { faultOf, unopened } from "./faults.ts";
import { Journal } from "./journal.ts";
import { type Lock, lockDatabase } from "./lock.ts";
import type { PruneRequest } from "./pruning.ts";
import { SqliteReader } from "./reader.ts";
import type { ReplayBeginning } from "./replaying.ts";
import { type Answer, type Answers, type Applied, type Operation, Store } from "./store.ts";

/**
 * Opens the outbox in a SQLite file, creating it if need be, or in `:memory:`. One process at a time.
 * A file with an older schema is copied before it is changed.
 * Throws OutboxLocked, NewerSchemaError, NotOurDatabaseError, OutboxFailed where it is corrupt.
 */
export async function openSqliteOutbox(
  path: string,
  migrating: Migrating = {},
): Promise<SqliteOutbox> {
  if (path === IN_MEMORY) {
    const db = await openWriter(path);
    return new SqliteOutbox(path, { store: new Store(db), reader: new SqliteReader(db) });
  }
  const { file, lock } = await lockedFile(path);
  let db: DatabaseSync | undefined;
  try {
    db = await openWriter(file, migrating);
    const store = new Store(db);
    const reader = new SqliteReader(openReading(file, migrating.migrations));
    const journal = await Journal.takeOver(db, file);
    return new SqliteOutbox(file, { store, reader, journal, lock });
  } catch (error) {
    db?.close();
    lock.release();
    throw unopened(faultOf(error, file), file);
  }
}

async function lockedFile(path: string): Promise<{ file: string; lock: Lock }> {
  try {
    const file = await resolve(path);
    return { file, lock: await lockDatabase(file) };
  } catch (error) {
    throw unopened(error as Error, path);
  }
}

/** One name for a file, so that a link to it does not pass the lock by. */
async function resolve(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path;
    throw error;
  }
}

/** At most this many rows a commit, so that none holds up the loop for long. */
const COMMIT_ROWS = 500;

/** So many changed deliveries are read at once for whoever watches. */
const TOLD_AT_ONCE = 500;

/**
 * How many pages (4 KiB each) may wait in the journal before they are moved into the database. Few, for
 * while the database is synced the commits' own syncs take as long: the pages of an old one lie
 * scattered, and two thousand take nine milliseconds.
 */
export const JOURNAL_PAGES = 400;

/** By how much it may grow before commits wait for its last pages, so that the next one begins it anew. */
const LONG_JOURNAL_PAGES = 6_000;

/** So few last pages are moved and synced within two milliseconds. */
const LAST_PAGES = 250;

/** By how much it may grow before commits wait for however many there are. */
const TOO_LONG_JOURNAL_PAGES = 12_000;

/** After so many commits its length is asked for: to ask takes half as long as to store an event. */
export const COMMITS_BETWEEN_LOOKS = 4;

interface Parts {
  readonly store: Store;
  readonly reader: SqliteReader;
  /** None where commits are durable by themselves, or never. */
  readonly journal?: Journal;
  /** None in memory, where writer and reader share one connection. */
  readonly lock?: Lock;
}

/**
 * Carries a commit out, and measures it: what holds the loop is over when `commit` returns, and the
 * disk when it resolves. `ofEvents` is the share of its rows that publishers' events have.
 */
export type TimedCommit = <Value>(
  commit: () => Promise<Value>,
  about?: { readonly ofEvents: number },
) => Promise<Value>;

interface Waiting {
  readonly operation: Operation;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * The outbox in SQLite. Whatever is asked for in one turn of the event loop, or while a commit waits for
 * the disk, shares the next commit: its fsync is what a change costs.
 */
export class SqliteOutbox implements Outbox, OutboxReader {
  /** Resolves when the storage can no longer be trusted: the process must end. */
  readonly failed: Promise<OutboxFailed>;
  readonly #path: string;
  readonly #store: Store;
  readonly #reader: SqliteReader;
  readonly #journal: Journal | undefined;
  readonly #lock: Lock | undefined;
  readonly #tellFailed: (error: OutboxFailed) => void;
  #timed: TimedCommit = (commit) => commit();
  #queue: Waiting[] = [];
  /** A commit is about to begin, or waits for the disk. */
  #isCommitDue = false;
  /** What the journal holds is being moved into the database. */
  #moving: Promise<void> | undefined;
  /** How many commits there were since its length was asked for. */
  #unlooked = 0;
  /** How long it was when commits last waited for its end; whoever reads in it keeps it as it is. */
  #endedAt = 0;
  #failure: OutboxFailed | undefined;
  /** What the last commit failed with, if it did and another may work. */
  #unavailable: OutboxUnavailable | undefined;
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  #closed: PromiseWithResolvers<void> | undefined;

  constructor(path: string, { store, reader, journal, lock }: Parts) {
    this.#path = path;
    this.#store = store;
    this.#reader = reader;
    this.#journal = journal;
    this.#lock = lock;
    const { promise, resolve } = Promise.withResolvers<OutboxFailed>();
    this.failed = promise;
    this.#tellFailed = resolve;
  }

  /** Transactions committed so far. */
  get commits(): number {
    return this.#store.commits;
  }

  /** From now on, each commit is carried out within this. */
  timeCommits(timed: TimedCommit): void {
    this.#timed = timed;
  }

  enqueue(request: Enqueue): Promise<Enqueued> {
    return this.#submit({ kind: "enqueue", request });
  }

  record(recording: Recording): Promise<boolean> {
    return this.#submit({ kind: "record", recording });
  }

  hasten(deliveryId: string, now: Instant): Promise<boolean> {
    return this.#submit({ kind: "hasten", deliveryId, now });
  }

  redeliver(deliveryId: string, now: Instant): Promise<Delivery | undefined> {
    return this.#submit({ kind: "redeliver", deliveryId, now });
  }

  async cancel(deliveryIds: readonly string[], reason: string, now: Instant): Promise<number> {
    const cancelled: Promise<number>[] = [];
    for (let from = 0; from < deliveryIds.length; from += COMMIT_ROWS) {
      const some = deliveryIds.slice(from, from + COMMIT_ROWS);
      cancelled.push(this.#submit({ kind: "cancel", deliveryIds: some, reason, now }));
    }
    return (await Promise.all(cancelled)).reduce((sum, count) => sum + count, 0);
  }

  setHealth(subscription: string, health: Health, history?: HistoryEntry): Promise<void> {
    return this.#submit({ kind: "setHealth", subscription, health, history });
  }

  remember(entry: HistoryEntry): Promise<void> {
    return this.#submit({ kind: "remember", entry });
  }

  async startReplay(beginning: ReplayBeginning): Promise<Replay> {
    const number = await this.#submit({ kind: "beginReplay" });
    const total = await this.#read(() => this.#reader.countReplay(beginning.filter, number));
    return await this.#submit({ kind: "openReplay", opening: { beginning, number, total } });
  }

  stepReplay(
    id: string,
    { limit, at }: { readonly limit: number; readonly at: Instant },
  ): Promise<ReplayStep> {
    return this.#submit({ kind: "stepReplay", request: { id, limit, at } });
  }

  shiftDue(from: Instant, byMs: number): Promise<void> {
    return this.#submit({ kind: "shiftDue", from, byMs });
  }

  prune(before: PruneRequest): Promise<Pruned> {
    return this.#submit({ kind: "prune", before });
  }

  async unavailableBecause(): Promise<string | undefined> {
    const refusal = this.#refusal();
    if (refusal) return refusal.message;
    if (!this.#unavailable) return undefined;
    try {
      await this.#submit({ kind: "probe" });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  // What follows needs no commit: it runs at once.

  claim(request: ClaimRequest): Promise<Claimed> {
    return this.#read(() => this.#store.claim(request));
  }

  release(claims: readonly Claim[]): Promise<void> {
    return this.#read(() => this.#store.release(claims));
  }

  nextDue(): Promise<ReadonlyMap<string, Instant>> {
    return this.#read(() => this.#store.nextDue());
  }

  pending(): Promise<ReadonlyMap<string, number>> {
    return this.#read(() => this.#store.pending());
  }

  event(id: string): Promise<StoredEvent | undefined> {
    return this.#read(() => this.#reader.event(id));
  }

  delivery(id: string): Promise<StoredDelivery | undefined> {
    return this.#read(() => this.#reader.delivery(id));
  }

  deliveriesOf(eventId: string): Promise<Delivery[]> {
    return this.#read(() => this.#reader.deliveriesOf(eventId));
  }

  attempts(deliveryId: string): Promise<Attempt[]> {
    return this.#read(() => this.#reader.attempts(deliveryId));
  }

  deliveries(filter: DeliveryFilter): Promise<Page<Delivery>> {
    return this.#read(() => this.#reader.deliveries(filter));
  }

  events(filter: EventFilter): Promise<Page<StoredEvent>> {
    return this.#read(() => this.#reader.events(filter));
  }

  health(): Promise<ReadonlyMap<string, Health>> {
    return this.#read(() => this.#reader.health());
  }

  counts(): Promise<ReadonlyMap<string, Counts>> {
    return this.#read(() => this.#reader.counts());
  }

  async countReplay(filter: ReplayFilter): Promise<number> {
    // It looks by the indexes, and what has just finished is in none yet.
    await this.#submit({ kind: "index" });
    return await this.#read(() => this.#reader.countReplay(filter));
  }

  replay(id: string): Promise<Replay | undefined> {
    return this.#read(() => this.#reader.replay(id));
  }

  openReplays(): Promise<Replay[]> {
    return this.#read(() => this.#reader.openReplays());
  }

  history(filter: HistoryFilter): Promise<Page<RememberedEntry>> {
    return this.#read(() => this.#reader.history(filter));
  }

  tallies(request: TallyRequest): Promise<Tally[]> {
    return this.#read(() => this.#reader.tallies(request));
  }

  answers(request: TallyRequest): Promise<AnswerCount[]> {
    return this.#read(() => this.#reader.answers(request));
  }

  backlog(): Promise<ReadonlyMap<string, Backlog>> {
    return this.#read(() => this.#reader.backlog());
  }

  due(now: Instant): Promise<ReadonlyMap<string, DueBacklog>> {
    return this.#read(() => this.#reader.due(now));
  }

  audit(): Promise<Audit> {
    return this.#read(() => this.#reader.audit());
  }

  watch(listener: (changes: readonly Change[]) => void): () => void {
    // Of its own, so that one function can watch twice.
    const own = (changes: readonly Change[]) => listener(changes);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = Promise.withResolvers<void>();
      if (!this.#isCommitDue) void this.#letGo();
    }
    return this.#closed.promise;
  }

  #submit<Kind extends Operation["kind"]>(
    operation: Operation & { readonly kind: Kind },
  ): Promise<Answers[Kind]> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal();
      if (refusal) return reject(refusal);
      // The store answers each operation with its own kind of answer.
      this.#queue.push({ operation, resolve: resolve as (answer: Answer) => void, reject });
      this.#scheduleCommit();
    });
  }

  async #read<Value>(read: () => Value | Promise<Value>): Promise<Value> {
    const refusal = this.#refusal();
    if (refusal) throw refusal;
    try {
      return await read();
    } catch (error) {
      // What was asked before it closed, and takes several turns, finds it closed.
      throw this.#refusal() ?? this.#judge(error);
    }
  }

  #refusal(): Error | undefined {
    if (this.#failure) return this.#failure;
    if (this.#closed) {
      return new OutboxUnavailable(`"${this.#path}" is closed: Bellhook is stopping`);
    }
    return undefined;
  }

  #scheduleCommit(): void {
    if (this.#isCommitDue) return;
    this.#isCommitDue = true;
    // Not a timer, not a microtask: everything this turn of the loop brings comes along.
    setImmediate(() => void this.#commitNext());
  }

  async #commitNext(): Promise<void> {
    await this.#commit(this.#takeBatch());
    await this.#checkpoint();
    this.#isCommitDue = false;
    if (this.#queue.length > 0) this.#scheduleCommit();
    else if (this.#closed) await this.#letGo();
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
    const isOrdered = this.#queue.some(({ operation: { kind } }) => kind === "shiftDue");
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
  async #commit(batch: readonly Waiting[]): Promise<void> {
    let applied: Applied;
    try {
      if (this.#failure) throw this.#failure;
      const operations = batch.map(({ operation }) => operation);
      applied = await this.#timed(() => this.#apply(operations), {
        ofEvents: shareOfEvents(operations),
      });
      this.#unavailable = undefined;
    } catch (error) {
      const judged = this.#judge(error);
      if (judged instanceof OutboxUnavailable) this.#unavailable = judged;
      const isOurs = judged === error && judged !== this.#failure;
      // One that can't be stored, by a fault of ours, must not take its neighbours along.
      if (isOurs && batch.length > 1) {
        for (const waiting of batch) await this.#commit([waiting]);
      } else for (const { reject } of batch) reject(judged);
      return;
    }
    for (const [i, { resolve }] of batch.entries()) resolve(applied.answers[i]!);
    await this.#tell(applied);
  }

  /** Others may read meanwhile what is not durable yet; nobody is told that it is. */
  async #apply(operations: readonly Operation[]): Promise<Applied> {
    const applied = this.#store.apply(operations, { watched: this.#listeners.size > 0 });
    await this.#journal?.sync();
    return applied;
  }

  /** Nothing that goes wrong here undoes the commit, or may look as if it had. */
  async #tell({ deliveries, subscriptions }: Applied): Promise<void> {
    const changed = [...deliveries];
    for (let from = 0; from < changed.length; from += TOLD_AT_ONCE) {
      if (from > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const some = changed.slice(from, from + TOLD_AT_ONCE);
      try {
        this.#tellAll(
          this.#store.deliveries(some).map((delivery) => ({ kind: "delivery", delivery })),
        );
      } catch (error) {
        this.#judge(error);
      }
    }
    if (subscriptions.size === 0) return;
    this.#tellAll(
      Array.from(subscriptions, ([subscription, health]) => ({
        kind: "subscription",
        subscription,
        health,
        pending: this.#store.pendingOf(subscription),
      })),
    );
  }

  #tellAll(changes: readonly Change[]): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(changes);
      } catch {
        // Its own trouble.
      }
    }
  }

  /**
   * Has what waits in the journal moved over, now that all of it is on the disk. Commits go on
   * meanwhile at its end, until it is so long that it must be begun anew: then they wait, but only
   * for what has come since most of it was moved.
   */
  async #checkpoint(): Promise<void> {
    if (this.#failure || !this.#journal || ++this.#unlooked < COMMITS_BETWEEN_LOOKS) return;
    this.#unlooked = 0;
    try {
      const { all, waiting } = this.#store.journal();
      if (all < this.#endedAt) this.#endedAt = 0;
      const grown = all - this.#endedAt;
      const isLong = grown >= LONG_JOURNAL_PAGES;
      if (grown >= TOO_LONG_JOURNAL_PAGES || isLong && !this.#moving && waiting < LAST_PAGES) {
        await this.#moving;
        // What was moved before may have failed meanwhile.
        if (!this.#failure) await this.#move(this.#journal);
        this.#endedAt = all;
      } else if (waiting >= JOURNAL_PAGES) {
        this.#moving ??= this.#move(this.#journal);
      }
    } catch (error) {
      this.#judge(error);
    }
  }

  async #move(journal: Journal): Promise<void> {
    try {
      await journal.move(() => this.#store.checkpoint());
    } catch (error) {
      // A full or busy disk is left to the next commit to tell: the journal holds all that counts.
      this.#judge(error);
    } finally {
      this.#moving = undefined;
    }
  }

  /** What a thrown thing means to callers; marks the outbox as failed where it must be. */
  #judge(error: unknown): Error {
    const fault = faultOf(error, this.#path);
    if (fault instanceof OutboxFailed && !this.#failure) {
      this.#failure = fault;
      this.#tellFailed(fault);
    }
    return fault;
  }

  async #letGo(): Promise<void> {
    const closed = this.#closed!;
    await this.#moving;
    try {
      if (this.#failure) this.#closeUntouched();
      else this.#closeAsOneFile();
      closed.resolve();
    } catch (error) {
      closed.reject(this.#judge(error));
    } finally {
      this.#journal?.close();
      this.#lock?.release();
    }
  }

  #closeAsOneFile(): void {
    if (this.#lock) this.#reader.close();
    this.#journal?.leave();
    try {
      this.#store.emptyJournal();
    } catch (error) {
      // On a full disk the journal stays beside the file, and is as durable there.
      if (!(this.#judge(error) instanceof OutboxUnavailable)) throw error;
    } finally {
      this.#store.close();
    }
  }

  /** The last connection to close moves the journal over, unless it is one that only reads. */
  #closeUntouched(): void {
    this.#store.close();
    if (this.#lock) this.#reader.close();
    this.#journal?.leave();
  }
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

/** About how many rows an operation writes. */
function rowsOf(operation: Operation): number {
  switch (operation.kind) {
    case "enqueue":
      return operation.request.events.reduce(
        (rows, { deliveries }) => rows + 1 + deliveries.length,
        0,
      );
    case "record":
      return 2;
    case "cancel":
      return operation.deliveryIds.length;
    case "prune":
      return operation.before.limit;
    case "stepReplay":
      return operation.request.limit;
    default:
      return 1;
  }
}
