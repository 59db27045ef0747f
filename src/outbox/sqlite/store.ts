import type { DatabaseSync } from "node:sqlite";
import { type Attempt, responseOf } from "../../domain/attempt.ts";
import type { Delivery, DeliveryCause } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { JsonText } from "../../domain/json_text.ts";
import { isChannelId } from "../../domain/notice.ts";
import type { Verdict } from "../../domain/verdict.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import type { Turn } from "../../runtime/turn.ts";
import type {
  Claim,
  Claimed,
  ClaimRequest,
  Enqueue,
  Enqueued,
  ExhaustedDigest,
  HistoryEntry,
  NewEvent,
  PacedStart,
  Pruned,
  PruneRequest,
  Receipt,
  Recording,
  Replay,
  ReplayEntry,
  ReplayStep,
} from "../outbox.ts";
import {
  answerHeadersToText,
  type Bytes,
  equalBytes,
  headersToText,
  scopeFromText,
  toBytes,
  toCast,
  toNullableBytes,
  toText,
} from "./bytes.ts";
import { Changes, type FreshSuccess } from "./changes.ts";
import { Claims, type Grant } from "./claims.ts";
import { DAMAGED, isCorrupt, isJson } from "./damage.ts";
import { deliveryId, parseDeliveryId } from "./delivery_id.ts";
import { EventIds } from "./event_ids.ts";
import { type Exhausted, ExhaustedCounts } from "./exhausted_digest.ts";
import { HealthKeeping } from "./health_keeping.ts";
import { BITE_ROWS, Indexing } from "./indexing.ts";
import { type InsertedDelivery, Insertion, type NameTables } from "./insertion.ts";
import { FORMAT_NAMES, Names, SUBSCRIPTION_NAMES, TYPE_NAMES } from "./names.ts";
import { Pruning } from "./pruning.ts";
import { PublisherPending } from "./publisher_pending.ts";
import {
  DELIVERY_BY_SEQ,
  deliveryFromRow,
  type DeliveryRow,
  extentOf,
  LAST_RESULT,
  type LastResultRow,
  PENDING_COUNTS,
} from "./reading.ts";
import { Replaying, type ReplayOpening, type ReplayStepRequest } from "./replaying.ts";
import { ADD_TO_COUNTS, prepareAll, type Statements } from "./statements.ts";
import type { TalliedAttempt } from "./tallied_attempt.ts";
import { Tallying } from "./tallying.ts";
import { Timekeeping } from "./timekeeping.ts";

/** A transaction that stores so many deliveries indexes none of them. */
const LARGE = 2_048;

/** A change that needs a transaction, as data. */
export type Operation =
  | { readonly kind: "enqueue"; readonly request: Enqueue }
  | { readonly kind: "record"; readonly recording: Recording }
  | { readonly kind: "hasten"; readonly deliveryId: string; readonly now: Instant }
  | { readonly kind: "redeliver"; readonly deliveryId: string; readonly now: Instant }
  | {
    readonly kind: "cancel";
    readonly deliveryIds: readonly string[];
    readonly reason: string;
    readonly now: Instant;
  }
  | {
    readonly kind: "setHealth";
    readonly subscription: string;
    readonly health: Health;
    readonly history: HistoryEntry | undefined;
  }
  | { readonly kind: "remember"; readonly entry: HistoryEntry }
  | {
    readonly kind: "tellExhausted";
    readonly at: Instant;
    readonly compose: (digest: ExhaustedDigest) => NewEvent | undefined;
  }
  | { readonly kind: "beginReplay" }
  | { readonly kind: "openReplay"; readonly opening: ReplayOpening }
  | { readonly kind: "stepReplay"; readonly request: ReplayStepRequest }
  | {
    readonly kind: "stopReplay";
    readonly id: string;
    readonly at: Instant;
    readonly entry: ReplayEntry | undefined;
  }
  | {
    readonly kind: "shiftDue";
    readonly from: Instant;
    readonly byMs: number;
    readonly mark: TimeMark | undefined;
  }
  | { readonly kind: "keepTime"; readonly mark: TimeMark }
  | { readonly kind: "noteStart"; readonly start: PacedStart }
  | { readonly kind: "prune"; readonly request: PruneRequest }
  | { readonly kind: "endDamaged"; readonly damaged: readonly Grant[]; readonly now: Instant }
  | { readonly kind: "index" }
  | { readonly kind: "probe" };

/** What each kind of operation is answered with. */
export interface Answers {
  readonly enqueue: Enqueued;
  readonly record: boolean;
  readonly hasten: boolean;
  readonly redeliver: Delivery | undefined;
  readonly cancel: number;
  readonly setHealth: void;
  readonly remember: void;
  /** The subscriptions that have a delivery of it. */
  readonly tellExhausted: readonly string[];
  /** The replay's number. */
  readonly beginReplay: number;
  readonly openReplay: Replay;
  readonly stepReplay: ReplayStep;
  readonly stopReplay: boolean;
  readonly shiftDue: void;
  readonly keepTime: void;
  readonly noteStart: void;
  readonly prune: Pruned;
  readonly endDamaged: void;
  readonly index: void;
  readonly probe: void;
}

export type Answer = Answers[keyof Answers];

/** What a transaction did. */
export interface Applied {
  /** In the order of the operations. */
  readonly answers: Answer[];
  /** The numbers of the deliveries it changed; empty where nobody watched. */
  readonly deliveries: ReadonlySet<number>;
  /** The subscriptions that began or ceased to fail or to be paused; empty where nobody watched. */
  readonly subscriptions: ReadonlyMap<string, Health>;
}

