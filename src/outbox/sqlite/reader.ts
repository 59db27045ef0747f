import type { DatabaseSync } from "node:sqlite";
import type { Attempt } from "../../domain/attempt.ts";
import type { Delivery } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import { Turn } from "../../runtime/turn.ts";
import { DataDamaged } from "../errors.ts";
import type { KeptTimes, PrunedKind, Replay, ReplayFilter } from "../outbox.ts";
import type {
  AnswerCount,
  AnswersRequest,
  Audit,
  Backlog,
  Counts,
  DeliveryFilter,
  DueBacklog,
  EventFilter,
  FoundEvent,
  HistoryFilter,
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
import { auditDatabase } from "./audit.ts";
import { Backlogs } from "./backlogs.ts";
import { type Bytes, toText } from "./bytes.ts";
import { ifReadable, UNREADABLE } from "./damage.ts";
import { openReading } from "./connection.ts";
import { parseDeliveryId, parseReplayId, type Position } from "../ids.ts";
import { HistoryReading } from "./history.ts";
import { NamedEvents } from "./named_events.ts";
import { FORMAT_NAMES, Names, SUBSCRIPTION_NAMES, TYPE_NAMES } from "./names.ts";
import {
  attemptFromRow,
  type AttemptRow,
  ATTEMPTS_OF,
  DELIVERY_BY_SEQ,
  deliveryFromRow,
  type DeliveryRow,
  EVENT_BY_SEQ,
  type EventRow,
  HEALTH,
  healthFromRow,
  type HealthRow,
  LAST_RESULT,
  type LastResultRow,
  PENDING_COUNTS,
  storedEventFromRow,
} from "./reading.ts";
import { Overdue } from "./pruning.ts";
import { ReplayScan } from "./replay_scan.ts";
import { REPLAY, replayFromRow, type ReplayRow } from "./replaying.ts";
import { STATES } from "./schema.ts";
import type { ReadingThread } from "./reading_thread.ts";
import { Search } from "./search.ts";
import type { DeliveryList } from "./search_sql.ts";
import { spaceOf } from "./space.ts";
import { seenTypes } from "./seen_types.ts";
import { prepareAll, type Statements } from "./statements.ts";
import { Totals } from "./totals.ts";

/**
 * Opens a database to read it, beside a running daemon or without one. Never creates it.
 * Throws NotOurDatabaseError, NewerSchemaError.
 */
export function openReader(path: string): SqliteReader {
  return new SqliteReader(openReading(path));
}

/** Rows of a backlog that are few enough to be sorted for each page. */
const SHORT_ROWS = 2_000;

/**
 * The reading side, over a connection that sees only what is committed. It can't be watched: SQLite
 * does not say that another connection has committed.
 */
export class SqliteReader implements Omit<OutboxReader, "watch" | "longJournal"> {
  readonly #db: DatabaseSync;
  readonly #sql: Statements<keyof typeof READER_SQL>;
  readonly #subscriptions: Names;
  readonly #types: Names;
  readonly #formats: Names;
  readonly #replayScan: ReplayScan;
  readonly #clock: Clock;
  readonly #named: NamedEvents;
  readonly #overdue: Overdue;
  readonly #backlogs: Backlogs;
  readonly #history: HistoryReading;
  readonly #totals: Totals;
  readonly #search: Search;
  readonly #thread: ReadingThread | undefined;

  /** Long searches read on the thread, where one is given. */
  constructor(db: DatabaseSync, clock: Clock = systemClock, thread?: ReadingThread) {
    this.#db = db;
    this.#thread = thread;
    this.#clock = clock;
    this.#sql = prepareAll(db, READER_SQL);
    this.#subscriptions = new Names(db, SUBSCRIPTION_NAMES, { writes: false });
    this.#types = new Names(db, TYPE_NAMES, { writes: false });
    this.#formats = new Names(db, FORMAT_NAMES, { writes: false });
    this.#replayScan = new ReplayScan(db, {
      subscriptions: this.#subscriptions,
      types: this.#types,
    });
    this.#named = new NamedEvents(db);
    this.#overdue = new Overdue(db);
    this.#backlogs = new Backlogs(db, this.#subscriptions);
    this.#history = new HistoryReading(db, this.#subscriptions);
    this.#totals = new Totals(db, this.#subscriptions);
    this.#search = new Search({ db, prepared: new Map(), thread, clock }, {
      subscriptions: this.#subscriptions,
      types: this.#types,
    });
  }

  /** For what may look at many rows, so that nobody else waits for it. */
  turn(): Turn {
    return new Turn(this.#clock);
  }

  // Asynchronous as the port is: what SQLite throws becomes a rejection.

  // deno-lint-ignore require-await
  async event(id: string, publisher?: string): Promise<FoundEvent | undefined> {
    const named = this.#named.find(id, publisher);
    const row = named && this.#sql.eventBySeq.get(named.seq) as unknown as EventRow | undefined;
    if (!row) return undefined;
    const sameId = this.#named.namesakesOf(row);
    return { ...storedEventFromRow(row), ...(sameId.length === 0 ? {} : { sameId }) };
  }

  // deno-lint-ignore require-await
  async delivery(id: string): Promise<StoredDelivery | undefined> {
    const row = this.#find(id);
    if (!row) return undefined;
    const [event] = this.#event(row.event);
    if (!event) throw new DataDamaged(UNREADABLE);
    return {
      ...deliveryFromRow(row, this.#lastResult(row)),
      event,
      format: this.#formats.name(row.format),
    };
  }

  // deno-lint-ignore require-await
  async deliveriesOf(eventId: string, publisher?: string): Promise<Delivery[]> {
    const event = this.#named.find(eventId, publisher);
    if (!event) return [];
    const rows = this.#sql.deliveriesOf.all(event.seq) as unknown as { seq: number }[];
    return rows.flatMap(({ seq }) => this.#delivery(seq));
  }

  // deno-lint-ignore require-await
  async attempts(deliveryId: string): Promise<Attempt[]> {
    const delivery = this.#find(deliveryId);
    if (!delivery) return [];
    const rows = this.#sql.attempts.all(delivery.seq) as unknown as AttemptRow[];
    return rows.map(attemptFromRow);
  }

  /**
   * Newest first. Where no index answers the whole filter, one call looks through older rows for half a
   * second: its page may be short, or empty, and still have a `next`.
   */
  async deliveries({ q, ...filter }: DeliveryFilter): Promise<Page<Delivery>> {
    const list = this.#listFor(filter);
    if (!list) return { items: [] };
    const asked = q === undefined || q === "" ? filter : { ...filter, q };
    const { seqs, ...page } = await this.#search.deliveries(asked, list);
    return { items: seqs.flatMap((seq) => this.#delivery(seq)), ...page };
  }

  /** As deliveries() does. */
  async events({ q, ...filter }: EventFilter): Promise<Page<StoredEvent>> {
    const asked = q === undefined || q === "" ? filter : { ...filter, q };
    const { seqs, ...page } = await this.#search.events(asked);
    return { items: seqs.flatMap((seq) => this.#event(seq)), ...page };
  }

  // deno-lint-ignore require-await
  async health(): Promise<ReadonlyMap<string, Health>> {
    const rows = this.#sql.health.all() as unknown as HealthRow[];
    return new Map(rows.map((row) => [toText(row.subscription), healthFromRow(row)]));
  }

  // deno-lint-ignore require-await
  async pending(): Promise<ReadonlyMap<string, number>> {
    const rows = this.#sql.pending.all() as unknown as { subscription: Bytes; n: number }[];
    return new Map(rows.map(({ subscription, n }) => [toText(subscription), n]));
  }

  // deno-lint-ignore require-await
  async counts(subscriptions: readonly string[]): Promise<ReadonlyMap<string, Counts>> {
    return this.#totals.counts(subscriptions);
  }

  /**
   * How many deliveries fit that had finished when the replay of that number began; where none is
   * given, by now. There may be millions.
   */
  async countReplay(filter: ReplayFilter, number = Number.MAX_SAFE_INTEGER): Promise<number> {
    const scan = this.#replayScan.over(filter, number);
    if (!scan) return 0;
    const turn = this.turn();
    let after: Position = { createdAt: filter.since, seq: 0 };
    for (let count = 0;;) {
      const looked = scan.look({ after, until: filter.until, rows: CHUNK_ROWS });
      count += scan.count(looked);
      if (looked.length < CHUNK_ROWS) return count;
      after = looked.at(-1)!;
      if (turn.isOver) await turn.rest();
    }
  }

  // deno-lint-ignore require-await
  async replay(id: string): Promise<Replay | undefined> {
    const position = parseReplayId(id);
    const row = position && this.#sql.replay.get({ ...position }) as unknown as
      | ReplayRow
      | undefined;
    return row && replayFromRow(row);
  }

  // deno-lint-ignore require-await
  async openReplays(): Promise<Replay[]> {
    return (this.#sql.openReplays.all() as unknown as ReplayRow[]).map(replayFromRow);
  }

  // deno-lint-ignore require-await
  async history(filter: HistoryFilter): Promise<Page<RememberedEntry>> {
    return this.#history.page(filter);
  }

  // deno-lint-ignore require-await
  async tallies(request: TallyRequest): Promise<Tally[]> {
    return this.#totals.tallies(request);
  }

  // deno-lint-ignore require-await
  async answers(request: AnswersRequest): Promise<AnswerCount[]> {
    return this.#totals.answers(request);
  }

  backlog(): Promise<ReadonlyMap<string, Backlog>> {
    return this.#backlogs.all(this.turn());
  }

  // deno-lint-ignore require-await
  async backlogOf(subscription: string): Promise<Backlog | undefined> {
    return this.#backlogs.of(subscription);
  }

  due(now: Instant): Promise<ReadonlyMap<string, DueBacklog>> {
    return this.#backlogs.due(now, this.turn());
  }

  // deno-lint-ignore require-await
  async overdue(times: KeptTimes): Promise<Map<PrunedKind, number>> {
    return this.#overdue.byKind(times);
  }

  // deno-lint-ignore require-await
  async audit(): Promise<Audit> {
    return auditDatabase(this.#db);
  }

  seenTypes(request: { since: Instant; most: number }): Promise<SeenTypes | undefined> {
    return seenTypes(this.#db, { ...request, turn: this.turn() });
  }

  // deno-lint-ignore require-await
  async space(): Promise<Space> {
    return spaceOf(this.#db);
  }

  /** Ends the thread, which has a connection of its own. */
  async leaveThread(): Promise<void> {
    await this.#thread?.close();
  }

  close(): void {
    this.#db.close();
  }

  #find(id: string): DeliveryRow | undefined {
    const position = parseDeliveryId(id);
    if (!position) return undefined;
    const row = this.#sql.delivery.get(position.seq) as unknown as DeliveryRow | undefined;
    return row?.created_at === position.createdAt ? row : undefined;
  }

  /** None where it is damaged: a list goes on without it. */
  #delivery(seq: number): Delivery[] {
    return ifReadable(() => this.#sql.delivery.get(seq) as unknown as DeliveryRow | undefined)
      .map((row) => deliveryFromRow(row, this.#lastResult(row)));
  }

  /** Not joined to the delivery: where its page is damaged, the delivery can still be told of. */
  #lastResult({ seq, attempt_count }: DeliveryRow): LastResultRow | undefined {
    if (attempt_count === 0) return undefined;
    return ifReadable(() =>
      this.#sql.lastResult.get(seq, attempt_count) as unknown as LastResultRow | undefined
    )[0];
  }

  /** The same of an event. */
  #event(seq: number): StoredEvent[] {
    return ifReadable(() => this.#sql.eventBySeq.get(seq) as unknown as EventRow | undefined)
      .map(storedEventFromRow);
  }

  /** What leaves the fewest rows to look at; undefined where nothing can fit. */
  #listFor({ eventId, status, state, subscription, type }: DeliveryFilter): Listed | undefined {
    if (eventId !== undefined) {
      const events = this.#named.all(eventId).map(({ seq }) => seq);
      return { list: "byEvent", of: JSON.stringify(events) };
    }
    const number = subscription === undefined ? undefined : this.#subscriptions.find(subscription);
    const typeNumber = type === undefined ? undefined : this.#types.find(type);
    if (subscription !== undefined && number === undefined) return undefined;
    if (type !== undefined && typeNumber === undefined) return undefined;
    if (state === "pending" && number !== undefined && this.#isShort(number)) {
      return { list: "pendingOf", of: number };
    }
    if (status !== undefined && status >= 300) return { list: "byStatus", of: status };
    if (state === "failed") return { list: "byFailed" };
    if (state === "pending") return { list: "byPending" };
    if (state !== undefined && state !== "delivered") {
      return { list: "byState", of: STATES.indexOf(state) };
    }
    if (number !== undefined) return { list: "bySubscription", of: number };
    if (typeNumber !== undefined) return { list: "byType", of: typeNumber };
    return { list: "byTime" };
  }

  /** Whether a subscription's pending deliveries are few enough to be sorted for each page. */
  #isShort(subscription: number): boolean {
    const { n } = this.#sql.countPending.get(subscription, SHORT_ROWS) as { n: number };
    return n < SHORT_ROWS;
  }
}

const CHUNK_ROWS = 250;

/** A list of deliveries, and what it is of. */
interface Listed {
  readonly list: DeliveryList;
  readonly of?: number | string;
}

/** The reader's statements by name; the tests ask SQLite how it would run each. */
export const READER_SQL = {
  eventBySeq: EVENT_BY_SEQ,
  delivery: DELIVERY_BY_SEQ,
  attempts: ATTEMPTS_OF,
  lastResult: LAST_RESULT,
  health: HEALTH,

  deliveriesOf: "select seq from deliveries where event = ? order by seq",

  pending: `
    select s.name as subscription, p.n
    from (${PENDING_COUNTS}) p join subscriptions s on s.id = p.subscription`,

  replay: `
    select ${REPLAY} from replays
    where number = :seq and created_at = :createdAt`,

  openReplays: `
    select ${REPLAY}
    from replays indexed by replays_open where finished_at is null order by number`,

  countPending: `
    select count(*) as n from (
      select 1 from pending indexed by pending_due where subscription = ? limit ?
    )`,
} as const;
