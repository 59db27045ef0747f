import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import { InvalidCursorError } from "../errors.ts";
import type { HistoryEntry } from "../outbox.ts";
import type { HistoryFilter, Page, RememberedEntry } from "../reader.ts";
import { type Bytes, toBytes, toNullableBytes, toText } from "./bytes.ts";
import { decodePosition, encodePosition, type Position } from "../ids.ts";
import type { Names } from "./names.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** Keeps what happened, and who did it. */
export class History {
  readonly #insert: StatementSync;
  readonly #subscriptions: Names;

  constructor(db: DatabaseSync, subscriptions: Names) {
    this.#insert = db.prepare(HISTORY_SQL.insertHistory);
    this.#subscriptions = subscriptions;
  }

  remember({ at, kind, subscription, delivery, cause, by, address }: HistoryEntry): void {
    this.#insert.run({
      at: Math.round(at),
      kind,
      subscription: subscription === undefined ? null : this.#subscriptions.intern(subscription),
      delivery: toNullableBytes(delivery),
      cause: toBytes(cause),
      operator: toNullableBytes(by),
      address: toNullableBytes(address),
    });
  }
}

/** Tells what was kept. */
export class HistoryReading {
  readonly #sql: Statements<"history" | "historyOf" | "historyOfDelivery">;
  readonly #subscriptions: Names;

  constructor(db: DatabaseSync, subscriptions: Names) {
    const { history, historyOf, historyOfDelivery } = HISTORY_SQL;
    this.#sql = prepareAll(db, { history, historyOf, historyOfDelivery });
    this.#subscriptions = subscriptions;
  }

  /** Newest first. */
  page(filter: HistoryFilter): Page<RememberedEntry> {
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
}

function positionOf(cursor: string): Position {
  const position = decodePosition(cursor);
  if (position) return position;
  throw new InvalidCursorError(cursor);
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const HISTORY_SQL = {
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

  insertHistory: `
    insert into history (at, kind, subscription, delivery, cause, operator, address)
    values (:at, :kind, :subscription, :delivery, :cause, :operator, :address)`,
} as const;

/** What the reader's statements select of history. */
export interface HistoryRow {
  readonly seq: number;
  readonly at: Instant;
  readonly kind: HistoryEntry["kind"];
  readonly subscription: Bytes | null;
  readonly delivery: Bytes | null;
  readonly cause: Bytes;
  readonly operator: Bytes | null;
  readonly address: Bytes | null;
}

export function historyFromRow(row: HistoryRow): RememberedEntry {
  return {
    seq: row.seq,
    at: row.at,
    kind: row.kind,
    ...(row.subscription === null ? {} : { subscription: toText(row.subscription) }),
    ...(row.delivery === null ? {} : { delivery: toText(row.delivery) }),
    cause: toText(row.cause),
    ...(row.operator === null ? {} : { by: toText(row.operator) }),
    ...(row.address === null ? {} : { address: toText(row.address) }),
  };
}
