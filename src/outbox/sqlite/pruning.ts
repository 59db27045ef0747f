import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import { type KeptTimes, PRUNED_KINDS, type PrunedKind, type PruneRequest } from "../outbox.ts";
import type { Pruned } from "../outbox.ts";
import type { Changes } from "./changes.ts";
import { orRemember } from "./damage.ts";
import type { RowNumbers } from "./numbers.ts";
import { ALL_TYPES, STATES } from "./schema.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** Deletes rows that nobody needs to keep any longer, in short batches. */
export class Pruning {
  readonly #sql: Statements<keyof typeof PRUNING_SQL>;
  /** The kind that the next batch begins with: when one ran out of time, the others go first. */
  #turn = 0;
  /** What can't be deleted, for its pages are damaged: the rest is, without it. */
  readonly #stuck = {
    kinds: new Set<PrunedKind>(),
    deliveries: new Set<number>(),
    events: new Set<number>(),
  };

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, PRUNING_SQL);
  }

  /** One batch, within a transaction, of what is rolled up. */
  batch(request: PruneRequest, reached: RowNumbers, changes: Changes): Pruned {
    const { limit, hold } = request;
    const startedMs = hold?.monotonicMs() ?? 0;
    const heldMs = () => hold === undefined ? 0 : hold.monotonicMs() - startedMs;
    let isOver = false;
    const batch: Batch = {
      request,
      reached,
      changes,
      isOver: () => isOver ||= hold !== undefined && heldMs() >= hold.maxMs,
      events: 0,
    };
    const pruned = { deliveries: 0, others: 0 };
    let mayHaveMore = false;
    for (let i = 0; i < PRUNED_KINDS.length; i++) {
      const kind = PRUNED_KINDS[this.#turn]!;
      this.#turn = (this.#turn + 1) % PRUNED_KINDS.length;
      if (this.#stuck.kinds.has(kind)) continue;
      const rows = this.#pruneOrGiveUp(kind, batch);
      if (isFinalState(kind)) pruned.deliveries += rows;
      else if (kind === "events") batch.events += rows;
      else pruned.others += rows;
      mayHaveMore ||= rows >= limit;
      if (batch.isOver()) {
        mayHaveMore = true;
        break;
      }
    }
    return { ...pruned, events: batch.events, mayHaveMore, heldMs: heldMs() };
  }

  #pruneOrGiveUp(kind: PrunedKind, batch: Batch): number {
    const { deliveries, events } = this.#stuck;
    const known = deliveries.size + events.size;
    let rows = 0;
    orRemember(() => rows = this.#prune(kind, batch), () => {
      if (deliveries.size + events.size === known) this.#stuck.kinds.add(kind);
    });
    return rows;
  }

  /** Answers how many rows of the kind it deleted. */
  #prune(kind: PrunedKind, batch: Batch): number {
    const before = overdueBefore(kind, batch.request);
    const { limit } = batch.request;
    switch (kind) {
      case "delivered":
      case "exhausted":
      case "cancelled":
        return this.#pruneDeliveries(kind, before, batch);
      case "events":
        return this.#pruneBareEvents(before, batch);
      case "keys":
        return Number(this.#sql.deleteKeys.run(before, limit).changes);
      case "history":
        return Number(this.#sql.deleteHistory.run(before, limit).changes);
      case "replays":
        return Number(this.#sql.deleteReplays.run(before, limit).changes);
      case "tallies":
        return Number(this.#sql.deleteTallies.run(before, limit).changes);
    }
  }

  #pruneDeliveries(state: FinalState, before: Instant, batch: Batch): number {
    const { request, reached, changes } = batch;
    const rows = this.#sql.finished.all(
      STATES.indexOf(state),
      before,
      reached.delivery,
      reached.attempt,
      request.limit + this.#stuck.deliveries.size,
    ) as unknown as FinishedRow[];
    const removed = new Map<number, number>();
    let deleted = 0;
    for (const row of rows) {
      const { seq, event, subscription } = row, { deliveries } = this.#stuck;
      if (deliveries.has(seq)) continue;
      orRemember(() => this.#removeDelivery(row), () => deliveries.add(seq));
      removed.set(event, (removed.get(event) ?? 0) + 1);
      changes.count(subscription, state, -1);
      deleted++;
      if (batch.isOver()) break;
    }
    batch.events += this.#settleEvents(removed, request.delivered);
    return deleted;
  }

  #pruneBareEvents(before: Instant, { request, reached, isOver }: Batch): number {
    const limit = request.limit + this.#stuck.events.size;
    const rows = this.#sql.bareEvents.all(before, reached.event, limit);
    let deleted = 0;
    for (const event of rows as unknown as EventNumbers[]) {
      const { events } = this.#stuck;
      if (events.has(event.seq)) continue;
      orRemember(() => this.#removeEvent(event), () => events.add(event.seq));
      deleted++;
      if (isOver()) break;
    }
    return deleted;
  }

  /** Events go with their last delivery; those too young to go are found later, being bare. */
  #settleEvents(removed: ReadonlyMap<number, number>, acceptedBefore: Instant): number {
    const stuck = this.#stuck.events;
    let events = 0;
    for (const [seq, count] of removed) {
      if (stuck.has(seq)) continue;
      orRemember(() => events += this.#settleEvent({ seq, count, acceptedBefore }), () => {
        stuck.add(seq);
      });
    }
    return events;
  }

  #settleEvent(
    { seq, count, acceptedBefore }: { seq: number; count: number; acceptedBefore: Instant },
  ): number {
    const found = this.#sql.findEventNumbers.get(seq) as unknown as
      | Omit<EventNumbers, "seq"> & { delivery_count: number }
      | undefined;
    // It has gone, as an audit tells.
    if (!found) return 0;
    const { delivery_count, ...numbers } = found;
    if (delivery_count === count && numbers.accepted_at < acceptedBefore) {
      this.#removeEvent({ seq, ...numbers });
      return 1;
    }
    this.#sql.lowerCount.get(count, seq);
    return 0;
  }

  #removeDelivery({ seq, subscription, type, created_at }: FinishedRow): void {
    this.#sql.deleteAttempts.get(seq);
    this.#sql.deleteOutcome.get(seq);
    this.#sql.deleteOfSubscription.get(subscription, created_at, seq);
    this.#sql.deleteOfType.get(type, created_at, seq);
    this.#sql.deleteDelivery.get(seq);
  }

  #removeEvent({ seq, type, accepted_at }: EventNumbers): void {
    this.#sql.deleteEvent.get(seq);
    this.#sql.deleteEventOfType.get(type, accepted_at, seq);
  }
}

