import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Pruned } from "../outbox.ts";
import type { Changes } from "./changes.ts";
import type { LastNumbers } from "./indexing.ts";
import { ALL_TYPES, STATES } from "./schema.ts";

/** What finished before these instants goes, at most `limit` rows of a kind. */
export interface PruneRequest {
  readonly delivered: Instant;
  readonly exhausted: Instant;
  readonly limit: number;
}

/** Takes away what nobody needs to keep, a bite at a time. */
export class Pruning {
  readonly #finished: StatementSync;
  readonly #deleteAttempts: StatementSync;
  readonly #deleteDelivery: StatementSync;
  readonly #findEvent: StatementSync;
  readonly #deleteEvent: StatementSync;
  readonly #deleteEventOfType: StatementSync;
  readonly #lowerCount: StatementSync;
  readonly #bareEvents: StatementSync;
  readonly #deleteKeys: StatementSync;
  readonly #deleteHistory: StatementSync;
  readonly #deleteReplays: StatementSync;
  readonly #deleteTallies: StatementSync;

  constructor(db: DatabaseSync) {
    this.#finished = db.prepare(FINISHED);
    this.#deleteAttempts = db.prepare(DELETE_ATTEMPTS);
    this.#deleteDelivery = db.prepare(DELETE_DELIVERY);
    this.#findEvent = db.prepare(FIND_EVENT);
    this.#deleteEvent = db.prepare(DELETE_EVENT);
    this.#deleteEventOfType = db.prepare(DELETE_EVENT_OF_TYPE);
    this.#lowerCount = db.prepare(LOWER_COUNT);
    this.#bareEvents = db.prepare(BARE_EVENTS);
    this.#deleteKeys = db.prepare(DELETE_KEYS);
    this.#deleteHistory = db.prepare(DELETE_HISTORY);
    this.#deleteReplays = db.prepare(DELETE_REPLAYS);
    this.#deleteTallies = db.prepare(DELETE_TALLIES);
  }

  /** One bite, within a transaction, of what the indexes have taken in so far. */
  bite(before: PruneRequest, indexed: LastNumbers, changes: Changes): Pruned {
    const removed = new Map<number, number>();
    let left = before.limit;
    for (const state of FINAL_STATES) {
      const finishedBefore = state === DELIVERED ? before.delivered : before.exhausted;
      const rows = this.#finished.all(
        state,
        finishedBefore,
        indexed.delivery,
        left,
      ) as unknown as FinishedRow[];
      for (const { seq, event, subscription } of rows) {
        this.#deleteAttempts.get(seq);
        this.#deleteDelivery.get(seq);
        removed.set(event, (removed.get(event) ?? 0) + 1);
        changes.count(subscription, STATES[state], -1);
      }
      left -= rows.length;
    }
    const deliveries = before.limit - left;
    let events = this.#settleEvents(removed, before.delivered);
    const bare = this.#bareEvents.all(before.delivered, indexed.event, left);
    for (const event of bare as unknown as EventNumbers[]) this.#removeEvent(event);
    events += bare.length;
    return { deliveries, events, others: this.#takeOthers(before) };
  }

  /** As many of each again, for a daemon may be so busy that deliveries fill every bite. */
  #takeOthers({ delivered, exhausted, limit }: PruneRequest): number {
    // A key may name events of either end.
    const { changes } = this.#deleteKeys.run(Math.min(delivered, exhausted), limit);
    let others = Number(changes);
    for (const statement of [this.#deleteHistory, this.#deleteReplays, this.#deleteTallies]) {
      others += Number(statement.run(exhausted, limit).changes);
    }
    return others;
  }

  /** Events go with their last delivery; those too young to go are found later, being bare. */
  #settleEvents(removed: ReadonlyMap<number, number>, acceptedBefore: Instant): number {
    let events = 0;
    for (const [seq, count] of removed) {
      const { delivery_count, ...numbers } = this.#findEvent.get(seq) as unknown as
        & Omit<EventNumbers, "seq">
        & { delivery_count: number };
      if (delivery_count === count && numbers.accepted_at < acceptedBefore) {
        this.#removeEvent({ seq, ...numbers });
        events++;
      } else this.#lowerCount.get(count, seq);
    }
    return events;
  }

  #removeEvent({ seq, type, accepted_at }: EventNumbers): void {
    this.#deleteEvent.get(seq);
    this.#deleteEventOfType.get(type, accepted_at, seq);
  }
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
}

const DELIVERED = 1;
const FINAL_STATES = [DELIVERED, 2, 3] as const;

export const FINISHED = `
  select seq, event, subscription from deliveries
  where state = ? and state <> 0 and fresh = 0 and finished_at < ? and seq <= ?
  order by finished_at limit ?`;

export const DELETE_ATTEMPTS = "delete from attempts where delivery = ?";

const DELETE_DELIVERY = "delete from deliveries where seq = ?";

const FIND_EVENT = "select type, accepted_at, delivery_count from events where seq = ?";

export const DELETE_EVENT = "delete from events where seq = ?";

const LOWER_COUNT = "update events set delivery_count = delivery_count - ? where seq = ?";

export const DELETE_EVENT_OF_TYPE = `
  delete from events_of_type where type in (?, ${ALL_TYPES}) and accepted_at = ? and event = ?`;

export const BARE_EVENTS = `
  select seq, type, accepted_at from events where delivery_count = 0 and accepted_at < ? and seq <= ?
  order by accepted_at limit ?`;

export const DELETE_KEYS = `
  delete from idempotency where key in (
    select key from idempotency where created_at < ? order by created_at limit ?
  )`;

export const DELETE_HISTORY = `
  delete from history where seq in (
    select seq from history where at < ? order by at limit ?
  )`;

export const DELETE_REPLAYS = `
  delete from replays where number in (
    select number from replays
    where finished_at < ? order by finished_at limit ?
  )`;

export const DELETE_TALLIES = `
  delete from tallies where (series, starts_at) in (
    select series, starts_at from tallies
    where starts_at < ? order by starts_at limit ?
  )`;
