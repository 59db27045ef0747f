import type { Attempt } from "../../domain/attempt.ts";
import type { Delivery } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import { DataDamaged, type OutboxFailed, OutboxUnavailable } from "../errors.ts";
import { LONG_JOURNAL_BYTES } from "../reader.ts";
import type {
  Claim,
  Claimed,
  ClaimRequest,
  Enqueue,
  Enqueued,
  ExhaustedDigest,
  HistoryEntry,
  KeptTimes,
  NewEvent,
  Outbox,
  PacedStart,
  Pausing,
  Pruned,
  PrunedKind,
  PruneRequest,
  Recording,
  Replay,
  ReplayEntry,
  ReplayFilter,
  ReplayLimits,
  ReplayStep,
  Resuming,
  TimedCommit,
} from "../outbox.ts";
import type {
  AnswerCount,
  AnswersRequest,
  Audit,
  Backlog,
  Change,
  Counts,
  DeliveryFilter,
  DueBacklog,
  EventFilter,
  FoundEvent,
  HistoryFilter,
  LongJournal,
  OutboxReader,
  Page,
  RememberedEntry,
  SeenTypes,
  Space,
  StoredDelivery,
  StoredEvent,
  Tally,
  TallyRequest,
} from "../reader.ts";
import { Checkpoints } from "./checkpoints.ts";
import { COMMIT_ROWS, Commits } from "./commits.ts";
import { letGo } from "./closing.ts";
import { isCorrupt, UNREADABLE } from "./damage.ts";
import type { Journal } from "./journal.ts";
import { journalReaders } from "./journal_readers.ts";
import type { Lock } from "./lock.ts";
import type { OwnFiles } from "./own_files.ts";
import type { SqliteReader } from "./reader.ts";
import type { ReplayBeginning } from "./replaying.ts";
import type { Store } from "./store.ts";
import { type Guard, Trust } from "./trust.ts";
import { Watchers } from "./watchers.ts";

interface Parts {
  readonly store: Store;
  readonly reader: SqliteReader;
  /** None where commits are durable by themselves, or never. */
  readonly journal?: Journal;
  /** None in memory, where writer and reader share one connection. */
  readonly lock?: Lock;
  readonly guard?: Guard;
}

/** The outbox in SQLite: what changes it goes through the commits, and what reads runs at once. */
export class SqliteOutbox implements Outbox, OutboxReader {
  readonly #path: string;
  readonly #store: Store;
  readonly #reader: SqliteReader;
  readonly #journal: Journal | undefined;
  readonly #lock: Lock | undefined;
  readonly #files: OwnFiles | undefined;
  readonly #trust: Trust;
  readonly #checkpoints: Checkpoints;
  readonly #watchers: Watchers;
  readonly #commits: Commits;
  #closed: Promise<void> | undefined;

  constructor(path: string, { store, reader, journal, lock, guard }: Parts) {
    this.#path = path;
    this.#store = store;
    this.#reader = reader;
    this.#journal = journal;
    this.#lock = lock;
    const files = this.#files = guard?.files;
    const trust = this.#trust = new Trust(path, guard);
    const { pages } = store;
    const checkpoints = this.#checkpoints = new Checkpoints({ pages, journal, files, trust });
    const watchers = this.#watchers = new Watchers(store, trust);
    const refusal = () => this.#refusal();
    this.#commits = new Commits({ store, journal, files, trust, checkpoints, watchers, refusal });
  }

  /** Resolves when the storage can no longer be trusted: the process must end. */
  get failed(): Promise<OutboxFailed> {
    return this.#trust.lost;
  }

  /** Transactions committed so far. */
  get commits(): number {
    return this.#store.commits;
  }

  /** From now on, each commit is carried out within this. */
  timeCommits(timed: TimedCommit): void {
    this.#commits.timed = timed;
  }

  enqueue(request: Enqueue): Promise<Enqueued> {
    return this.#commits.submit({ kind: "enqueue", request });
  }

  record(recording: Recording): Promise<boolean> {
    return this.#commits.submit({ kind: "record", request: recording });
  }

  hasten(deliveryId: string, now: Instant): Promise<boolean> {
    return this.#commits.submit({ kind: "hasten", request: { deliveryId, now } });
  }

  redeliver(deliveryId: string, now: Instant): Promise<Delivery | undefined> {
    return this.#commits.submit({ kind: "redeliver", request: { deliveryId, now } });
  }

