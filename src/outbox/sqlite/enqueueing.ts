import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Claim, Enqueue, Enqueued, NewEvent, Receipt } from "../outbox.ts";
import { type Bytes, equalBytes, toBytes, toText } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import type { Claims } from "./claims.ts";
import { deliveryId } from "../ids.ts";
import { EventIds, type Sorted } from "./event_ids.ts";
import type { InsertedDelivery, Insertion, NameTables } from "./insertion.ts";
import type { PendingCounts } from "./pending_counts.ts";
import type { PublisherPending } from "./publisher_pending.ts";
import { prepareAll, type Statements } from "./statements.ts";

interface Parts {
  readonly names: NameTables;
  readonly claims: Claims;
  readonly insertion: Insertion;
  readonly pending: PendingCounts;
  readonly publisherPending: PublisherPending;
}

/** Stores what publishers post: all events of a request or none, and none twice. */
export class Enqueueing {
  readonly #sql: Statements<keyof typeof ENQUEUEING_SQL>;
  readonly #eventIds: EventIds;
  readonly #names: NameTables;
  readonly #claims: Claims;
  readonly #insertion: Insertion;
  readonly #pending: PendingCounts;
  readonly #publisherPending: PublisherPending;

  constructor(db: DatabaseSync, { names, claims, insertion, pending, publisherPending }: Parts) {
    this.#sql = prepareAll(db, ENQUEUEING_SQL);
    this.#eventIds = new EventIds(db);
    this.#names = names;
    this.#claims = claims;
    this.#insertion = insertion;
    this.#pending = pending;
    this.#publisherPending = publisherPending;
  }

  /** Stores one request of a publisher. */
  enqueue({ events, idempotency, quota, at }: Enqueue, changes: Changes): Enqueued {
    const repeat = idempotency && this.#findKey(idempotency, events[0]?.publisher);
    if (repeat) return repeat;
    const sorted = this.#eventIds.sort(events);
    if ("kind" in sorted) return sorted;
    const tooMany = quota && this.#tooMany(quota, events, sorted);
    if (tooMany) return tooMany;
    const accepted = this.#store(events, sorted, { at, changes });
    if (idempotency) this.#keepKey(idempotency, events, at);
    return accepted;
  }

  /** Set where the publisher's pending deliveries would be more than its quota. */
  #tooMany(
    { publisher, most }: NonNullable<Enqueue["quota"]>,
    events: readonly NewEvent[],
    sorted: readonly Sorted[],
  ): Enqueued | undefined {
    const more = events.reduce(
      (sum, { deliveries }, index) => sorted[index]!.kind === "new" ? sum + deliveries.length : sum,
      0,
    );
    if (more === 0) return undefined;
    const all = () => this.#pending.total;
    const pending = this.#publisherPending.admit(publisher, { more, most, all });
    return pending === undefined ? undefined : { kind: "tooManyPending", pending, more };
  }

  /** Stores those events that are new, and answers for all. */
  #store(
    events: readonly NewEvent[],
    sorted: readonly Sorted[],
    { at, changes }: { at: Instant; changes: Changes },
  ): Enqueued {
    const receipts: Receipt[] = [], claims: Claim[] = [], unclaimed = new Set<string>();
    const newByKey = new Map<string, Receipt>();
    let stored = 0;
    for (const [index, posted] of events.entries()) {
      const { id } = posted.event, place = sorted[index]!;
      if (place.kind === "twice") {
        receipts.push(newByKey.get(place.key)!);
        continue;
      }
      if (place.kind === "known") {
        receipts.push(this.#firstReceipt(id, place.seq));
        continue;
      }
      const { sentAs } = place;
      const incoming = sentAs === undefined
        ? posted
        : { ...posted, event: { ...posted.event, sentAs } };
      const inserted = this.#insertion.event(incoming, at, changes);
      const deliveries = incoming.deliveries.map(({ subscription }, i) => ({
        id: inserted[i]!.id,
        subscription,
      }));
      receipts.push({ id, deliveries });
      if (place.key !== "") newByKey.set(place.key, { id, deliveries });
      stored++;
      for (const [i, { claim, subscription }] of incoming.deliveries.entries()) {
        if (!claim) unclaimed.add(subscription);
        else {claims.push(
            this.#claimNew({ incoming, index: i, inserted: inserted[i]!, at }, changes),
          );}
      }
    }
    return { kind: "accepted", stored, receipts, claims, unclaimed: [...unclaimed] };
  }

  #keepKey(
    { key, content }: NonNullable<Enqueue["idempotency"]>,
    events: readonly NewEvent[],
    at: Instant,
  ): void {
    const names = events.map(({ event: { id }, source }) =>
      source === undefined ? id : [id, source]
    );
    this.#sql.insertKey.run(key, content, toBytes(JSON.stringify(names)), Math.round(at));
  }

  /** The first answer to an Idempotency-Key; undefined where it was never used. */
  #findKey(
    { key, content }: NonNullable<Enqueue["idempotency"]>,
    publisher: string | undefined,
  ): Enqueued | undefined {
    const known = this.#sql.findKey.get(key) as { content: Bytes; event_ids: Bytes } | undefined;
    if (!known) return undefined;
    if (!equalBytes(known.content, content)) return { kind: "keyConflict" };
    const names = JSON.parse(toText(known.event_ids)) as (string | [id: string, source: string])[];
    return {
      kind: "accepted",
      stored: 0,
      receipts: names.map((name) => {
        const [id, source] = typeof name === "string" ? [name] : name;
        return this.#firstReceipt(id, this.#eventIds.find({ publisher, source, id })?.seq);
      }),
      claims: [],
      unclaimed: [],
    };
  }

  /** What the publisher was told when it first posted an event; without its deliveries once they are pruned. */
  #firstReceipt(id: string, seq: number | undefined): Receipt {
    if (seq === undefined) return { id, deliveries: [] };
    const rows = this.#sql.firstDeliveries.all(seq) as unknown as {
      seq: number;
      subscription: number;
      created_at: Instant;
    }[];
    const deliveries = rows.map(({ seq, subscription, created_at }) => ({
      id: deliveryId({ createdAt: created_at, seq }),
      subscription: this.#names.subscriptions.name(subscription),
    }));
    return { id, deliveries };
  }

  #claimNew(
    { incoming, index, inserted, at }: {
      incoming: NewEvent;
      index: number;
      inserted: InsertedDelivery;
      at: Instant;
    },
    changes: Changes,
  ): Claim {
    const { subscription, cause, format } = incoming.deliveries[index]!;
    const { id, seq } = inserted;
    const token = this.#claims.nextToken();
    changes.granted.push({ subscription: inserted.subscription, seq, token });
    return {
      delivery: { id, subscription, cause, attemptCount: 0, createdAt: Math.round(at) },
      event: incoming.event,
      format,
      token,
    };
  }
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const ENQUEUEING_SQL = {
  firstDeliveries: `
    select seq, subscription, created_at from deliveries
    where event = ? and cause = 'event' order by seq`,

  findKey: "select content, event_ids from idempotency where key = ?",

  insertKey: `
    insert into idempotency (key, content, event_ids, created_at) values (?, ?, ?, ?)`,
} as const;
