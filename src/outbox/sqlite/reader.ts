import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Attempt } from "../../domain/attempt.ts";
import type { Delivery } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import { Turn } from "../../runtime/turn.ts";
import { DataDamaged, InvalidCursorError } from "../outbox.ts";
import type {
  AnswerCount,
  Audit,
  Backlog,
  Counts,
  DeliveryFilter,
  DueBacklog,
  EventFilter,
  FoundEvent,
  HistoryFilter,
  KeptTimes,
  OutboxReader,
  Page,
  PrunedKind,
  RememberedEntry,
  Replay,
  ReplayFilter,
  SeenTypes,
  Space,
  StoredDelivery,
  StoredEvent,
  Tally,
  TallyRequest,
} from "../outbox.ts";
import { auditDatabase } from "./audit.ts";
import { type Bytes, equalBytes, toBytes, toNullableBytes, toText } from "./bytes.ts";
import { ifReadable, UNREADABLE } from "./damage.ts";
import { openReading } from "./connection.ts";
import { decodePosition, encodePosition, parseDeliveryId, type Position } from "./delivery_id.ts";
import { historyFromRow, type HistoryRow } from "./history.ts";
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
  FRESH_TALLIED,
  HEALTH,
  healthFromRow,
  type HealthRow,
  IS_FRESH,
  LAST_RESULT,
  type LastResultRow,
  MOST_NAMED,
  NAMED_EVENTS,
  type NamedRow,
  namesakeFromRow,
  PENDING_COUNTS,
  storedEventFromRow,
} from "./reading.ts";
import { Overdue } from "./pruning.ts";
import { parseReplayId } from "./replay_id.ts";
import { ReplayScan } from "./replay_scan.ts";
import { REPLAY, replayFromRow, type ReplayRow } from "./replaying.ts";
import { STATES } from "./schema.ts";
import type { ReadingThread } from "./reading_thread.ts";
import { Search, unknownCursor } from "./search.ts";
import type { DeliveryList } from "./search_sql.ts";
import { spaceOf } from "./space.ts";
import { seenTypes } from "./seen_types.ts";
import { prepareAll, type Statements } from "./statements.ts";
import type { TalliedAttempt } from "./tallied_attempt.ts";
import {
  answersFromRows,
  type AnswersRow,
  type FreshAttemptRow,
  freshAttemptsOf,
  talliesFromRows,
  type TallyRow,
  TOTAL,
  TOTAL_BY_MINUTE,
} from "./tallying.ts";

/**
 * Opens a database to read it, beside a running daemon or without one. Never creates it.
 * Throws NotOurDatabaseError, NewerSchemaError.
 */
export function openReader(path: string): SqliteReader {
  return new SqliteReader(openReading(path));
}

/** Rows of a backlog that are few enough to be sorted for each page. */
const SHORT_ROWS = 2_000;

