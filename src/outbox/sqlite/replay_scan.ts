import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { ReplayFilter } from "../outbox.ts";
import type { Position } from "../ids.ts";
import type { Names } from "./names.ts";
import { isInState } from "./reading.ts";
import { STATE_FILTERS, STATES } from "./schema.ts";
import { prepareAll, type Statements } from "./statements.ts";
import { assertGetsOn } from "./walk.ts";

/** The names a filter's are looked up in. */
export interface ScanNames {
  readonly subscriptions: Names;
  readonly types: Names;
}

/** A delivery that is to be sent again. */
export interface ReplayedRow {
  readonly seq: number;
  readonly created_at: Instant;
  readonly event: number;
  readonly subscription: number;
  readonly type: number;
  readonly format: number;
}

/** Finds the deliveries that a replay sends again, oldest first, some rows at a time: of those rolled up. */
export class ReplayScan {
  readonly #sql: Statements<keyof typeof SCAN_SQL>;
  readonly #names: ScanNames;

  constructor(db: DatabaseSync, names: ScanNames) {
    this.#sql = prepareAll(db, SCAN_SQL);
    this.#names = names;
  }

  /**
   * What fits a filter and had finished when the replay of that number began. Undefined where nothing
   * can: there is no such subscription or type.
   */
  over(filter: ReplayFilter, number: number): Scan | undefined {
    const state = filter.state === undefined ? null : STATE_FILTERS.indexOf(filter.state);
    const subscription = filter.subscription === undefined
      ? null
      : this.#names.subscriptions.find(filter.subscription);
    const type = filter.type === undefined ? null : this.#names.types.find(filter.type);
    if (subscription === undefined || type === undefined) return undefined;
    return new Scan(this.#sql, { number, state, subscription, type });
  }
}

/** One filter's way through the deliveries. */
export class Scan {
  readonly #sql: Statements<keyof typeof SCAN_SQL>;
  readonly #wanted: Wanted;

  constructor(sql: Statements<keyof typeof SCAN_SQL>, wanted: Wanted) {
    this.#sql = sql;
    this.#wanted = wanted;
  }

  /** The next `rows` rows behind a position that may fit, by the index that leaves the fewest. */
  look({ after, until, rows }: { after: Position; until: Instant; rows: number }): Position[] {
    const bounds = { afterAt: after.createdAt, afterSeq: after.seq, until, rows };
    const { state, subscription, type } = this.#wanted;
    const found = state === FAILED
      ? this.#sql.lookByFailed.all(bounds)
      : state === PENDING
      ? this.#sql.lookByPending.all(bounds)
      : state !== null && STATES[state] !== "delivered"
      ? this.#sql.lookByState.all({ ...bounds, state })
      : subscription !== null
      ? this.#sql.lookBySubscription.all({ ...bounds, subscription })
      : type !== null
      ? this.#sql.lookByType.all({ ...bounds, type })
      : this.#sql.lookByTime.all(bounds);
    const positions = found as unknown as { seq: number; created_at: Instant }[];
    const looked = positions.map(({ seq, created_at }) => ({ createdAt: created_at, seq }));
    if (looked.length > 0) assertGetsOn(looked.at(-1)!, after);
    return looked;
  }

  /** Those of the rows looked at that do fit, in their order, at most `limit`. */
  take(looked: readonly Position[], limit: number): ReplayedRow[] {
    const { state, number, subscription, type } = this.#wanted;
    const seqs = listOf(looked);
    const rows = state === PENDING
      ? this.#sql.takePending.all({ subscription, type, seqs, limit })
      : this.#sql.take.all({ number, state, subscription, type, seqs, limit });
    return rows as unknown as ReplayedRow[];
  }

