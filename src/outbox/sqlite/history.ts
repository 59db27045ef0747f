import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { HistoryEntry, RememberedEntry } from "../outbox.ts";
import { type Bytes, toBytes, toNullableBytes, toText } from "./bytes.ts";
import type { Names } from "./names.ts";

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

/** The statements by name; the tests ask SQLite how it would run each. */
export const HISTORY_SQL = {
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
