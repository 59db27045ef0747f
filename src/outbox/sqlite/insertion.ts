import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { DeliveryCause } from "../../domain/delivery.ts";
import type { Instant } from "../../domain/instant.ts";
import type { NewEvent } from "../outbox.ts";
import { scopeToText } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import { deliveryId } from "./delivery_id.ts";
import type { Names } from "./names.ts";

/** The numbers of subscriptions, event types and formats. */
export interface NameTables {
  readonly subscriptions: Names;
  readonly types: Names;
  readonly formats: Names;
}

/** A delivery by its row. */
export interface DeliveryRow {
  readonly event: number;
  readonly subscription: number;
  readonly type: number;
  readonly format: number;
  readonly cause: DeliveryCause;
  readonly redeliveryOf?: string;
}

export interface InsertedDelivery {
  readonly id: string;
  readonly seq: number;
  readonly subscription: number;
}

/**
 * Writes events and deliveries. It hands out their numbers itself, being the only writer, so that
 * ids are known before the commit; numbers that a rollback takes back are not used again.
 */
export class Insertion {
  readonly #names: NameTables;
  readonly #insertEvent: StatementSync;
  readonly #insertDelivery: StatementSync;
  #lastEvent: number;
  #lastDelivery: number;

  constructor(db: DatabaseSync, names: NameTables) {
    this.#names = names;
    this.#insertEvent = db.prepare(INSERT_EVENT);
    this.#insertDelivery = db.prepare(INSERT_DELIVERY);
    const last = db.prepare(LAST_NUMBERS).get() as { event: number; delivery: number };
    this.#lastEvent = last.event;
    this.#lastDelivery = last.delivery;
  }

  /** The last numbers handed out. */
  get last(): { readonly event: number; readonly delivery: number } {
    return { event: this.#lastEvent, delivery: this.#lastDelivery };
  }

  /** Stores an event with its deliveries, due at once, and answers these in their order. */
  event(incoming: NewEvent, at: Instant, changes: Changes): InsertedDelivery[] {
    const { event, publisher, contentHash, source, deliveries } = incoming;
    const seq = ++this.#lastEvent;
    const type = this.#names.types.intern(event.type);
    this.#insertEvent.get(
      seq,
      event.id,
      type,
      Math.round(event.occurredAt),
      Math.round(at),
      publisher ?? null,
      contentHash ?? null,
      deliveries.length,
      scopeToText(event.scope),
      event.metadata ?? null,
      event.data,
      event.trace ?? null,
      source ?? null,
      event.sentAs ?? null,
    );
    return deliveries.map(({ subscription, format, cause }) => {
      const row: DeliveryRow = {
        event: seq,
        subscription: this.#names.subscriptions.intern(subscription),
        type,
        format: this.#names.formats.intern(format),
        cause,
      };
      return this.delivery(row, at, changes);
    });
  }

  /** Stores a delivery, due at once. The event's count of them is the caller's to keep. */
  delivery(row: DeliveryRow, at: Instant, changes: Changes): InsertedDelivery {
    const seq = ++this.#lastDelivery;
    const createdAt = Math.round(at);
    this.#insertDelivery.get(
      seq,
      row.event,
      row.subscription,
      row.type,
      row.format,
      row.cause,
      createdAt,
      createdAt,
      row.redeliveryOf ?? null,
    );
    changes.create({ subscription: row.subscription, seq, createdAt, cause: row.cause });
    return { id: deliveryId({ createdAt, seq }), seq, subscription: row.subscription };
  }
}

// Bound by position, here and where else rows are written by the thousand: binding nine values by
// name costs more than inserting them. So do arrays of bytes: texts are bound as texts, which SQLite
// takes whole, and become BLOBs of the same bytes there. And carried out with get(), though there is
// nothing to get: run() makes an object of its counts, which takes half as long as it all.

const INSERT_EVENT = `
  insert into events (
    seq, id, type, occurred_at, accepted_at, publisher, content_hash, delivery_count,
    scope, metadata, data, trace, source, sent_as
  ) values (
    ?, cast(? as blob), ?, ?, ?, cast(? as blob), ?, ?,
    cast(? as blob), cast(? as blob), cast(? as blob), ?, cast(? as blob), cast(? as blob)
  )`;

const INSERT_DELIVERY = `
  insert into deliveries (
    seq, event, subscription, type, format, cause, created_at, due_at, redelivery_of,
    state, attempt_count, fresh
  ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 1)`;

// Pruning may have taken the last rows away, and what is fresh is told by its number.
const LAST_NUMBERS = `
  select max(event, coalesce((select max(seq) from events), 0)) as event,
    max(delivery, coalesce((select max(seq) from deliveries), 0)) as delivery
  from indexed_until`;
