import type { Instant } from "../../domain/instant.ts";
import type { HistoryEntry, RememberedEntry } from "../outbox.ts";
import { type Bytes, toText } from "./bytes.ts";

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