  count(looked: readonly Position[]): number {
    const { state, number, subscription, type } = this.#wanted;
    const seqs = listOf(looked);
    const row = state === PENDING
      ? this.#sql.countPending.get({ subscription, type, seqs })
      : this.#sql.count.get({ number, state, subscription, type, seqs });
    return (row as { n: number }).n;
  }
}

interface Wanted {
  readonly number: number;
  readonly state: number | null;
  readonly subscription: number | null;
  readonly type: number | null;
}

const FAILED = STATE_FILTERS.indexOf("failed");
const PENDING = STATE_FILTERS.indexOf("pending");

function listOf(positions: readonly Position[]): string {
  return JSON.stringify(positions.map(({ seq }) => seq));
}

// Of an event to a subscription only the newest delivery is sent again. A redelivery of a test or a
// notice does not say so itself: all deliveries of its event are of one kind, and the oldest says.

/** Of the rows looked at, those that had finished when the replay began and fit its filter. */
const FINISHED_THAT_FIT = `
    from json_each(:seqs) j cross join outcomes o on o.delivery = j.value
      cross join deliveries d on d.seq = o.delivery
    where o.finished_after < :number
      and ${isInState("o")}
      and (:subscription is null or d.subscription = :subscription)
      and (:type is null or d.type = :type)
      and (d.cause = 'event' or d.cause = 'redelivery' and (
        select f.cause from deliveries f indexed by deliveries_of_event
        where f.event = d.event order by f.seq limit 1
      ) not in ('test', 'notice'))
      and not exists (
        select 1 from deliveries r indexed by deliveries_sent_again
        where r.event = d.event and r.subscription = d.subscription
          and r.cause = 'redelivery' and r.seq > d.seq
      )`;

/** The same of those that are pending. */
const PENDING_THAT_FIT = `
    from json_each(:seqs) j cross join pending p on p.delivery = j.value
      cross join deliveries d on d.seq = p.delivery
    where d.cause <> 'notice'
      and (:subscription is null or d.subscription = :subscription)
      and (:type is null or d.type = :type)`;

/** The statements by name; the tests ask SQLite how it would run each. */
export const SCAN_SQL = {
  lookByTime: `
    select seq, created_at from deliveries indexed by deliveries_by_time
    where (created_at, seq) > (:afterAt, :afterSeq) and created_at < :until
    order by created_at, seq limit :rows`,

  lookByPending: `
    select delivery as seq, created_at from pending indexed by pending_by_time
    where (created_at, delivery) > (:afterAt, :afterSeq) and created_at < :until
    order by created_at, delivery limit :rows`,

  lookByState: `
    select delivery as seq, created_at from outcomes indexed by outcomes_undelivered
    where state = :state and state <> 1
      and (created_at, delivery) > (:afterAt, :afterSeq) and created_at < :until
    order by created_at, delivery limit :rows`,

  // What an operator cancelled is among these, and is passed over.
  lookByFailed: `
    select delivery as seq, created_at from outcomes indexed by outcomes_undelivered
    where state = 2 and state <> 1
      and (created_at, delivery) > (:afterAt, :afterSeq) and created_at < :until
    union all
    select delivery as seq, created_at from outcomes indexed by outcomes_undelivered
    where state = 3 and state <> 1
      and (created_at, delivery) > (:afterAt, :afterSeq) and created_at < :until
    order by created_at, seq limit :rows`,

  lookBySubscription: `
    select delivery as seq, created_at from deliveries_of_subscription
    where subscription = :subscription
      and (created_at, delivery) > (:afterAt, :afterSeq) and created_at < :until
    order by created_at, delivery limit :rows`,

  lookByType: `
    select delivery as seq, created_at from deliveries_of_type
    where type = :type
      and (created_at, delivery) > (:afterAt, :afterSeq) and created_at < :until
    order by created_at, delivery limit :rows`,

  take: `
    select d.seq, d.created_at, d.event, d.subscription, d.type, d.format
    ${FINISHED_THAT_FIT}
    order by d.created_at, d.seq limit :limit`,

  count: `select count(*) as n ${FINISHED_THAT_FIT}`,

  takePending: `
    select d.seq, d.created_at, d.event, d.subscription, d.type, d.format
    ${PENDING_THAT_FIT}
    order by d.created_at, d.seq limit :limit`,

  countPending: `select count(*) as n ${PENDING_THAT_FIT}`,
} as const;
