import type { DatabaseSync } from "node:sqlite";
import type { Enqueued, NewEvent } from "../outbox.ts";
import { type Bytes, bytesToScope, equalBytes } from "./bytes.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** What tells an event from all others. */
export interface Identity {
  /** Undefined for operators, and where the daemon asks for no token. */
  readonly publisher?: string | undefined;
  readonly source?: string | undefined;
  readonly id: string;
}

/** Whether an event of a request is to be stored. */
export type Sorted =
  /** `sentAs` is set where another event has its id already. */
  | { readonly kind: "new"; readonly key: string; readonly sentAs?: string }
  /** Stored before, as this row. */
  | { readonly kind: "known"; readonly seq: number }
  /** The same as an earlier one of this request, which has the same key. */
  | { readonly kind: "twice"; readonly key: string };

interface KnownRow {
  readonly seq: number;
  readonly content_hash: Bytes | null;
}

/** Whose an id is: a publisher meets its own events alone, and those of a CloudEvent's source. */
export class EventIds {
  readonly #sql: Statements<keyof typeof EVENT_ID_SQL>;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, EVENT_ID_SQL);
  }

  /** Looks at all events of a request before any is stored: it is all of them or none. */
  sort(events: readonly NewEvent[]): Sorted[] | Enqueued & { kind: "idConflict" } {
    // One event alone can't repeat another of its request.
    const request = events.length > 1 ? new Request() : undefined;
    const sorted: Sorted[] = [];
    for (const [index, incoming] of events.entries()) {
      const { event: { id }, contentHash } = incoming;
      if (contentHash === undefined) {
        // The daemon made up the id: it can't be known.
        sorted.push({ kind: "new", key: "" });
        continue;
      }
      const identity = identityOf(incoming), key = request ? keyOf(identity) : "";
      const earlier = request?.hashes.get(key);
      const isTaken = this.#isTaken(incoming) || request?.isTaken(incoming) === true;
      const known = earlier === undefined && isTaken ? this.find(identity) : undefined;
      const hash = earlier ?? known?.content_hash;
      if ((earlier || known) && !(hash && equalBytes(hash, contentHash))) {
        return { kind: "idConflict", index, id };
      }
      if (earlier) sorted.push({ kind: "twice", key });
      else if (known) sorted.push({ kind: "known", seq: known.seq });
      else {
        const { spareId } = incoming;
        sorted.push({ kind: "new", key, ...(isTaken && spareId ? { sentAs: spareId() } : {}) });
        request?.add(incoming, key);
      }
    }
    return sorted;
  }

  /** The event that is known by this; undefined where there is none, or none any more. */
  find({ publisher = "", source, id }: Identity): KnownRow | undefined {
    if (source !== undefined) {
      const row = this.#sql.findSourced.get(id, publisher, source) as unknown as
        | KnownRow
        | undefined;
      if (row) return row;
    }
    const row = this.#sql.findPlain.get(id, publisher) as unknown as
      | KnownRow & { readonly scope: Bytes | null }
      | undefined;
    if (!row || source === undefined) return row;
    // Stored before sources were told apart: its scope alone says where it came from.
    const named = bytesToScope(row.scope).get("source");
    return named !== undefined && JSON.parse(named) === source ? row : undefined;
  }

  /** Whether another event, whoever posted it, would be taken for this one by receivers. */
  #isTaken({ event: { id }, headerId }: NewEvent): boolean {
    return this.#sql.isTaken.get(id, id) !== undefined ||
      headerId !== undefined && this.#sql.isTaken.get(headerId, headerId) !== undefined;
  }
}

/** The events of one request so far. */
class Request {
  readonly hashes = new Map<string, Bytes>();
  readonly #ids = new Set<string>();

  add({ event: { id }, contentHash }: NewEvent, key: string): void {
    this.hashes.set(key, contentHash!);
    this.#ids.add(id);
  }

  isTaken({ event: { id }, headerId }: NewEvent): boolean {
    return this.#ids.has(id) || headerId !== undefined && this.#ids.has(headerId);
  }
}

export function identityOf({ event: { id }, publisher, source }: NewEvent): Identity {
  return { publisher, source, id };
}

function keyOf({ publisher, source, id }: Identity): string {
  return JSON.stringify([id, publisher ?? "", source ?? ""]);
}

export const EVENT_ID_SQL = {
  isTaken: `
    select 1 from events indexed by events_by_id where id = cast(? as blob) and source is null
    union all
    select 1 from events indexed by events_by_source
    where id = cast(? as blob) and source is not null
    limit 1`,

  // There are as many of an id as there are publishers, at most.
  findPlain: `
    select seq, content_hash, scope from events indexed by events_by_id
    where id = cast(? as blob) and source is null
      and coalesce(publisher, x'') = cast(? as blob)`,

  findSourced: `
    select seq, content_hash from events indexed by events_by_source
    where id = cast(? as blob) and coalesce(publisher, x'') = cast(? as blob)
      and source = cast(? as blob)`,
} as const;
