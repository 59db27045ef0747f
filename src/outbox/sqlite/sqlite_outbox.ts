import { setImmediate } from "node:timers";
import type { Attempt } from "../../domain/attempt.ts";
import type { Delivery } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import { DataDamaged, LONG_JOURNAL_BYTES, OutboxFailed, OutboxUnavailable } from "../outbox.ts";
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
  ExhaustedDigest,
  FoundEvent,
  HistoryEntry,
  HistoryFilter,
  KeptTimes,
  LongJournal,
  NewEvent,
  Outbox,
  OutboxReader,
  PacedStart,
  Page,
  Pruned,
  PrunedKind,
  PruneRequest,
  Recording,
  RememberedEntry,
  Replay,
  ReplayEntry,
  ReplayFilter,
  ReplayLimits,
  ReplayStep,
  SeenTypes,
  Space,
  StoredDelivery,
  StoredEvent,
  Tally,
  TallyRequest,
} from "../outbox.ts";
import { IN_MEMORY, openReading, openWriter } from "./connection.ts";
import { isCorrupt, UNREADABLE } from "./damage.ts";
import { faultOf } from "./faults.ts";
import { Journal } from "./journal.ts";
import { journalReaders } from "./journal_readers.ts";
import { DatabaseLock, type Lock } from "./lock.ts";
import { FilesChanged, OwnFiles } from "./own_files.ts";
import { SqliteReader } from "./reader.ts";
import { ReadingThread } from "./reading_thread.ts";
import type { ReplayBeginning } from "./replaying.ts";
import { assertComplete, assertNotAbandoned, HEAD_BYTES } from "./remains.ts";
import { assertNothingRescued, rescue } from "./rescue.ts";
import { unopened } from "./system_errors.ts";
import { assertDescriptors } from "./write_probe.ts";
import { type Answer, type Answers, type Applied, type Operation, Store } from "./store.ts";
import type { Migrating } from "./upgrade.ts";

/**
 * Opens the outbox in a SQLite file, creating it if need be, or in `:memory:`. One process at a time.
 * A file with an older schema is copied before it is changed. With a clock its files are looked at every
 * second.
 * Throws OutboxLocked, NewerSchemaError, NotOurDatabaseError, OutboxFailed where it is corrupt.
 */
export async function openSqliteOutbox(
  path: string,
  { clock, ...migrating }: Migrating & { readonly clock?: Clock } = {},
): Promise<SqliteOutbox> {
  if (path === IN_MEMORY) {
    const db = await openWriter(path);
    return new SqliteOutbox(path, { store: new Store(db), reader: new SqliteReader(db) });
  }
  const { file, lock } = await lockedFile(path);
  // Closed in this order: first all connections, then what has the database open beside them.
  const open: Partial<Record<"db" | "reading" | "journal", { close(): void }>> = {};
  try {
    assertComplete(file, lock.readHead(HEAD_BYTES), { isAlone: true });
    const db = open.db = await openWriter(file, migrating);
    const reading = open.reading = openReading(file, migrating.migrations);
    const store = new Store(db);
    assertDescriptors(file);
    const journal = open.journal = Journal.takeOver(db, file);
    await journal.begin();
    const files = new OwnFiles(file, store);
    lock.assertSame(file);
    const guard = { files, lock, clock, rescue: (fault: FilesChanged) => rescue(db, fault) };
    return new SqliteOutbox(file, {
      store,
      reader: new SqliteReader(reading, systemClock, new ReadingThread(file, systemClock)),
      journal,
      lock,
      guard,
    });
  } catch (error) {
    if (open.journal instanceof Journal) open.journal.leave();
    open.db?.close();
    open.reading?.close();
    open.journal?.close();
    lock.release();
    throw unopened(faultOf(error, file), file);
  }
}

async function lockedFile(path: string): Promise<{ file: string; lock: DatabaseLock }> {
  let file = path;
  try {
    file = await resolve(path);
    for (const name of new Set([path, file])) assertNothingRescued(name);
    assertNotAbandoned(file);
    return { file, lock: DatabaseLock.take(file) };
  } catch (error) {
    throw unopened(error as Error, file);
  }
}

/** One name for a file, so that a link to it does not pass the lock by. */
async function resolve(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const leadsTo = await Deno.readLink(path).catch(() => undefined);
    if (leadsTo === undefined) return path;
    throw new Error(
      `cannot open "${path}": it is a link to "${leadsTo}", where there is no file; ` +
        "put the database there, or remove the link, or name the file itself in storage.url",
    );
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
  readonly guard?: Guard;
}