/** How many rows are counted one by one to tell due ones from later ones: some milliseconds. */
const COUNTED_ROWS = 50_000;

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
  readonly #overdue: Overdue;
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
    this.#overdue = new Overdue(db);
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
    const named = this.#named(id, publisher);
    const row = named && this.#sql.eventBySeq.get(named.seq) as unknown as EventRow | undefined;
    if (!row) return undefined;
    const sameId = (this.#allNamed(toText(row.id)))
      .filter(({ seq, id }) => seq !== row.seq && equalBytes(id, row.id)).slice(0, MOST_NAMED - 1);
    return {
      ...storedEventFromRow(row),
      ...(sameId.length === 0 ? {} : { sameId: sameId.map(namesakeFromRow) }),
    };
  }

  /** The event that receivers know by this id, else the first that has it. */
  #named(id: string, publisher?: string): NamedRow | undefined {
    const rows = this.#allNamed(id, publisher), bytes = toBytes(id);
    return rows.find((row) => equalBytes(row.sent_as ?? row.id, bytes)) ?? rows[0];
  }

  #allNamed(id: string, publisher?: string): NamedRow[] {
    const rows = this.#sql.named.all({ id: toBytes(id), publisher: toNullableBytes(publisher) });
    return (rows as unknown as NamedRow[]).sort((a, b) => a.seq - b.seq);
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
    const event = this.#named(eventId, publisher);
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
    const found = new Map<string, Counts>();
    const numbers = subscriptions.flatMap((name) => this.#subscriptions.find(name) ?? []);
    for (const statement of [this.#sql.counts, this.#sql.freshCounts]) {
      const rows = statement.all(
        JSON.stringify(numbers),
      ) as unknown as ({ subscription: Bytes } & Counts)[];
      for (const { subscription, ...counts } of rows) {
        const name = toText(subscription);
        found.set(name, added(found.get(name), counts));
      }
    }
    return found;
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
    const { limit, cursor, delivery } = filter;
    const subscription = filter.subscription === undefined
      ? null
      : this.#subscriptions.find(filter.subscription);
    const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : positionOf(cursor).seq;
    if (subscription === undefined) return { items: [] };
    const page = { before, limit: limit + 1 };
    const found = delivery !== undefined
      ? this.#sql.historyOfDelivery.all({ ...page, delivery: toBytes(delivery), subscription })
      : subscription !== null
      ? this.#sql.historyOf.all({ ...page, subscription })
      : this.#sql.history.all(page);
    const rows = found as unknown as HistoryRow[];
    const items = rows.slice(0, limit).map(historyFromRow), last = items.at(-1);
    return rows.length === items.length || !last
      ? { items }
      : { items, next: encodePosition({ createdAt: last.at, seq: last.seq }) };
  }

  // deno-lint-ignore require-await
  async tallies(request: TallyRequest): Promise<Tally[]> {
    const series = this.#seriesOf(request);
    if (series === undefined) return [];
    const rows = this.#sql.tallies.all({ series, since: request.since }) as unknown as TallyRow[];
    return talliesFromRows(rows, { series, fresh: this.#freshAttempts(series, request) });
  }

  // deno-lint-ignore require-await
  async answers(request: TallyRequest): Promise<AnswerCount[]> {
    const series = this.#seriesOf(request);
    if (series === undefined) return [];
    const rows = this.#sql.answers.all({ series, since: request.since });
    return answersFromRows(
      rows as unknown as AnswersRow[],
      this.#freshAttempts(series, request),
    );
  }

  #freshAttempts(series: number, { since }: TallyRequest): TalliedAttempt[] {
    const rows = this.#sql.freshTallied.all() as unknown as FreshAttemptRow[];
    return freshAttemptsOf(rows, { series, since });
  }

  async backlog(): Promise<ReadonlyMap<string, Backlog>> {
    return await this.#waiting(0, ({ pending, dueAt }) => ({ pending, dueAt }));
  }

  // deno-lint-ignore require-await
  async backlogOf(subscription: string): Promise<Backlog | undefined> {
    const number = this.#subscriptions.find(subscription);
    if (number === undefined) return undefined;
    const { spans } = this.#dueSpans({ after: number - 1, limit: 1, now: 0 });
    const span = spans.find(({ number: each }) => each === number);
    return span && span.dueAt < Infinity ? { pending: span.pending, dueAt: span.dueAt } : undefined;
  }

  async due(now: Instant): Promise<ReadonlyMap<string, DueBacklog>> {
    return await this.#waiting(now, (span) => {
      const { pending, dueAt } = span;
      return { pending, dueAt, due: this.#dueWithin(span, now) };
    });
  }

  /** What `tell` says of each subscription that has something waiting; there may be 50 000. */
  async #waiting<Told>(
    now: Instant,
    tell: (span: DueSpan) => Told,
  ): Promise<ReadonlyMap<string, Told>> {
    const turn = this.turn();
    const found = new Map<string, Told>();
    for (let after = 0;;) {
      const { spans, until } = this.#dueSpans({ after, limit: CHUNK_ROWS, now });
      for (const span of spans) {
        if (span.dueAt < Infinity) found.set(toText(span.name), tell(span));
        // To count what is due of one may take some milliseconds.
        if (turn.isOver) await turn.rest();
      }
      if (until === Infinity) return found;
      after = until;
    }
  }

  /** What waits for subscriptions, from the number after one `until` another, not in their order. */
  #dueSpans({ now, after, limit }: { now: Instant; after: number; limit: number }) {
    const indexed = this.#sql.dueSpans.all({ after, limit }) as unknown as IndexedWaiting[];
    const until = indexed.length < limit ? Infinity : indexed.at(-1)!.subscription;
    const fresh = this.#sql.freshPending.all({ now, after }) as unknown as FreshWaiting[];
    const spans = new Map<number, DueSpan>(indexed.map((row) => {
      const { subscription, name, pending, first } = row;
      const span = { number: subscription, name, pending, dueAt: first ?? Infinity };
      return [subscription, { ...span, indexed: row, freshDue: 0 }];
    }));
    for (const { subscription, name, pending, first, due } of fresh) {
      if (subscription > until) continue;
      const beside = spans.get(subscription);
      spans.set(subscription, {
        number: subscription,
        name,
        pending: pending + (beside?.pending ?? 0),
        dueAt: Math.min(first, beside?.dueAt ?? Infinity),
        indexed: beside?.indexed,
        freshDue: due,
      });
    }
    return { spans: [...spans.values()], until };
  }

  /** Counts only where some are due and some are not, and of these the fewer ones. */
  #dueWithin({ indexed, freshDue }: DueSpan, now: Instant): number {
    if (!indexed || indexed.first === null || indexed.first > now) return freshDue;
    const { subscription, pending, last } = indexed;
    if (last! <= now) return pending + freshDue;
    const count = (statement: StatementSync) =>
      (statement.get({ subscription, now, limit: COUNTED_ROWS }) as { count: number }).count;
    const due = count(this.#sql.countDue);
    return freshDue + (due < COUNTED_ROWS ? due : pending - count(this.#sql.countLater));
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

  /** Undefined where a subscription never had anything on record. */
  #seriesOf(request: TallyRequest): number | undefined {
    if (request.slot === "minute") return TOTAL_BY_MINUTE;
    return request.subscription === undefined
      ? TOTAL
      : this.#subscriptions.find(request.subscription);
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
      const events = this.#allNamed(eventId).map(({ seq }) => seq);
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

/** When the first and the last of what waits for a subscription, and is not fresh, are due. */
interface IndexedWaiting {
  readonly subscription: number;
  readonly name: Bytes;
  readonly pending: number;
  readonly first: Instant | null;
  readonly last: Instant | null;
}

/** What waits for a subscription and is fresh. */
interface FreshWaiting {
  readonly subscription: number;
  readonly name: Bytes;
  readonly pending: number;
  readonly first: Instant;
  readonly due: number;
}

/** All that waits for a subscription. */
interface DueSpan {
  /** The subscription's. */
  readonly number: number;
  readonly name: Bytes;
  readonly pending: number;
  /** When the first of all is due. */
  readonly dueAt: Instant;
  readonly indexed: IndexedWaiting | undefined;
  /** How many fresh ones are due. */
  readonly freshDue: number;
}

const CHUNK_ROWS = 250;

/** A list of deliveries, and what it is of. */
interface Listed {
  readonly list: DeliveryList;
  readonly of?: number | string;
}

function added(some: Counts | undefined, more: Counts): Counts {
  if (!some) return more;
  return {
    pending: some.pending + more.pending,
    delivered: some.delivered + more.delivered,
    exhausted: some.exhausted + more.exhausted,
    cancelled: some.cancelled + more.cancelled,
  };
}

function positionOf(cursor: string): Position {
  const position = decodePosition(cursor);
  if (position) return position;
  throw new InvalidCursorError(unknownCursor(cursor));
}

/** The reader's statements by name; the tests ask SQLite how it would run each. */
export const READER_SQL = {
  eventBySeq: EVENT_BY_SEQ,
  named: NAMED_EVENTS,
  delivery: DELIVERY_BY_SEQ,
  attempts: ATTEMPTS_OF,
  lastResult: LAST_RESULT,
  health: HEALTH,

  deliveriesOf: "select seq from deliveries where event = ? order by seq",

  pending: `
    select s.name as subscription, p.n
    from (${PENDING_COUNTS}) p join subscriptions s on s.id = p.subscription`,

  counts: `
    select s.name as subscription, c.pending, c.delivered, c.exhausted, c.cancelled
    from json_each(?) j cross join counts c on c.subscription = j.value
      join subscriptions s on s.id = c.subscription
    where c.pending + c.delivered + c.exhausted + c.cancelled > 0`,

  freshCounts: `
    select s.name as subscription, sum(d.state = 0) as pending, sum(d.state = 1) as delivered,
      sum(d.state = 2) as exhausted, sum(d.state = 3) as cancelled
    from deliveries d join subscriptions s on s.id = d.subscription
    where ${IS_FRESH} and d.subscription in (select value from json_each(?))
    group by d.subscription`,

  freshTallied: FRESH_TALLIED,

  tallies: `
    select starts_at, first_attempts, first_successes, succeeded, failed, retrying, delivered, lost
    from tallies where series = :series and starts_at >= :since order by starts_at`,

  answers: `
    select answers from tallies where series = :series and starts_at >= :since`,

  freshPending: `
    select d.subscription, s.name, count(*) as pending, min(due_at) as first,
      sum(due_at <= :now) as due
    from deliveries d join subscriptions s on s.id = d.subscription
    where ${IS_FRESH} and state = 0 and d.subscription > :after
    group by d.subscription`,

  dueSpans: `
    select c.subscription, s.name, c.pending, (
        select min(due_at) from deliveries indexed by deliveries_due
        where subscription = c.subscription and state = 0 and fresh = 0
      ) as first, (
        select max(due_at) from deliveries indexed by deliveries_due
        where subscription = c.subscription and state = 0 and fresh = 0
      ) as last
    from counts c join subscriptions s on s.id = c.subscription
    where c.subscription > :after and c.pending > 0 order by c.subscription limit :limit`,

  countDue: `
    select count(*) as count from (
      select 1 from deliveries indexed by deliveries_due
      where subscription = :subscription and state = 0 and fresh = 0 and due_at <= :now
      limit :limit
    )`,

  countLater: `
    select count(*) as count from (
      select 1 from deliveries indexed by deliveries_due
      where subscription = :subscription and state = 0 and fresh = 0 and due_at > :now
      limit :limit
    )`,

  replay: `
    select ${REPLAY} from replays
    where number = :seq and created_at = :createdAt`,

  openReplays: `
    select ${REPLAY}
    from replays indexed by replays_open where finished_at is null order by number`,

  history: `
    select seq, at, kind, s.name as subscription, delivery, cause, operator, address
    from history left join subscriptions s on s.id = history.subscription
    where seq < :before order by seq desc limit :limit`,

  historyOf: `
    select seq, at, kind, s.name as subscription, delivery, cause, operator, address
    from history join subscriptions s on s.id = history.subscription
    where history.subscription = :subscription and seq < :before order by seq desc limit :limit`,

  historyOfDelivery: `
    select seq, at, kind, s.name as subscription, delivery, cause, operator, address
    from history left join subscriptions s on s.id = history.subscription
    where delivery = :delivery and (:subscription is null or history.subscription = :subscription)
      and seq < :before
    order by seq desc limit :limit`,

  countPending: `
    select count(*) as n from (
      select 1 from deliveries indexed by deliveries_due
      where subscription = ? and state = 0 and fresh = 0 limit ?
    )`,
} as const;
