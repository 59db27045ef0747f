import type { Event } from "../../domain/event.ts";
import type { Enqueue, Enqueued, NewEvent, Receipt } from "../outbox.ts";
import { type DeliveryRow, type EventRow, idOf, type Rows } from "./rows.ts";

/** What is to be stored of a request, or why it is refused. */
type Sorted =
  | { readonly kind: "new"; readonly sentAs?: string }
  | { readonly kind: "known"; readonly row: EventRow }
  /** The same as an earlier one of this request, by its place there. */
  | { readonly kind: "twice"; readonly earlier: number };

/** Stores one request of a publisher: all its events or none, and none twice. Claims nothing. */
export function enqueue(
  rows: Rows,
  { events, idempotency, quota, at }: Enqueue,
  insert: (incoming: NewEvent) => EventRow,
): Enqueued {
  const key = idempotency && rows.keys.get(String(idempotency.key));
  if (key && !isSame(key.content, idempotency!.content)) return { kind: "keyConflict" };
  if (key) {
    const receipts = key.events.map(({ id, seq }) => firstReceipt(id, rows.events.get(seq)));
    return { kind: "accepted", stored: 0, receipts, claims: [], unclaimed: [] };
  }
  const sorted = sort(rows, events);
  if ("index" in sorted) return sorted;
  const isNew = (_: unknown, index: number) => sorted[index]!.kind === "new";
  const more = events.filter(isNew).reduce((sum, { deliveries }) => sum + deliveries.length, 0);
  const pending = quota ? pendingOf(rows, quota.publisher) : 0;
  if (quota && more > 0 && pending + more > quota.most) {
    return { kind: "tooManyPending", pending, more };
  }
  const stored: EventRow[] = [];
  for (const [index, incoming] of events.entries()) {
    const each = sorted[index]!;
    stored.push(
      each.kind === "known"
        ? each.row
        : each.kind === "twice"
        ? stored[each.earlier]!
        : insert({ ...incoming, event: sentAs(incoming.event, each.sentAs) }),
    );
  }
  if (idempotency) {
    rows.keys.set(String(idempotency.key), {
      content: idempotency.content,
      events: stored.map(({ seq, event: { id } }) => ({ id, seq })),
      createdAt: Math.round(at),
    });
  }
  return {
    kind: "accepted",
    stored: stored.filter(isNew).length,
    receipts: stored.map((row, index) =>
      sorted[index]!.kind === "known"
        ? firstReceipt(row.event.id, row)
        : receiptOf(row.event.id, row.deliveries)
    ),
    claims: [],
    unclaimed: [],
  };
}

/** Looks at all events of a request before any is stored. */
function sort(
  rows: Rows,
  events: readonly NewEvent[],
): Sorted[] | Enqueued & { kind: "idConflict" } {
  const sorted: Sorted[] = [];
  for (const [index, incoming] of events.entries()) {
    const { event: { id }, contentHash, headerId, spareId } = incoming;
    if (contentHash === undefined) {
      // The daemon made up the id: it can't be known.
      sorted.push({ kind: "new" });
      continue;
    }
    const before = events.slice(0, index).filter((other) => other.contentHash !== undefined);
    const earlier = before.find((other) => isSameEvent(other, incoming));
    const named = [...rows.events.values()];
    const known = named.find(({ event, publisher, source }) =>
      isSameEvent({ event, publisher, source }, incoming)
    );
    const hash = earlier ? earlier.contentHash : known?.contentHash;
    if ((earlier || known) && !(hash && isSame(hash, contentHash))) {
      return { kind: "idConflict", index, id };
    }
    const isTaken = [...named, ...before].some(({ event }) =>
      event.id === id || event.id === headerId
    );
    if (earlier) sorted.push({ kind: "twice", earlier: events.indexOf(earlier) });
    else if (known) sorted.push({ kind: "known", row: known });
    else sorted.push({ kind: "new", ...(isTaken && spareId && { sentAs: spareId() }) });
  }
  return sorted;
}

interface Named {
  readonly event: Event;
  readonly publisher?: string | undefined;
  readonly source?: string | undefined;
}

function isSameEvent(a: Named, b: Named): boolean {
  return a.event.id === b.event.id && (a.publisher ?? "") === (b.publisher ?? "") &&
    a.source === b.source;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return String(a) === String(b);
}

function sentAs(event: Event, id: string | undefined): Event {
  return id === undefined ? event : { ...event, sentAs: id };
}

/** Of a publisher's posts alone: what operators send again is not theirs. */
function pendingOf(rows: Rows, publisher: string): number {
  return rows.pending().filter((row) => row.cause === "event" && row.event.publisher === publisher)
    .length;
}

/** What a publisher was told when it first posted an event; without deliveries that are pruned. */
function firstReceipt(id: string, row: EventRow | undefined): Receipt {
  return receiptOf(id, row?.deliveries.filter(({ cause }) => cause === "event") ?? []);
}

function receiptOf(id: string, deliveries: readonly DeliveryRow[]): Receipt {
  return {
    id,
    deliveries: deliveries.map((each) => ({ id: idOf(each), subscription: each.subscription })),
  };
}