/** What could be claimed, and what is to be ended instead. */
export interface Found extends Claimed {
  /** Of the damaged ones, all claimed so that nobody else asks for them, those that can be ended. */
  readonly setAside?: readonly Grant[];
}

/** How many pages (4 KiB each) the journal holds, and how many of them are not in the database yet. */
export interface JournalPages {
  readonly all: number;
  readonly waiting: number;
}

/** The synchronous core of the outbox: the one writer of a database, with its claims in memory. */
export class Store {
  readonly timekeeping: Timekeeping;
  /** What a digest is to tell. */
  readonly exhausted: ExhaustedCounts;
  readonly #db: DatabaseSync;
  readonly #sql: Statements<keyof typeof SQL>;
  readonly #names: NameTables;
  readonly #claims = new Claims();
  readonly #insertion: Insertion;
  readonly #eventIds: EventIds;
  readonly #indexing: Indexing;
  readonly #pruning: Pruning;
  readonly #replaying: Replaying;
  readonly #healthKeeping: HealthKeeping;
  readonly #tallying: Tallying;
  readonly #publisherPending: PublisherPending;
  readonly #pending: Map<number, number>;
  #commits = 0;

  /** `biteRows`: after how many new rows the indexes take them in. */
  constructor(db: DatabaseSync, { biteRows = BITE_ROWS } = {}) {
    this.#db = db;
    this.#sql = prepareAll(db, SQL);
    // An object of so many names takes longer to make than the rest of reading such a row.
    this.#sql.claimed.setReturnArrays(true);
    this.#names = {
      subscriptions: new Names(db, SUBSCRIPTION_NAMES, { writes: true }),
      types: new Names(db, TYPE_NAMES, { writes: true }),
      formats: new Names(db, FORMAT_NAMES, { writes: true }),
    };
    this.#insertion = new Insertion(db, this.#names);
    this.#eventIds = new EventIds(db);
    this.#indexing = new Indexing(db, biteRows);
    this.#pruning = new Pruning(db);
    this.#replaying = new Replaying(db, this.#names, this.#insertion, {
      hasten: (id, now, changes) => this.#hasten(id, now, changes),
      cancel: (id, how, changes) => this.#cancel({ deliveryIds: [id], ...how }, changes) > 0,
    });
    this.#healthKeeping = new HealthKeeping(db);
    this.#tallying = new Tallying(db);
    this.timekeeping = new Timekeeping(db, this.#names.subscriptions);
    this.exhausted = new ExhaustedCounts(db, this.#names.subscriptions);
    this.#publisherPending = new PublisherPending(db);
    this.#pending = countPending(db);
  }

  /** Transactions so far. */
  get commits(): number {
    return this.#commits;
  }

  /**
   * Runs operations in one transaction, in their order, and answers each. What SQLite throws takes
   * all of them back; what is merely refused (a conflict, a lost claim) is an answer and spoils none.
   */
  apply(operations: readonly Operation[], { watched = false } = {}): Applied {
    const changes = new Changes({ watched });
    const before = this.#insertion.last;
    this.#sql.begin.run();
    let answers: Answer[], subscriptions: ReadonlyMap<string, Health>;
    try {
      answers = operations.map((operation) => this.#run(operation, changes));
      subscriptions = watched ? this.#turningPoints(changes) : NOBODY;
      // What a large request brings is left to the next transaction: this one takes long enough.
      const last = changes.created.length < LARGE ? this.#insertion.last : before;
      if (this.#indexing.isDue(last)) this.#indexing.takeInSome(last);
      this.#writeCounts(changes);
      this.#healthKeeping.write(changes, this.#indexing);
      this.#tallying.write(changes, this.#indexing);
      this.#publisherPending.write(changes);
      this.#sql.commit.run();
    } catch (error) {
      this.#rollBack();
      throw error;
    }
    this.#commits++;
    this.#carryOver(changes);
    return { answers, deliveries: changes.touched ?? NOTHING, subscriptions };
  }

  /** Claims what is pending, due and unclaimed, oldest due first. Reads only. */
  claim({ subscription, now, limit, testsOnly = false }: ClaimRequest): Found {
    const id = this.#names.subscriptions.find(subscription);
    if (id === undefined) return { claims: [] };
    // So many that even where all claimed ones come first, enough of the others follow.
    const enough = limit + this.#claims.count(id) + 1;
    const statement = testsOnly ? this.#sql.dueTests : this.#sql.due;
    const rows = statement.all(id, enough) as unknown as DueRow[];
    const indexed = rows.filter(({ seq }) => !this.#claims.isClaimed(id, seq));
    const fresh = [...this.#indexing.waiting(id)].filter(({ isTest }) => isTest || !testsOnly);
    const free = [...indexed, ...fresh].sort(soonestFirst);
    const taken = free.slice(0, limit).filter(({ due_at }) => due_at <= now);
    const claims = this.#load(taken, id, subscription);
    const next = free[taken.length];
    return {
      claims,
      ...(next && { nextDueAt: next.due_at }),
      ...(claims.length < taken.length && {
        damaged: taken.length - claims.length,
        setAside: this.#setAside(taken, id),
      }),
    };
  }

  /** Claims those of due rows that could not be loaded, and answers those that can be ended. */
  #setAside(rows: readonly DueRow[], subscription: number): Grant[] {
    const left = rows.filter(({ seq }) => !this.#claims.isClaimed(subscription, seq));
    const damaged = left.map(({ seq }) => ({ subscription, seq, token: this.#claims.nextToken() }));
    for (const grant of damaged) {
      this.#claims.grant(grant);
      this.#indexing.leave(grant);
    }
    // One whose own row can't be written any more stays set aside, and spoils no other.
    return damaged.filter(({ seq }) =>
      this.#unlessCorrupt(() => this.#sql.ownRow.get(seq)) !== undefined
    );
  }

  /** What was set aside and could not be ended is to be found again. */
  giveBackDamaged(damaged: readonly Grant[]): void {
    for (const grant of damaged) {
      if (this.#claims.holds(grant)) this.#claims.end(grant.subscription, grant.seq);
    }
  }

  /** Gives claims back; those that are not held any more are left alone. */
  release(claims: readonly Claim[]): void {
    for (const claim of claims) {
      const grant = this.#grantOf(claim);
      if (!grant) continue;
      if (this.#claims.holds(grant)) this.#giveBack(grant, claim.delivery);
      else this.#claims.forget(grant);
    }
  }

  #giveBack({ subscription, seq }: Grant, delivery: Claim["delivery"]): void {
    const { attemptCount, createdAt, cause } = delivery;
    this.#claims.end(subscription, seq);
    if (this.#indexing.isFresh(seq, attemptCount)) {
      this.#indexing.wait({ subscription, seq, createdAt, cause });
    }
  }

  async nextDue(turn: Turn): Promise<Map<string, Instant>> {
    const next = new Map<string, Instant>();
    for (const id of [...this.#pending.keys()]) {
      const dueAt = this.#nextDueOf(id);
      if (dueAt < Infinity) next.set(this.#names.subscriptions.name(id), dueAt);
      if (turn.isOver) await turn.rest();
    }
    return next;
  }

  /** Infinity where nothing is pending that nobody has claimed. */
  #nextDueOf(id: number): Instant {
    const claimed = this.#claims.count(id);
    if (claimed >= (this.#pending.get(id) ?? 0)) return Infinity;
    const rows = this.#sql.due.all(id, claimed + 1) as unknown as DueRow[];
    const first = rows.find(({ seq }) => !this.#claims.isClaimed(id, seq));
    return Math.min(
      first?.due_at ?? Infinity,
      ...Array.from(this.#indexing.waiting(id), ({ due_at }) => due_at),
    );
  }

  /** Pending deliveries by subscription; counted along, for counting rows walks them all. */
  pending(): Map<string, number> {
    return new Map(
      [...this.#pending].map(([id, count]) => [this.#names.subscriptions.name(id), count]),
    );
  }

  /** The same of one. */
  pendingOf(subscription: string): number {
    const id = this.#names.subscriptions.find(subscription);
    return id === undefined ? 0 : this.#pending.get(id) ?? 0;
  }

  /** Whether a publisher's pending deliveries are being counted, which countOn() carries on. */
  get isCounting(): boolean {
    return this.#publisherPending.isCounting;
  }

  countOn(): void {
    this.#publisherPending.countOn(this.#insertion.last.delivery);
  }

  /** Deliveries as they are, by number, but for those that are gone. */
  deliveries(seqs: Iterable<number>): Delivery[] {
    // One transaction, and this connection: its pages are at hand, a reader's are stale just now.
    this.#sql.beginReading.run();
    try {
      return Array.from(
        seqs,
        (seq) => this.#unlessCorrupt(() => this.#sql.delivery.get(seq)) as unknown as DeliveryRow,
      ).filter((row) => row !== undefined)
        .map((row) => deliveryFromRow(row, this.#lastResult(row)));
    } finally {
      this.#sql.rollback.run();
    }
  }

  #lastResult({ seq, attempt_count }: DeliveryRow): LastResultRow | undefined {
    if (attempt_count === 0) return undefined;
    return this.#unlessCorrupt(() => this.#sql.lastResult.get(seq, attempt_count)) as unknown as
      | LastResultRow
      | undefined;
  }

  /** What is read; undefined where it can't be, for its pages are damaged. */
  #unlessCorrupt<Value>(read: () => Value): Value | undefined {
    try {
      return read();
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      return undefined;
    }
  }

  /** How far the journal has grown. */
  journal(): JournalPages {
    const { log, checkpointed } = this.#sql.journal.get() as unknown as CheckpointRow;
    return { all: log, waiting: log - checkpointed };
  }

  /** How long the journal's file is at least, by what it holds. */
  journalBytes(): number {
    const { all } = this.journal();
    return all === 0 ? 0 : JOURNAL_HEAD_BYTES + all * this.frameBytes();
  }

  /** How long a page in the journal is, with its head. */
  frameBytes(): number {
    return FRAME_HEAD_BYTES + this.#pageBytes();
  }

  /** How long the database's file is once all of the journal is in it. */
  bytes(): number {
    return Number(this.#sql.pageCount.get()!.page_count) * this.#pageBytes();
  }

  #pageBytes(): number {
    return Number(this.#sql.pageSize.get()!.page_size);
  }

  /** Moves what the journal holds into the database, as far as readers let it, and syncs neither. */
  checkpoint(): void {
    this.#db.exec("pragma synchronous = off");
    try {
      this.#sql.checkpoint.get();
    } finally {
      this.#db.exec("pragma synchronous = normal");
    }
  }

  /** Moves all of the journal into the database, so that its file alone is a copy. */
  emptyJournal(): void {
    this.#db.prepare("pragma wal_checkpoint(truncate)").get();
  }

  close(): void {
    this.#db.close();
  }

  #run(operation: Operation, changes: Changes): Answer {
    switch (operation.kind) {
      case "enqueue":
        return this.#enqueue(operation.request, changes);
      case "record":
        return this.#record(operation.recording, changes);
      case "hasten":
        return this.#hasten(operation.deliveryId, operation.now, changes);
      case "redeliver":
        return this.#redeliver(operation.deliveryId, operation.now, changes);
      case "cancel":
        return this.#cancel(operation, changes);
      case "setHealth":
        changes.health.set(
          this.#names.subscriptions.intern(operation.subscription),
          operation.health,
        );
        if (operation.history) this.#remember(operation.history);
        return;
      case "remember":
        return this.#remember(operation.entry);
      case "tellExhausted":
        return this.#tellExhausted(operation, changes);
      case "beginReplay":
        // It looks by the indexes for what has finished so far.
        this.#index();
        return this.#replaying.begin();
      case "openReplay":
        return this.#openReplay(operation.opening);
      case "stepReplay":
        return this.#replaying.step(operation.request, changes);
      case "stopReplay": {
        const stopped = this.#replaying.stop(operation.id, operation.at);
        if (stopped && operation.entry) this.#remember(operation.entry(stopped));
        return stopped !== undefined;
      }
      case "shiftDue":
        this.#index();
        this.#sql.shiftDue.run({ from: operation.from, byMs: Math.round(operation.byMs) });
        this.timekeeping.shift(operation.byMs);
        if (operation.mark) this.timekeeping.keepMark(operation.mark);
        return;
      case "keepTime":
        return this.timekeeping.keepMark(operation.mark);
      case "noteStart":
        return this.timekeeping.noteStart(operation.start);
      case "prune":
        return this.#prune(operation.request, changes);
      case "endDamaged":
        return this.#endDamaged(operation, changes);
      case "index":
        return this.#index();
      case "probe":
        this.#sql.probe.run();
        return;
    }
  }

  #openReplay(opening: ReplayOpening): Replay {
    const replay = this.#replaying.open(opening);
    const { entry } = opening.beginning;
    if (entry) this.#remember(entry(replay));
    return replay;
  }

  /** From here on to the end of the transaction there is nothing fresh but what follows. */
  #index(): void {
    this.#indexing.takeIn(this.#insertion.last);
  }

  /** What is fresh is mostly too young to go: it is looked at where nothing else is old enough. */
  #prune(request: PruneRequest, changes: Changes): Pruned {
    this.#publisherPending.attribute(changes);
    const pruned = this.#pruning.batch(request, this.#indexing.taken, changes);
    const isOutOfTime = request.hold !== undefined && pruned.heldMs >= request.hold.maxMs;
    if (pruned.deliveries + pruned.events > 0 || isOutOfTime) return pruned;
    const taken = this.#indexing.taken;
    this.#index();
    if (this.#indexing.taken === taken) return pruned;
    const more = this.#pruning.batch(request, this.#indexing.taken, changes);
    return {
      ...more,
      others: pruned.others + more.others,
      mayHaveMore: pruned.mayHaveMore || more.mayHaveMore,
      heldMs: pruned.heldMs + more.heldMs,
    };
  }

  #rollBack(): void {
    this.#names.subscriptions.forget();
    this.#names.types.forget();
    this.#names.formats.forget();
    this.#replaying.rolledBack();
    this.#indexing.rolledBack();
    this.#tallying.forget();
    this.#publisherPending.rolledBack();
    // SQLite rolls back by itself where it can't go on: a full disk, a failed write.
    if (this.#db.isTransaction) this.#sql.rollback.run();
  }

  #carryOver(changes: Changes): void {
    this.#healthKeeping.committed(changes, this.#indexing);
    this.#tallying.committed(changes, this.#indexing);
    this.#indexing.committed();
    this.#publisherPending.committed();
    for (const grant of changes.granted) this.#claims.grant(grant);
    this.#keepWaiting(changes);
    for (const { subscription, seq } of changes.cancelled) {
      this.#claims.cancel(subscription, seq);
      this.#indexing.leave({ subscription, seq });
    }
    for (const { subscription, seq } of changes.ended) this.#claims.end(subscription, seq);
    for (const grant of changes.settled) this.#claims.forget(grant);
    this.#replaying.committed();
    for (const [subscription, by] of changes.pending) {
      const count = (this.#pending.get(subscription) ?? 0) + by;
      if (count === 0) this.#pending.delete(subscription);
      else this.#pending.set(subscription, count);
    }
  }

  /** What was stored without being claimed, and no index has taken in. */
  #keepWaiting({ created, granted }: Changes): void {
    if (created.length === granted.length) return;
    const claimed = new Set(granted.map(({ seq }) => seq));
    for (const delivery of created) if (!claimed.has(delivery.seq)) this.#indexing.wait(delivery);
  }

  #enqueue({ events, idempotency, quota, at }: Enqueue, changes: Changes): Enqueued {
    const repeat = idempotency && this.#findKey(idempotency, events[0]?.publisher);
    if (repeat) return repeat;
    const sorted = this.#eventIds.sort(events);
    if ("kind" in sorted) return sorted;
    const more = quota === undefined ? 0 : events.reduce(
      (sum, { deliveries }, index) => sorted[index]!.kind === "new" ? sum + deliveries.length : sum,
      0,
    );
    if (quota !== undefined && more > 0) {
      const all = () => this.#pending.values().reduce((sum, count) => sum + count, 0);
      const pending = this.#publisherPending.admit(quota.publisher, {
        more,
        most: quota.most,
        all,
      });
      if (pending !== undefined) return { kind: "tooManyPending", pending, more };
    }
    const receipts: Receipt[] = [], claims: Claim[] = [], unclaimed = new Set<string>();
    const fresh = new Map<string, Receipt>();
    let stored = 0;
    for (const [index, posted] of events.entries()) {
      const { id } = posted.event, place = sorted[index]!;
      if (place.kind !== "new") {
        receipts.push(
          place.kind === "twice" ? fresh.get(place.key)! : this.#firstReceipt(id, place.seq),
        );
        continue;
      }
      const { sentAs } = place;
      const incoming = sentAs === undefined
        ? posted
        : { ...posted, event: { ...posted.event, sentAs } };
      const inserted = this.#insertion.event(incoming, at, changes);
      const receipt: Receipt = {
        id,
        deliveries: incoming.deliveries.map(({ subscription }, i) => ({
          id: inserted[i]!.id,
          subscription,
        })),
      };
      receipts.push(receipt);
      if (place.key !== "") fresh.set(place.key, receipt);
      stored++;
      for (const [i, delivery] of incoming.deliveries.entries()) {
        if (!delivery.claim) unclaimed.add(delivery.subscription);
        else {claims.push(
            this.#claimFresh({ incoming, index: i, inserted: inserted[i]!, at }, changes),
          );}
      }
    }
    if (idempotency) {
      this.#sql.insertKey.run(
        idempotency.key,
        idempotency.content,
        toBytes(JSON.stringify(
          events.map(({ event: { id }, source }) => source === undefined ? id : [id, source]),
        )),
        Math.round(at),
      );
    }
    return {
      kind: "accepted",
      stored,
      receipts,
      claims,
      unclaimed: [...unclaimed],
    };
  }

  /** The first answer to an Idempotency-Key; undefined where it was never used. */
  #findKey(
    { key, content }: NonNullable<Enqueue["idempotency"]>,
    publisher: string | undefined,
  ): Enqueued | undefined {
    const known = this.#sql.findKey.get(key) as { content: Bytes; event_ids: Bytes } | undefined;
    if (!known) return undefined;
    if (!equalBytes(known.content, content)) return { kind: "keyConflict" };
    const names = JSON.parse(toText(known.event_ids)) as (string | [id: string, source: string])[];
    return {
      kind: "accepted",
      stored: 0,
      receipts: names.map((name) => {
        const [id, source] = typeof name === "string" ? [name] : name;
        return this.#firstReceipt(id, this.#eventIds.find({ publisher, source, id })?.seq);
      }),
      claims: [],
      unclaimed: [],
    };
  }

  /** What the publisher was told when it first posted an event; without its deliveries once they are pruned. */
  #firstReceipt(id: string, seq: number | undefined): Receipt {
    if (seq === undefined) return { id, deliveries: [] };
    const rows = this.#sql.firstDeliveries.all(seq) as unknown as {
      seq: number;
      subscription: number;
      created_at: Instant;
    }[];
    const deliveries = rows.map(({ seq, subscription, created_at }) => ({
      id: deliveryId({ createdAt: created_at, seq }),
      subscription: this.#names.subscriptions.name(subscription),
    }));
    return { id, deliveries };
  }

  #claimFresh(
    { incoming, index, inserted, at }: {
      incoming: NewEvent;
      index: number;
      inserted: InsertedDelivery;
      at: Instant;
    },
    changes: Changes,
  ): Claim {
    const { subscription, cause, format } = incoming.deliveries[index]!;
    const { id, seq } = inserted;
    const token = this.#claims.nextToken();
    changes.granted.push({ subscription: inserted.subscription, seq, token });
    return {
      delivery: { id, subscription, cause, attemptCount: 0, createdAt: Math.round(at) },
      event: incoming.event,
      format,
      token,
    };
  }

  #load(rows: readonly DueRow[], subscription: number, name: string): Claim[] {
    const loaded = this.#readClaimed(rows).filter((row) => this.#isSound(row));
    const claims = loaded.map(([
      seq,
      eventId,
      type,
      occurredAt,
      scope,
      metadata,
      data,
      trace,
      format,
      cause,
      attemptCount,
      createdAt,
      redeliveryOf,
      firstAttemptAt,
      sentAs,
    ]) => {
      const token = this.#claims.nextToken();
      return {
        delivery: {
          id: deliveryId({ createdAt, seq }),
          subscription: name,
          cause,
          attemptCount,
          createdAt,
          ...(redeliveryOf === null ? {} : { redeliveryOf }),
        },
        event: {
          id: eventId,
          type: this.#names.types.name(type),
          occurredAt,
          scope: scopeFromText(scope),
          data,
          ...(metadata === null ? {} : { metadata }),
          ...(trace === null ? {} : { trace }),
          ...(sentAs === null ? {} : { sentAs }),
        },
        format: this.#names.formats.name(format),
        ...(firstAttemptAt === null ? {} : { firstAttemptAt }),
        token,
      };
    });
    // Granted once nothing can fail any more: nobody would give them back.
    for (const [index, [seq]] of loaded.entries()) {
      this.#claims.grant({ subscription, seq, token: claims[index]!.token });
      this.#indexing.leave({ subscription, seq });
    }
    return claims;
  }

  /** All of them in one statement; one by one where that comes upon a damaged page. */
  #readClaimed(rows: readonly DueRow[]): ClaimedRow[] {
    const read = (seqs: readonly number[]) =>
      this.#sql.claimed.all(JSON.stringify(seqs)) as unknown as ClaimedRow[];
    return this.#unlessCorrupt(() => read(rows.map(({ seq }) => seq))) ??
      rows.flatMap(({ seq }) => this.#unlessCorrupt(() => read([seq])) ?? []);
  }

  /** Whether it is as it was stored, as far as that can be told: it would be sent as it is. */
  #isSound(row: ClaimedRow): boolean {
    const type = row[2], scope = row[4], metadata = row[5], data = row[6], format = row[8];
    // SQLite's answer is no as well where JSON is nested too deep for it.
    const isSound = row[15] === 1 ||
      [data, scope, metadata].every((text) => text === null || isJson(text));
    return isSound && this.#unlessCorrupt(() => this.#names.types.has(type)) === true &&
      this.#unlessCorrupt(() => this.#names.formats.has(format)) === true &&
      this.#isSoundFormat(format);
  }

  readonly #soundFormats = new Set<number>();

  #isSoundFormat(format: number): boolean {
    if (this.#soundFormats.has(format)) return true;
    const isSound = isJson(this.#names.formats.name(format));
    if (isSound && this.#soundFormats.size < MOST_SOUND_FORMATS) this.#soundFormats.add(format);
    return isSound;
  }

  #endDamaged({ damaged, now }: Operation & { kind: "endDamaged" }, changes: Changes): void {
    for (const grant of damaged) {
      const { seq, subscription } = grant;
      if (!this.#claims.holds(grant)) continue;
      const row = this.#sql.endDamaged.get({
        seq,
        now: Math.round(now),
        replays: this.#replaying.last,
        reason: toBytes(DAMAGED),
      }) as { fresh: number; createdAt: Instant } | undefined;
      if (!row) continue;
      const delivery = deliveryId({ createdAt: row.createdAt, seq });
      this.#countExhausted({ subscription, delivery, reason: DAMAGED, at: now });
      changes.ended.push(grant);
      changes.finishDamaged({ seq, subscription, fresh: Boolean(row.fresh) }, "exhausted");
    }
  }

  /** A claim by numbers; undefined where its delivery's id or subscription is none of ours. */
  #grantOf({ delivery, token }: Claim) {
    const seq = parseDeliveryId(delivery.id)?.seq;
    const subscription = this.#names.subscriptions.find(delivery.subscription);
    return seq === undefined || subscription === undefined
      ? undefined
      : { subscription, seq, token };
  }

  #record(recording: Recording, changes: Changes): boolean {
    const { claim, attempt, verdict, at } = recording;
    const grant = this.#grantOf(claim);
    if (!grant) return false;
    if (!this.#claims.holds(grant)) {
      if (this.#claims.wasCancelled(grant)) this.#recordLate(recording, grant, changes);
      return false;
    }
    const { seq } = grant;
    const before = claim.delivery.attemptCount;
    const status = responseOf(attempt.outcome)?.status ?? null;
    const { changes: changed } = verdict.kind === "retry"
      // Rounded up: never early.
      ? this.#sql.postpone.run(before + 1, Math.ceil(verdict.dueAt), status, seq, before)
      : this.#sql.finish.run(
        before + 1,
        STATE[verdict.kind],
        Math.round(at),
        this.#replaying.last,
        verdict.reason ?? null,
        status,
        seq,
        before,
      );
    if (changed === 0) {
      // The claim is still held: if it was cancelled, then in this same transaction.
      this.#recordLate(recording, grant, changes);
      return false;
    }
    this.#insertAttempt(seq, before + 1, attempt);
    const fresh = this.#indexing.isFresh(seq, before);
    const waits = fresh && verdict.kind === "delivered";
    this.#tally(recording, grant, waits ? changes.freshAttempts : changes.attempts);
    changes.ended.push(grant);
    if (verdict.kind === "retry") changes.postpone({ ...grant, fresh });
    else changes.finish({ ...grant, fresh }, verdict.kind);
    const success = waits && attempt.result === "success" ? { at, status } : undefined;
    if (verdict.kind === "exhausted") {
      const { id: delivery } = claim.delivery;
      const { subscription } = grant;
      this.#countExhausted({ subscription, delivery, reason: verdict.reason, at });
    }
    this.#recordHealth(recording, grant, changes, success);
    return true;
  }

  /** Not those of channels, which are notices, also where one is sent again: it would have no end. */
  #countExhausted(exhausted: Exhausted): void {
    const isNotice = isChannelId(this.#names.subscriptions.name(exhausted.subscription));
    if (!isNotice) this.exhausted.add(exhausted);
  }

  #tellExhausted(
    { at, compose }: Operation & { kind: "tellExhausted" },
    changes: Changes,
  ): readonly string[] {
    const digest = this.exhausted.take();
    const notice = digest && compose(digest);
    if (notice === undefined) return [];
    this.#insertion.event(notice, at, changes);
    return notice.deliveries.map(({ subscription }) => subscription);
  }

  /** The attempt was sent, whatever became of its delivery meanwhile: it stays on record. */
  #recordLate(recording: Recording, grant: Grant, changes: Changes): void {
    const { claim, attempt, at } = recording;
    const { seq } = grant;
    const before = claim.delivery.attemptCount;
    const status = responseOf(attempt.outcome)?.status ?? null;
    const { changes: changed } = this.#sql.countLate.run({ seq, before, status });
    if (changed === 0) return;
    this.#insertAttempt(seq, before + 1, attempt);
    this.#tally({ claim, attempt, at }, grant, changes.attempts);
    changes.settled.push(grant);
    changes.touched?.add(seq);
    this.#recordHealth(recording, grant, changes, undefined);
  }

  #recordHealth(
    { at, health, healthNotices = [], history = [] }: Recording,
    { subscription }: Grant,
    changes: Changes,
    freshSuccess: FreshSuccess | undefined,
  ): void {
    if (health) {
      if (freshSuccess && !this.#healthKeeping.isNews(subscription, health, changes)) {
        changes.successes.set(subscription, freshSuccess);
      } else changes.health.set(subscription, health);
    }
    for (const notice of healthNotices) this.#insertion.event(notice, at, changes);
    for (const entry of history) this.#remember(entry);
  }

  /** Notices are our own post: they say nothing of how receivers do. */
  #tally(
    { claim, attempt, verdict, at }: Omit<Recording, "verdict"> & { verdict?: Verdict },
    { subscription }: Grant,
    attempts: TalliedAttempt[],
  ): void {
    if (claim.delivery.cause === "notice") return;
    const { outcome, result, durationMs } = attempt;
    attempts.push({
      subscription,
      at: Math.round(at),
      number: claim.delivery.attemptCount + 1,
      succeeded: result === "success",
      status: outcome.kind === "answered" ? outcome.status : undefined,
      durationMs,
      verdict: verdict?.kind,
    });
  }

  #insertAttempt(seq: number, number: number, attempt: Attempt): void {
    const { outcome } = attempt;
    const answer = responseOf(outcome);
    const error = outcome.kind === "failed" ? outcome.error : undefined;
    this.#sql.insertAttempt.get(
      seq,
      number,
      Math.round(attempt.startedAt),
      // The clock may be set back while an attempt runs.
      Math.max(0, Math.round(attempt.durationMs)),
      attempt.result === "success" ? 1 : 0,
      attempt.url,
      headersToText(attempt.requestHeaders),
      outcome.remoteAddress ?? null,
      answer?.status ?? null,
      answer ? answerHeadersToText(answer.headers) : null,
      answer ? toCast(answer.body) : null,
      answer ? extentOf(answer) : null,
      error?.kind ?? null,
      error?.message ?? null,
    );
  }

  /** A claimed one is under way already; it stays claimed, and only its due time changes. */
  #hasten(id: string, now: Instant, changes: Changes): boolean {
    const position = parseDeliveryId(id);
    if (!position) return false;
    if (this.#sql.hasten.run({ ...position, now: Math.round(now) }).changes === 0) return false;
    changes.touched?.add(position.seq);
    return true;
  }

  #redeliver(id: string, now: Instant, changes: Changes): Delivery | undefined {
    const position = parseDeliveryId(id);
    const row = position && this.#sql.finished.get({ ...position }) as unknown as
      | {
        event: number;
        subscription: number;
        type: number;
        format: number;
        event_id: Bytes;
        sent_as: Bytes | null;
      }
      | undefined;
    if (!row) return undefined;
    const cause = "redelivery";
    const inserted = this.#insertion.delivery({ ...row, cause, redeliveryOf: id }, now, changes);
    this.#sql.raiseCount.run({ seq: row.event });
    return {
      id: inserted.id,
      eventId: toText(row.event_id),
      ...(row.sent_as === null ? {} : { eventSentAs: toText(row.sent_as) }),
      type: this.#names.types.name(row.type),
      subscription: this.#names.subscriptions.name(row.subscription),
      cause,
      state: "pending",
      attemptCount: 0,
      dueAt: Math.round(now),
      createdAt: Math.round(now),
      redeliveryOf: id,
    };
  }

  #cancel(
    { deliveryIds, reason, now }: Omit<Operation & { kind: "cancel" }, "kind">,
    changes: Changes,
  ): number {
    let cancelled = 0;
    const why = toBytes(reason);
    for (const id of deliveryIds) {
      const position = parseDeliveryId(id);
      const row = position && this.#sql.cancel.get({
        ...position,
        reason: why,
        now: Math.round(now),
        replays: this.#replaying.last,
      }) as { subscription: number; fresh: number } | undefined;
      if (!row) continue;
      const numbers = { subscription: row.subscription, seq: position.seq };
      changes.cancelled.push(numbers);
      changes.finish({ ...numbers, fresh: row.fresh === 1 }, "cancelled");
      cancelled++;
    }
    return cancelled;
  }

  #remember({ at, kind, subscription, delivery, cause, by, address }: HistoryEntry): void {
    this.#sql.insertHistory.run({
      at: Math.round(at),
      kind,
      subscription: subscription === undefined
        ? null
        : this.#names.subscriptions.intern(subscription),
      delivery: toNullableBytes(delivery),
      cause: toBytes(cause),
      operator: toNullableBytes(by),
      address: toNullableBytes(address),
    });
  }

  /** The subscriptions whose stored health is about to take a turn that is worth telling. */
  #turningPoints(changes: Changes): Map<string, Health> {
    const turning = new Map<string, Health>();
    for (const [subscription, health] of changes.health) {
      if (!this.#healthKeeping.isTurning(subscription, health)) continue;
      turning.set(this.#names.subscriptions.name(subscription), health);
    }
    return turning;
  }

  #writeCounts(changes: Changes): void {
    for (const [subscription, by] of changes.counts) {
      this.#sql.writeCounts.get(
        subscription,
        by.pending,
        by.delivered,
        by.exhausted,
        by.cancelled,
      );
    }
  }
}