/** What notices that other programs take the files away, and what is done then. */
interface Guard {
  readonly files: OwnFiles;
  readonly lock: DatabaseLock;
  readonly clock: Clock | undefined;
  /** Saves what can be saved; answers what happened and what to do. */
  readonly rescue: (fault: FilesChanged) => Promise<string>;
}

/** How often the files are looked at, besides the journal before each commit. */
const LOOK_MS = 1_000;

/** So long publishers and load balancers hear 503 before the door closes. */
const LAST_WORDS_MS = 1_000;

/**
 * Carries a commit out, and measures it: what holds the loop is over when `commit` returns, and the
 * disk when it resolves. `ofEvents` is the share of its rows that publishers' events have.
 */
export type TimedCommit = <Value>(
  commit: () => Promise<Value>,
  about?: { readonly ofEvents: number },
) => Promise<Value>;

/** Where a damaged row stands in the way of these, they are refused, and nothing else is. */
const DISPENSABLE: ReadonlySet<Operation["kind"]> = new Set([
  "hasten",
  "redeliver",
  "cancel",
  "stepReplay",
  "prune",
]);

/** So often something is tried that comes upon damaged pages, each time upon others. */
const MOST_TRIES = 10;

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
  readonly #guard: Guard | undefined;
  #cancelLook: (() => void) | undefined;
  /** What is still read of files that were taken away is being saved. */
  #rescuing: Promise<OutboxFailed> | undefined;
  readonly #tellFailed: (error: OutboxFailed) => void;
  #timed: TimedCommit = (commit) => commit();
  #queue: Waiting[] = [];
  /** A commit is about to begin, or waits for the disk. */
  #isCommitDue = false;
  /** What the journal holds is being moved into the database. */
  #moving: Promise<void> | undefined;
  /** How many commits there were since its length was asked for. */
  #unlooked = 0;
  /** In the next turn of the loop something is counted. */
  #isCountDue = false;
  /** How long it was when commits last waited for its end; whoever reads in it keeps it as it is. */
  #endedAt = 0;
  #failure: OutboxFailed | undefined;
  /** What the last commit failed with, if it did and another may work. */
  #unavailable: OutboxUnavailable | undefined;
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  #closed: PromiseWithResolvers<void> | undefined;

  constructor(path: string, { store, reader, journal, lock, guard }: Parts) {
    this.#path = path;
    this.#store = store;
    this.#reader = reader;
    this.#journal = journal;
    this.#lock = lock;
    this.#guard = guard;
    this.#lookLater();
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

  tellExhausted(
    at: Instant,
    compose: (digest: ExhaustedDigest) => NewEvent | undefined,
  ): Promise<readonly string[]> {
    return this.#submit({ kind: "tellExhausted", at, compose });
  }

  async startReplay(beginning: ReplayBeginning): Promise<Replay> {
    const number = await this.#submit({ kind: "beginReplay" });
    const total = await this.#read(() => this.#reader.countReplay(beginning.filter, number));
    return await this.#submit({ kind: "openReplay", opening: { beginning, number, total } });
  }

  stopReplay(
    id: string,
    { at, entry }: { readonly at: Instant; readonly entry?: ReplayEntry },
  ): Promise<boolean> {
    return this.#submit({ kind: "stopReplay", id, at, entry });
  }

  stepReplay(id: string, limits: ReplayLimits): Promise<ReplayStep> {
    return this.#submit({ kind: "stepReplay", request: { id, ...limits } });
  }

  shiftDue(from: Instant, byMs: number, mark?: TimeMark): Promise<void> {
    return this.#submit({ kind: "shiftDue", from, byMs, mark });
  }

  keepTime(mark: TimeMark): Promise<void> {
    return this.#submit({ kind: "keepTime", mark });
  }

  noteStart(start: PacedStart): Promise<void> {
    return this.#submit({ kind: "noteStart", start });
  }

  prune(request: PruneRequest): Promise<Pruned> {
    return this.#submit({ kind: "prune", request });
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

  async claim(request: ClaimRequest): Promise<Claimed> {
    const { setAside = [], ...claimed } = await this.#readOrFail(() => this.#store.claim(request));
    if (setAside.length === 0) return claimed;
    try {
      await this.#submit({ kind: "endDamaged", damaged: setAside, now: request.now });
    } catch {
      // What can't be written now is found again by the next claim.
      this.#store.giveBackDamaged(setAside);
    }
    return claimed;
  }

  release(claims: readonly Claim[]): Promise<void> {
    return this.#read(() => this.#store.release(claims));
  }

  exhaustedSince(): Promise<Instant | undefined> {
    return this.#read(() => this.#store.exhausted.since());
  }

  timeMark(): Promise<TimeMark | undefined> {
    return this.#read(() => this.#store.timekeeping.mark());
  }

  starts(): Promise<ReadonlyMap<string, readonly Instant[]>> {
    return this.#read(() => this.#store.timekeeping.starts());
  }

  nextDue(): Promise<ReadonlyMap<string, Instant>> {
    return this.#read(() => this.#store.nextDue(this.#reader.turn()));
  }

  pending(): Promise<ReadonlyMap<string, number>> {
    return this.#read(() => this.#store.pending());
  }

  event(id: string, publisher?: string): Promise<FoundEvent | undefined> {
    return this.#read(() => this.#reader.event(id, publisher));
  }

  delivery(id: string): Promise<StoredDelivery | undefined> {
    return this.#read(() => this.#reader.delivery(id));
  }

  deliveriesOf(eventId: string, publisher?: string): Promise<Delivery[]> {
    return this.#read(() => this.#reader.deliveriesOf(eventId, publisher));
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

  counts(subscriptions: readonly string[]): Promise<ReadonlyMap<string, Counts>> {
    return this.#read(() => this.#reader.counts(subscriptions));
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

  backlogOf(subscription: string): Promise<Backlog | undefined> {
    return this.#read(() => this.#reader.backlogOf(subscription));
  }

  due(now: Instant): Promise<ReadonlyMap<string, DueBacklog>> {
    return this.#read(() => this.#reader.due(now));
  }

  overdue(times: KeptTimes): Promise<ReadonlyMap<PrunedKind, number>> {
    return this.#read(() => this.#reader.overdue(times));
  }

  audit(): Promise<Audit> {
    return this.#read(() => this.#reader.audit());
  }

  seenTypes(request: { since: Instant; most: number }): Promise<SeenTypes | undefined> {
    return this.#read(() => this.#reader.seenTypes(request));
  }

  longJournal(): Promise<LongJournal | undefined> {
    return this.#read(async () => {
      const bytes = this.#journal ? this.#store.journalBytes() : 0;
      if (bytes < LONG_JOURNAL_BYTES) return undefined;
      return { bytes, readers: await journalReaders(this.#path) };
    });
  }

  space(): Promise<Space> {
    return this.#read(() => this.#reader.space());
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

  /** One damaged row is no reason to end; what is read for a screen or a list goes without. */
  #read<Value>(read: () => Value | Promise<Value>): Promise<Value> {
    return this.#readOrFail(async () => {
      try {
        return await read();
      } catch (error) {
        if (!isCorrupt(error)) throw error;
        throw new DataDamaged(UNREADABLE, { cause: error });
      }
    });
  }

  async #readOrFail<Value>(read: () => Value | Promise<Value>): Promise<Value> {
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
    this.#countOn();
    this.#isCommitDue = false;
    if (this.#queue.length > 0) this.#scheduleCommit();
    else if (this.#closed) await this.#letGo();
  }

  /** Counts what is to be counted, a little in each turn of the loop, so that nobody waits for it. */
  #countOn(): void {
    if (this.#isCountDue || this.#refusal() || !this.#store.isCounting) return;
    this.#isCountDue = true;
    setImmediate(() => {
      this.#isCountDue = false;
      if (this.#refusal()) return;
      try {
        this.#store.countOn();
        this.#countOn();
      } catch (error) {
        // Whoever commits next finds out, and has it tried again.
        this.#judge(error);
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
    let applied: Applied;
    const { commits } = this.#store;
    try {
      if (this.#failure) throw this.#failure;
      const operations = batch.map(({ operation }) => operation);
      applied = await this.#timed(() => this.#apply(operations), {
        ofEvents: shareOfEvents(operations),
      });
      this.#unavailable = undefined;
    } catch (error) {
      const isUndone = this.#store.commits === commits;
      const isDamage = isUndone && this.#isDamage(error);
      // What is damaged is remembered, and the next try goes without it.
      if (isDamage && batch.length === 1 && tries < MOST_TRIES) {
        return await this.#commit(batch, tries + 1);
      }
      const canDoWithout = batch.length > 1 || DISPENSABLE.has(batch[0]!.operation.kind);
      const isRefused = isDamage && canDoWithout;
      const judged = isRefused ? new DataDamaged(UNREADABLE, { cause: error }) : this.#judge(error);
      if (judged instanceof OutboxUnavailable) this.#unavailable = judged;
      const isOfOne = isRefused || judged === error && judged !== this.#failure;
      // One that can't be stored, by a fault of ours or a damaged row, must not take its neighbours
      // along. What is committed all the same must not be done twice.
      if (isOfOne && isUndone && batch.length > 1) {
        for (const waiting of batch) await this.#commit([waiting]);
      } else for (const { reject } of [...batch, ...this.#queuedAfter(batch)]) reject(judged);
      return;
    }
    for (const [i, { resolve }] of batch.entries()) resolve(applied.answers[i]!);
    await this.#tell(applied);
  }

  /** What reckons with a step of the clock that could not be stored, and would move with it again. */
  #queuedAfter(batch: readonly Waiting[]): Waiting[] {
    return batch.some(isClockStep) ? this.#queue.splice(0) : [];
  }

  /** Others may read meanwhile what is not durable yet; nobody is told that it is. */
  async #apply(operations: readonly Operation[]): Promise<Applied> {
    this.#guard?.files.assertJournal();
    const applied = this.#store.apply(operations, { watched: this.#listeners.size > 0 });
    this.#guard?.files.committed();
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
      this.#guard?.files.assertAll();
      await journal.move(() => this.#store.checkpoint());
    } catch (error) {
      // A full or busy disk is left to the next commit to tell: the journal holds all that counts.
      this.#judge(error);
    } finally {
      this.#moving = undefined;
    }
  }

  /** Whether a row could not be read though nobody took the files away. */
  #isDamage(error: unknown): boolean {
    if (this.#failure || !isCorrupt(error)) return false;
    this.#look();
    return !this.#failure;
  }

  /** What a thrown thing means to callers; marks the outbox as failed where it must be. */
  #judge(error: unknown): Error {
    const fault = faultOf(error, this.#path, { before: this.#unavailable });
    return fault instanceof OutboxFailed && !this.#failure ? this.#fail(fault) : fault;
  }

  #fail(found: OutboxFailed): OutboxFailed {
    const fault = this.#failure = this.#causeOf(found);
    this.#cancelLook?.();
    if (fault instanceof FilesChanged && this.#guard) {
      this.#rescuing = this.#rescue(fault, this.#guard);
      void this.#rescuing.then(this.#tellFailed);
    } else this.#tellFailed(fault);
    return fault;
  }

  /** What SQLite can't read may be because somebody has cut the files short. */
  #causeOf(found: OutboxFailed): OutboxFailed {
    try {
      this.#guard?.files.assertAll();
    } catch (error) {
      if (error instanceof FilesChanged) return error;
    }
    return found;
  }

  async #rescue(fault: FilesChanged, { rescue, clock }: Guard): Promise<OutboxFailed> {
    const lastWords = Promise.withResolvers<void>();
    if (this.#closed || !clock) lastWords.resolve();
    else clock.after(LAST_WORDS_MS, lastWords.resolve);
    const why = await rescue(fault);
    await lastWords.promise;
    return new OutboxFailed(`cannot trust "${this.#path}" any more: ${why}`, { cause: fault });
  }

  #lookLater(): void {
    this.#cancelLook = this.#guard?.clock?.after(LOOK_MS, () => {
      this.#look();
      if (!this.#failure && !this.#closed) this.#lookLater();
    });
  }

  #look(): void {
    try {
      this.#guard?.files.assertAll();
      this.#guard?.lock.restore();
    } catch (error) {
      this.#judge(error);
    }
  }

  async #letGo(): Promise<void> {
    const closed = this.#closed!;
    this.#cancelLook?.();
    await this.#moving;
    if (!this.#failure) this.#look();
    await this.#rescuing;
    await this.#reader.leaveThread();
    try {
      if (this.#failure) this.#closeUntouched();
      else this.#closeAsOneFile();
      closed.resolve();
    } catch (error) {
      closed.reject(this.#judge(error));
    } finally {
      this.#journal?.close();
      this.#guard?.files.close();
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
      return operation.request.limit;
    case "stepReplay":
      return operation.request.limit;
    default:
      return 1;
  }
}
