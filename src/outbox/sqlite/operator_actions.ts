import type { DatabaseSync } from "node:sqlite";
import type { Delivery } from "../../domain/delivery.ts";
import type { Instant } from "../../domain/instant.ts";
import { type Bytes, toBytes, toText } from "./bytes.ts";
import type { Changes, DeliveryNumbers } from "./changes.ts";
import type { Claims, Grant } from "./claims.ts";
import { DAMAGED } from "./damage.ts";
import { deliveryId, parseDeliveryId } from "../ids.ts";
import type { ExhaustedCounts } from "./exhausted_digest.ts";
import type { Insertion, NameTables } from "./insertion.ts";
import { STATES } from "./schema.ts";
import { prepareAll, type Statements } from "./statements.ts";

interface Parts {
  readonly names: NameTables;
  readonly claims: Claims;
  readonly insertion: Insertion;
  readonly exhausted: ExhaustedCounts;
  /** How many replays have begun. */
  readonly replaysBegun: () => number;
}

/** What operators do to single deliveries: retry now, send again, cancel. And what we do to damaged ones. */
export class OperatorActions {
  readonly #sql: Statements<keyof typeof OPERATOR_SQL>;
  readonly #parts: Parts;

  constructor(db: DatabaseSync, parts: Parts) {
    this.#sql = prepareAll(db, OPERATOR_SQL);
    this.#parts = parts;
  }

  /** A claimed one is under way already; it stays claimed, and only its due time changes. */
  hasten(id: string, now: Instant, changes: Changes): boolean {
    const position = parseDeliveryId(id);
    if (!position) return false;
    const isPending = this.#sql.hasten.run({ ...position, now: Math.round(now) }).changes > 0 ||
      this.#sql.isNewlyPending.get({ ...position }) !== undefined;
    if (isPending) changes.touched?.add(position.seq);
    return isPending;
  }

  redeliver(id: string, now: Instant, changes: Changes): Delivery | undefined {
    const position = parseDeliveryId(id);
    const row = position && this.#sql.finished.get({ ...position }) as unknown as
      | FinishedRow
      | undefined;
    if (!row) return undefined;
    const { names, insertion } = this.#parts;
    const cause = "redelivery";
    const inserted = insertion.delivery({ ...row, cause, redeliveryOf: id }, now, changes);
    this.#sql.raiseCount.run({ seq: row.event });
    return {
      id: inserted.id,
      eventId: toText(row.event_id),
      ...(row.sent_as === null ? {} : { eventSentAs: toText(row.sent_as) }),
      type: names.types.name(row.type),
      subscription: names.subscriptions.name(row.subscription),
      cause,
      state: "pending",
      attemptCount: 0,
      dueAt: Math.round(now),
      createdAt: Math.round(now),
      redeliveryOf: id,
    };
  }

  /** Answers how many were pending. */
  cancel(
    { deliveryIds, reason, now }: Cancellation,
    changes: Changes,
  ): number {
    let cancelled = 0;
    for (const id of deliveryIds) {
      const position = parseDeliveryId(id);
      const row = position && this.#pending(position.seq);
      if (row?.created_at !== position?.createdAt || !row) continue;
      this.#end(row, { state: "cancelled", reason, now }, changes);
      changes.cancelled.push(row);
      changes.finish(row);
      cancelled++;
    }
    return cancelled;
  }

  /** Ends what can't be sent any more, for its data can't be read. */
  endDamaged(
    { damaged, now }: { damaged: readonly Grant[]; now: Instant },
    changes: Changes,
  ): void {
    for (const grant of damaged) {
      const row = this.#parts.claims.holds(grant) ? this.#pending(grant.seq) : undefined;
      if (!row) continue;
      this.#end(row, { state: "exhausted", reason: DAMAGED, now }, changes);
      const delivery = deliveryId({ createdAt: row.created_at, seq: row.seq });
      const { subscription } = row;
      this.#parts.exhausted.add({ subscription, delivery, reason: DAMAGED, at: now });
      changes.ended.push(grant);
      changes.finishDamaged(row);
    }
  }

  #pending(seq: number): PendingRow | undefined {
    return this.#sql.pendingRow.get(seq) as unknown as PendingRow | undefined;
  }

  /** No attempt says that it ended, so it is counted at once. */
  #end(
    { seq, subscription, created_at, attempt_count, last_status }: PendingRow,
    { state, reason, now }: {
      state: "exhausted" | "cancelled";
      reason: string;
      now: Instant;
    },
    changes: Changes,
  ): void {
    this.#sql.end.run(
      seq,
      STATES.indexOf(state),
      attempt_count,
      created_at,
      Math.round(now),
      this.#parts.replaysBegun(),
      last_status,
      toBytes(reason),
    );
    this.#sql.waitsNoLonger.get(seq);
    changes.countEnd(subscription, state);
  }

  /** The wall clock was stepped. Whatever waits must have its row in `pending` by now. */
  shiftDue({ from, byMs }: { from: Instant; byMs: number }): void {
    this.#sql.shiftDue.run({ from, byMs: Math.round(byMs) });
  }
}

export interface Cancellation {
  readonly deliveryIds: readonly string[];
  readonly reason: string;
  readonly now: Instant;
}

interface FinishedRow {
  readonly event: number;
  readonly subscription: number;
  readonly type: number;
  readonly format: number;
  readonly event_id: Bytes;
  readonly sent_as: Bytes | null;
}

interface PendingRow extends DeliveryNumbers {
  readonly created_at: Instant;
  readonly attempt_count: number;
  readonly last_status: number | null;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const OPERATOR_SQL = {
  hasten: `
    update pending set due_at = min(due_at, :now)
    where delivery = :seq and created_at = :createdAt`,

  // It is due since it was created: there is nothing to change.
  isNewlyPending: `
    select 1 from newly_pending where delivery = :seq and created_at = :createdAt`,

  finished: `
    select d.event, d.subscription, d.type, d.format, e.id as event_id, e.sent_as
    from deliveries d join outcomes o on o.delivery = d.seq join events e on e.seq = d.event
    where d.seq = :seq and d.created_at = :createdAt`,

  raiseCount: "update events set delivery_count = delivery_count + 1 where seq = :seq",

  pendingRow: `
    select seq, subscription, created_at, attempt_count, last_status
    from deliveries_now where seq = ? and state = 0`,

  end: `
    insert into outcomes (
      delivery, state, attempt_count, created_at, finished_at, finished_after, last_status, reason
    ) values (?, ?, ?, ?, ?, ?, ?, ?)`,

  waitsNoLonger: "delete from pending where delivery = ?",

  shiftDue: `
    update pending set due_at = due_at + :byMs where due_at > :from or :byMs < 0`,
} as const;