/** Their texts were read once and found to be JSON; that is remembered of so many. */
const MOST_SOUND_FORMATS = 20_000;

const NOTHING: ReadonlySet<number> = new Set();
const NOBODY: ReadonlyMap<string, Health> = new Map();

const STATE = { delivered: 1, exhausted: 2, cancelled: 3 } as const;

function soonestFirst(a: DueRow, b: DueRow): number {
  return a.due_at - b.due_at || a.seq - b.seq;
}

function countPending(db: DatabaseSync): Map<number, number> {
  const rows = db.prepare(PENDING_COUNTS).all() as unknown as { subscription: number; n: number }[];
  return new Map(rows.map(({ subscription, n }) => [subscription, n]));
}

interface DueRow {
  readonly seq: number;
  readonly due_at: Instant;
}

/** The columns of `claimed`, in their order. */
type ClaimedRow = readonly [
  seq: number,
  eventId: string,
  type: number,
  occurredAt: Instant,
  scope: JsonText | null,
  metadata: JsonText | null,
  data: JsonText,
  trace: string | null,
  format: number,
  cause: DeliveryCause,
  attemptCount: number,
  createdAt: Instant,
  redeliveryOf: string | null,
  firstAttemptAt: Instant | null,
  sentAs: string | null,
  sound: number,
];

