import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { DeliveryCause } from "../../domain/delivery.ts";
import { scopeText } from "../../domain/event.ts";
import type { Instant } from "../../domain/instant.ts";
import type { NewEvent } from "../outbox.ts";
import type { Changes } from "./changes.ts";
import { deliveryId } from "../ids.ts";
import type { Names } from "./names.ts";
import type { Numbers } from "./numbers.ts";

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

/** Writes events and deliveries. */
export class Insertion {
  readonly #names: NameTables;
  readonly #insertEvent: StatementSync;
  readonly #insertDelivery: StatementSync;
  readonly #insertRun: StatementSync;
  readonly #numbers: Numbers;

  constructor(db: DatabaseSync, names: NameTables, numbers: Numbers) {
    this.#names = names;
    this.#numbers = numbers;
    this.#insertEvent = db.prepare(INSERT_EVENT);
    this.#insertDelivery = db.prepare(INSERT_DELIVERY);
    this.#insertRun = db.prepare(INSERT_RUN);
  }

  /** Stores an event with its deliveries, due at once, and answers these in their order. */
  event(incoming: NewEvent, at: Instant, changes: Changes): InsertedDelivery[] {
    const { event, publisher, contentHash, source, deliveries } = incoming;
    const seq = ++this.#numbers.event;
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
      scopeText(event.scope) ?? null,
      event.metadata ?? null,
      event.data,
      event.trace ?? null,
      source ?? null,
      event.sentAs ?? null,
    );
    const { subscriptions, formats } = this.#names;
    const row = { event: seq, type };
    if (deliveries.length >= MANY) {
      return runsOf(deliveries).flatMap((run) => this.#run(run, row, { at, changes }));
    }
    return deliveries.map(({ subscription, format, cause }) => {
      const numbers = {
        subscription: subscriptions.intern(subscription),
        format: formats.intern(format),
      };
      return this.delivery({ ...row, ...numbers, cause }, at, changes);
    });
  }

  /** Stores deliveries that differ in nothing but their subscriptions. */
  #run(
    { format, cause, names }: Run,
    { event, type }: { event: number; type: number },
    { at, changes }: { at: Instant; changes: Changes },
  ): InsertedDelivery[] {
    const createdAt = Math.round(at);
    const subscriptions = names.map((name) => this.#names.subscriptions.intern(name));
    this.#insertRun.get(
      this.#numbers.delivery + 1,
      event,
      type,
      this.#names.formats.intern(format),
      cause,
      createdAt,
      `[${subscriptions}]`,
    );
    return subscriptions.map((subscription) => {
      const seq = ++this.#numbers.delivery;
      changes.create({ subscription, seq, createdAt, cause });
      return { id: deliveryId({ createdAt, seq }), seq, subscription };
    });
  }

  /** Stores a delivery, due at once. The event's count of them is the caller's to keep. */
  delivery(row: DeliveryRow, at: Instant, changes: Changes): InsertedDelivery {
    const seq = ++this.#numbers.delivery;
    const createdAt = Math.round(at);
    this.#insertDelivery.get(
      seq,
      row.event,
      row.subscription,
      row.type,
      row.format,
      row.cause,
      createdAt,
      row.redeliveryOf ?? null,
    );
    changes.create({ subscription: row.subscription, seq, createdAt, cause: row.cause });
    return { id: deliveryId({ createdAt, seq }), seq, subscription: row.subscription };
  }
}

/** From so many deliveries on, one statement for all that are alike takes half as long as one for each. */
const MANY = 4;

/** The subscriptions of deliveries that follow each other and have the same format and cause. */
interface Run {
  readonly format: string;
  readonly cause: DeliveryCause;
  readonly names: string[];
}

/** Of most events one. */
function runsOf(deliveries: NewEvent["deliveries"]): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const { subscription, format, cause } of deliveries) {
    if (run?.format !== format || run.cause !== cause) {
      runs.push(run = { format, cause, names: [] });
    }
    run.names.push(subscription);
  }
  return runs;
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
    seq, event, subscription, type, format, cause, created_at, redelivery_of
  ) values (?, ?, ?, ?, ?, ?, ?, ?)`;

/** The subscriptions come as a JSON list, in the order of their deliveries' numbers. */
const INSERT_RUN = `
  insert into deliveries (seq, event, subscription, type, format, cause, created_at)
  select ?1 + key, ?2, value, ?3, ?4, ?5, ?6 from json_each(?7)`;
