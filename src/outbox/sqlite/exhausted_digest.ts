import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import { isChannelId } from "../../domain/notice.ts";
import type { ExhaustedDigest } from "../outbox.ts";
import { type Bytes, toBytes, toText } from "./bytes.ts";
import type { Names } from "./names.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** So many subscriptions are named in a digest; of the others it has the number. */
const MOST_NAMED = 10;

/** An exhausted delivery that a digest is to count. */
export interface Exhausted {
  /** The subscription's number. */
  readonly subscription: number;
  /** The delivery's id. */
  readonly delivery: string;
  readonly reason: string;
  readonly at: Instant;
}

/**
 * Counts exhausted deliveries by subscription until operators are told of them. A row for each
 * subscription, however many deliveries there are: the first of them is its example.
 */
export class ExhaustedCounts {
  readonly #sql: Statements<keyof typeof DIGEST_SQL>;
  readonly #subscriptions: Names;

  constructor(db: DatabaseSync, subscriptions: Names) {
    this.#sql = prepareAll(db, DIGEST_SQL);
    this.#subscriptions = subscriptions;
  }

  /** Not those of channels, which are notices, also where one is sent again: it would have no end. */
  add({ subscription, delivery, reason, at }: Exhausted): void {
    if (isChannelId(this.#subscriptions.name(subscription))) return;
    this.#sql.countExhausted.run({
      subscription,
      at: Math.round(at),
      delivery: toBytes(delivery),
      reason: toBytes(reason),
    });
  }

  /** Since when there is something to tell; undefined where there is nothing. */
  since(): Instant | undefined {
    return (this.#sql.exhaustedSince.get() as { since: Instant | null }).since ?? undefined;
  }

  /** What there is to tell, which is counted no longer. */
  take(): ExhaustedDigest | undefined {
    const all = this.#sql.exhaustedInAll.get() as unknown as AllRow;
    if (all.since === null) return undefined;
    const rows = this.#sql.mostExhausted.all(MOST_NAMED) as unknown as SubscriptionRow[];
    this.#sql.forgetExhausted.run();
    return {
      since: all.since,
      deliveries: all.deliveries!,
      subscriptions: all.subscriptions,
      most: rows.map(({ subscription, deliveries, delivery, reason }) => ({
        subscription: this.#subscriptions.name(subscription),
        deliveries,
        example: { delivery: toText(delivery), reason: toText(reason) },
      })),
    };
  }
}

interface AllRow {
  readonly since: Instant | null;
  readonly deliveries: number | null;
  readonly subscriptions: number;
}

interface SubscriptionRow {
  readonly subscription: number;
  readonly deliveries: number;
  readonly delivery: Bytes;
  readonly reason: Bytes;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const DIGEST_SQL = {
  countExhausted: `
    insert into exhausted_untold (subscription, since, deliveries, delivery, reason)
    values (:subscription, :at, 1, :delivery, :reason)
    on conflict (subscription) do update set deliveries = deliveries + 1`,

  exhaustedSince: "select min(since) as since from exhausted_untold",

  exhaustedInAll: `
    select min(since) as since, sum(deliveries) as deliveries, count(*) as subscriptions
    from exhausted_untold`,

  mostExhausted: `
    select subscription, deliveries, delivery, reason from exhausted_untold
    order by deliveries desc, since, subscription limit ?`,

  forgetExhausted: "delete from exhausted_untold",
} as const;