/** Of the journal (sqlite.org, WAL format): before all of it, and before each page. */
export const JOURNAL_HEAD_BYTES = 32;
export const FRAME_HEAD_BYTES = 24;

interface CheckpointRow {
  readonly log: number;
  readonly checkpointed: number;
}

/** The writer's statements by name; the tests ask SQLite how it would run each. */
export const SQL = {
  // Prepared, unlike db.exec, they say which error it was.
  begin: "begin immediate",
  beginReading: "begin",
  commit: "commit",
  rollback: "rollback",

  journal: "pragma wal_checkpoint(noop)",
  checkpoint: "pragma wal_checkpoint(passive)",
  pageCount: "pragma page_count",
  pageSize: "pragma page_size",

  firstDeliveries: `
    select seq, subscription, created_at from deliveries
    where event = ? and cause = 'event' order by seq`,

  findKey: "select content, event_ids from idempotency where key = ?",

  insertKey: `
    insert into idempotency (key, content, event_ids, created_at) values (?, ?, ?, ?)`,

  due: `
    select seq, due_at from deliveries indexed by deliveries_due
    where subscription = ? and state = 0 and fresh = 0 order by due_at, seq limit ?`,

  dueTests: `
    select seq, due_at from deliveries indexed by deliveries_due_tests
    where subscription = ? and state = 0 and cause = 'test' and fresh = 0
    order by due_at, seq limit ?`,

  // One statement for all: one for each takes twice as long. They come in the order of the list, which
  // is what a cross join is for. Ids and JSON are read as texts, for they hold no NUL that would end
  // one, and bytes take longer to come over. The first attempt is looked for where there has been one:
  // most deliveries have only one, and it comes now.
  claimed: `
    select d.seq, cast(e.id as text), e.type, e.occurred_at, cast(e.scope as text),
      cast(e.metadata as text), cast(e.data as text), e.trace,
      d.format, d.cause, d.attempt_count, d.created_at, d.redelivery_of,
      case when d.attempt_count > 0 then (
        select started_at from attempts where delivery = d.seq and number = 1
      ) end, cast(e.sent_as as text),
      json_valid(cast(e.data as text))
        and (e.scope is null or json_valid(cast(e.scope as text)))
        and (e.metadata is null or json_valid(cast(e.metadata as text)))
    from json_each(?) j cross join deliveries d on d.seq = j.value
      cross join events e on e.seq = d.event`,

  delivery: DELIVERY_BY_SEQ,
  lastResult: LAST_RESULT,

  ownRow: "select * from deliveries where seq = ?",

  finish: `
    update deliveries
    set attempt_count = ?, state = ?, due_at = null, finished_at = ?, finished_after = ?,
      reason = cast(? as blob), last_status = ?
    where seq = ? and state = 0 and attempt_count = ?`,

  // It waits for longer than a bite of the indexes: they take it in now.
  postpone: `
    update deliveries set attempt_count = ?, due_at = ?, last_status = ?, reason = null, fresh = 0
    where seq = ? and state = 0 and attempt_count = ?`,

  countLate: `
    update deliveries set attempt_count = :before + 1, last_status = :status
    where seq = :seq and state = 3 and attempt_count = :before`,

  insertAttempt: `
    insert into attempts (
      delivery, number, started_at, duration_ms, succeeded, url, request_headers, remote_address,
      status, response_headers, response_body, truncated, error_kind, error_message
    ) values (
      ?, ?, ?, ?, ?, cast(? as blob), cast(? as blob), cast(? as blob),
      ?, cast(? as blob), cast(? as blob), ?, ?, cast(? as blob)
    )`,

  hasten: `
    update deliveries set due_at = min(due_at, :now)
    where seq = :seq and created_at = :createdAt and state = 0`,

  finished: `
    select d.event, d.subscription, d.type, d.format, e.id as event_id, e.sent_as
    from deliveries d join events e on e.seq = d.event
    where d.seq = :seq and d.created_at = :createdAt and d.state <> 0`,

  raiseCount: "update events set delivery_count = delivery_count + 1 where seq = :seq",

  cancel: `
    update deliveries
    set state = 3, due_at = null, finished_at = :now, finished_after = :replays, reason = :reason
    where seq = :seq and created_at = :createdAt and state = 0 returning subscription, fresh`,

  endDamaged: `
    update deliveries
    set state = 2, due_at = null, finished_at = :now, finished_after = :replays, reason = :reason
    where seq = :seq and state = 0 returning fresh, created_at as createdAt`,

  shiftDue: `
    update deliveries indexed by deliveries_due set due_at = due_at + :byMs
    where state = 0 and fresh = 0 and (due_at > :from or :byMs < 0)`,

  writeCounts: `
    insert into counts (subscription, pending, delivered, exhausted, cancelled)
    values (?, ?, ?, ?, ?) ${ADD_TO_COUNTS}`,

  insertHistory: `
    insert into history (at, kind, subscription, delivery, cause, operator, address)
    values (:at, :kind, :subscription, :delivery, :cause, :operator, :address)`,

  // As much as a common event, so that room for a row alone is not taken for room.
  probe: `
    insert into probe (id, filler) values (1, zeroblob(65536))
    on conflict (id) do update set filler = excluded.filler`,
} as const;