/** What a batch works on, and how far it got. */
interface Batch {
  readonly request: PruneRequest;
  readonly reached: RowNumbers;
  readonly changes: Changes;
  /** Whether it has held the loop for as long as it may. */
  readonly isOver: () => boolean;
  /** Events that went, with their last delivery or being bare. */
  events: number;
}

type FinalState = "delivered" | "exhausted" | "cancelled";

function isFinalState(kind: PrunedKind): kind is FinalState {
  return kind === "delivered" || kind === "exhausted" || kind === "cancelled";
}

/** Before when rows of a kind are overdue. */
function overdueBefore(kind: PrunedKind, { delivered, exhausted }: KeptTimes): Instant {
  if (kind === "delivered" || kind === "events") return delivered;
  // A key may name events of either end.
  return kind === "keys" ? Math.min(delivered, exhausted) : exhausted;
}

/** For how long the oldest row of each kind has been overdue; kinds without any are left out. */
export class Overdue {
  readonly #sql: Statements<PrunedKind>;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, OLDEST_SQL);
  }

  byKind(times: KeptTimes): Map<PrunedKind, number> {
    const overdue = new Map<PrunedKind, number>();
    for (const kind of PRUNED_KINDS) {
      const { oldest } = oldestOf(this.#sql[kind]);
      const overdueMs = oldest === null ? 0 : overdueBefore(kind, times) - oldest;
      if (overdueMs > 0) overdue.set(kind, overdueMs);
    }
    return overdue;
  }
}

function oldestOf(statement: StatementSync): { oldest: Instant | null } {
  return statement.get() as { oldest: Instant | null };
}

interface EventNumbers {
  readonly seq: number;
  readonly type: number;
  readonly accepted_at: Instant;
}

interface FinishedRow {
  readonly seq: number;
  readonly event: number;
  readonly subscription: number;
  readonly type: number;
  readonly created_at: Instant;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const PRUNING_SQL = {
  // Also their attempts must be rolled up: the tallies would miss them.
  finished: `
    select d.seq, d.event, d.subscription, d.type, d.created_at
    from outcomes o indexed by outcomes_by_end cross join deliveries d on d.seq = o.delivery
    where o.state = ? and o.finished_at < ? and o.delivery <= ?
      and not exists (select 1 from attempts a where a.delivery = o.delivery and a.seq > ?)
    order by o.finished_at limit ?`,

  deleteOutcome: "delete from outcomes where delivery = ?",

  deleteOfSubscription: `
    delete from deliveries_of_subscription
    where subscription = ? and created_at = ? and delivery = ?`,

  deleteOfType: `
    delete from deliveries_of_type where type = ? and created_at = ? and delivery = ?`,

  deleteAttempts: "delete from attempts where delivery = ?",

  deleteDelivery: "delete from deliveries where seq = ?",

  findEventNumbers: "select type, accepted_at, delivery_count from events where seq = ?",

  deleteEvent: "delete from events where seq = ?",

  lowerCount: "update events set delivery_count = delivery_count - ? where seq = ?",

  deleteEventOfType: `
    delete from events_of_type where type in (?, ${ALL_TYPES}) and accepted_at = ? and event = ?`,

  bareEvents: `
    select seq, type, accepted_at from events where delivery_count = 0 and accepted_at < ? and seq <= ?
    order by accepted_at limit ?`,

  deleteKeys: `
    delete from idempotency where key in (
      select key from idempotency where created_at < ? order by created_at limit ?
    )`,

  deleteHistory: `
    delete from history where seq in (
      select seq from history where at < ? order by at limit ?
    )`,

  deleteReplays: `
    delete from replays where number in (
      select number from replays
      where finished_at < ? order by finished_at limit ?
    )`,

  deleteTallies: `
    delete from tallies where (series, starts_at) in (
      select series, starts_at from tallies
      where starts_at < ? order by starts_at limit ?
    )`,
} as const;

/** The oldest row of each kind by its index, which is one look-up each. */
export const OLDEST_SQL: Readonly<Record<PrunedKind, string>> = {
  delivered: "select min(finished_at) as oldest from outcomes where state = 1",
  exhausted: "select min(finished_at) as oldest from outcomes where state = 2",
  cancelled: "select min(finished_at) as oldest from outcomes where state = 3",
  events: "select min(accepted_at) as oldest from events where delivery_count = 0",
  keys: "select min(created_at) as oldest from idempotency",
  history: "select min(at) as oldest from history",
  replays: "select min(finished_at) as oldest from replays where finished_at is not null",
  tallies: "select min(starts_at) as oldest from tallies",
};