  async cancel(deliveryIds: readonly string[], reason: string, now: Instant): Promise<number> {
    const cancelled = inParts(deliveryIds).map((some) =>
      this.#commits.submit({ kind: "cancel", request: { deliveryIds: some, reason, now } })
    );
    return (await Promise.all(cancelled)).reduce((sum, count) => sum + count, 0);
  }

  pause(pausing: Pausing): Promise<boolean> {
    return this.#commits.submit({ kind: "pause", request: pausing });
  }

  resume(resuming: Resuming): Promise<boolean> {
    return this.#commits.submit({ kind: "resume", request: resuming });
  }

  async noteSwitched(subscriptions: readonly string[], at: Instant): Promise<void> {
    await Promise.all(
      inParts(subscriptions).map((some) =>
        this.#commits.submit({ kind: "noteSwitched", request: { subscriptions: some, at } })
      ),
    );
  }

  remember(entries: readonly HistoryEntry[], notices: readonly NewEvent[] = []): Promise<void> {
    return this.#commits.submit({ kind: "remember", request: { entries, notices } });
  }

  tellExhausted(
    at: Instant,
    compose: (digest: ExhaustedDigest) => NewEvent | undefined,
  ): Promise<readonly string[]> {
    return this.#commits.submit({ kind: "tellExhausted", request: { at, compose } });
  }

  async startReplay(beginning: ReplayBeginning): Promise<Replay> {
    const number = await this.#commits.submit({ kind: "beginReplay", request: undefined });
    const total = await this.#read(() => this.#reader.countReplay(beginning.filter, number));
    return await this.#commits.submit({
      kind: "openReplay",
      request: { beginning, number, total },
    });
  }

  stopReplay(
    id: string,
    { at, entry }: { readonly at: Instant; readonly entry?: ReplayEntry },
  ): Promise<boolean> {
    return this.#commits.submit({ kind: "stopReplay", request: { id, at, entry } });
  }

  stepReplay(id: string, limits: ReplayLimits): Promise<ReplayStep> {
    return this.#commits.submit({ kind: "stepReplay", request: { id, ...limits } });
  }

  shiftDue(from: Instant, byMs: number, mark?: TimeMark): Promise<void> {
    return this.#commits.submit({ kind: "shiftDue", request: { from, byMs, mark } });
  }

  keepTime(mark: TimeMark): Promise<void> {
    return this.#commits.submit({ kind: "keepTime", request: mark });
  }

  noteStart(start: PacedStart): Promise<void> {
    return this.#commits.submit({ kind: "noteStart", request: start });
  }

  prune(request: PruneRequest): Promise<Pruned> {
    return this.#commits.submit({ kind: "prune", request });
  }

  async unavailableBecause(): Promise<string | undefined> {
    const refusal = this.#refusal();
    if (refusal) return refusal.message;
    if (!this.#trust.unavailable) return undefined;
    try {
      await this.#commits.submit({ kind: "probe", request: undefined });
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
      await this.#commits.submit({
        kind: "endDamaged",
        request: { damaged: setAside, now: request.now },
      });
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
    // It looks through the lists, and what was just added is in none yet.
    await this.#commits.submit({ kind: "rollUp", request: undefined });
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

  answers(request: AnswersRequest): Promise<AnswerCount[]> {
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
      const bytes = this.#journal ? this.#store.pages.journalBytes() : 0;
      if (bytes < LONG_JOURNAL_BYTES) return undefined;
      return { bytes, readers: await journalReaders(this.#path) };
    });
  }

  space(): Promise<Space> {
    return this.#read(() => this.#reader.space());
  }

  watch(listener: (changes: readonly Change[]) => void): () => void {
    return this.#watchers.add(listener);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
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
      throw this.#refusal() ?? this.#trust.judge(error);
    }
  }

  #refusal(): Error | undefined {
    if (this.#trust.failure) return this.#trust.failure;
    if (!this.#trust.isClosing) return undefined;
    return new OutboxUnavailable(`"${this.#path}" is closed: Bellhook is stopping`);
  }

  async #close(): Promise<void> {
    this.#trust.isClosing = true;
    await this.#commits.idle();
    await letGo({
      trust: this.#trust,
      checkpoints: this.#checkpoints,
      store: this.#store,
      reader: this.#reader,
      journal: this.#journal,
      files: this.#files,
      lock: this.#lock,
    });
  }
}

/** As many rows as a commit takes, and the rest in others. */
function inParts<Row>(rows: readonly Row[]): Row[][] {
  return Array.from(
    { length: Math.ceil(rows.length / COMMIT_ROWS) },
    (_, part) => rows.slice(part * COMMIT_ROWS, (part + 1) * COMMIT_ROWS),
  );
}
