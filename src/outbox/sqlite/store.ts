import type { DatabaseSync } from "node:sqlite";
import type { Delivery } from "../../domain/delivery.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Turn } from "../../runtime/turn.ts";
import type { Claim, ClaimRequest } from "../outbox.ts";
import { Changes } from "./changes.ts";
import type { Found } from "./claiming.ts";
import type { Grant } from "./claims.ts";
import { unlessCorrupt } from "./damage.ts";
import { DatabasePages } from "./database_pages.ts";
import { type Answer, type Operation, run } from "./operations.ts";
import {
  DELIVERY_BY_SEQ,
  deliveryFromRow,
  type DeliveryRow,
  LAST_RESULT,
  type LastResultRow,
} from "./reading.ts";
import { BATCH_ROWS } from "./rolling_up.ts";
import { ADD_TO_COUNTS, prepareAll, type Statements } from "./statements.ts";
import { partsOf, type StoreParts } from "./store_parts.ts";

/** After a transaction that stores so many deliveries, the next one rolls up: this one takes long enough. */
const LARGE = 2_048;

/** What a transaction did. */
export interface Applied {
  /** In the order of the operations. */
  readonly answers: Answer[];
  /** The numbers of the deliveries it changed; empty where nobody watched. */
  readonly deliveries: ReadonlySet<number>;
  /** The subscriptions that began or ceased to fail or to be paused; empty where nobody watched. */
  readonly subscriptions: ReadonlyMap<string, Health>;
}

/** The synchronous core of the outbox: the one writer of a database, with its claims in memory. */
export class Store {
  readonly pages: DatabasePages;
  readonly timekeeping: StoreParts["timekeeping"];
  /** What a digest is to tell. */
  readonly exhausted: StoreParts["exhausted"];
  readonly #db: DatabaseSync;
  readonly #sql: Statements<keyof typeof SQL>;
  readonly #parts: StoreParts;
  #commits = 0;

  /** `batchRows`: after how many new rows the side tables are extended by them. */
  constructor(db: DatabaseSync, { batchRows = BATCH_ROWS } = {}) {
    this.#db = db;
    this.#sql = prepareAll(db, SQL);
    this.#parts = partsOf(db, batchRows);
    this.pages = new DatabasePages(db);
    this.timekeeping = this.#parts.timekeeping;
    this.exhausted = this.#parts.exhausted;
  }

  /** Transactions so far. */
  get commits(): number {
    return this.#commits;
  }

  /**
   * Runs operations in one transaction, in their order, and answers each. What SQLite throws takes
   * all of them back; what is merely refused (a conflict, a lost claim) is an answer and spoils none.
   */
  apply(operations: readonly Operation[], { watched = false } = {}): Applied {
    const changes = new Changes({ watched });
    this.#sql.begin.run();
    let answers: Answer[], subscriptions: ReadonlyMap<string, Health>;
    try {
      answers = operations.map((operation) => run(this.#parts, operation, changes));
      subscriptions = watched ? this.#turningPoints(changes) : NOBODY;
      this.#writeSums(changes);
      this.#sql.commit.run();
    } catch (error) {
      this.#rollBack();
      throw error;
    }
    this.#commits++;
    this.#carryOver(changes);
    return { answers, deliveries: changes.touched ?? NOTHING, subscriptions };
  }

  /** At the end of a transaction: what its operations add up to, and the side tables' next batch. */
  #writeSums(changes: Changes): void {
    const { health, publisherPending, rollingUp, numbers } = this.#parts;
    for (const [subscription, by] of changes.counts) {
      const { pending, delivered, exhausted, cancelled } = by;
      this.#sql.writeCounts.get(subscription, pending, delivered, exhausted, cancelled);
    }
    health.write(changes);
    publisherPending.write(changes);
    const isLarge = changes.created.length >= LARGE;
    if (!isLarge && rollingUp.isDue(numbers.last)) rollingUp.rollUpSome(numbers.last);
  }

  #rollBack(): void {
    const { names, urls, headers, replaying, rollingUp, publisherPending } = this.#parts;
    names.subscriptions.forget();
    names.types.forget();
    names.formats.forget();
    urls.forget();
    headers.forget();
    replaying.rolledBack();
    rollingUp.rolledBack();
    publisherPending.rolledBack();
    // SQLite rolls back by itself where it can't go on: a full disk, a failed write.
    if (this.#db.isTransaction) this.#sql.rollback.run();
  }

  /** What is kept in memory follows the commit. */
  #carryOver(changes: Changes): void {
    const { health, rollingUp, publisherPending, claims, newlyPending, replaying, pending } =
      this.#parts;
    health.committed(changes);
    rollingUp.committed();
    publisherPending.committed();
    replaying.committed();
    pending.add(changes.pending);
    for (const grant of changes.granted) claims.grant(grant);
    this.#keepUnclaimed(changes);
    for (const { subscription, seq } of changes.cancelled) {
      claims.cancel(subscription, seq);
      newlyPending.remove(subscription, seq);
    }
    for (const { subscription, seq } of changes.ended) claims.end(subscription, seq);
    for (const grant of changes.settled) claims.forget(grant);
    newlyPending.rolledUp(rollingUp.reached.delivery);
  }

  #keepUnclaimed({ created, granted }: Changes): void {
    if (created.length === granted.length) return;
    const claimed = new Set(granted.map(({ seq }) => seq));
    for (const { subscription, seq, createdAt, cause } of created) {
      if (claimed.has(seq)) continue;
      const delivery = { seq, dueAt: createdAt, isTest: cause === "test" };
      this.#parts.newlyPending.add(subscription, delivery);
    }
  }

  /** The subscriptions whose stored health is about to take a turn that is worth telling. */
  #turningPoints(changes: Changes): Map<string, Health> {
    const { health: keeping, names } = this.#parts;
    const turning = new Map<string, Health>();
    for (const [subscription, health] of changes.health) {
      if (!keeping.isTurning(subscription, health)) continue;
      turning.set(names.subscriptions.name(subscription), health);
    }
    return turning;
  }

  // What follows needs no transaction.

  claim(request: ClaimRequest): Found {
    return this.#parts.claiming.claim(request);
  }

  release(claims: readonly Claim[]): void {
    this.#parts.claiming.release(claims);
  }

  giveBackDamaged(damaged: readonly Grant[]): void {
    this.#parts.claiming.giveBackDamaged(damaged);
  }

  nextDue(turn: Turn): Promise<Map<string, Instant>> {
    return this.#parts.claiming.nextDue(turn);
  }

  /** Pending deliveries by subscription. */
  pending(): Map<string, number> {
    const { pending, names } = this.#parts;
    return new Map(pending.all().map(([id, count]) => [names.subscriptions.name(id), count]));
  }

  /** The same of one. */
  pendingOf(subscription: string): number {
    const { pending, names } = this.#parts;
    const id = names.subscriptions.find(subscription);
    return id === undefined ? 0 : pending.of(id);
  }

  /** Whether a publisher's pending deliveries are being counted, which countOn() carries on. */
  get isCounting(): boolean {
    return this.#parts.publisherPending.isCounting;
  }

  countOn(): void {
    this.#parts.publisherPending.countOn(this.#parts.numbers.delivery);
  }

  /** Deliveries as they are, by number, but for those that are gone. */
  deliveries(seqs: Iterable<number>): Delivery[] {
    // One transaction, and this connection: its pages are at hand, a reader's are stale just now.
    this.#sql.beginReading.run();
    try {
      return Array.from(
        seqs,
        (seq) => unlessCorrupt(() => this.#sql.delivery.get(seq)) as unknown as DeliveryRow,
      ).filter((row) => row !== undefined)
        .map((row) => deliveryFromRow(row, this.#lastResult(row)));
    } finally {
      this.#sql.rollback.run();
    }
  }

  #lastResult({ seq, attempt_count }: DeliveryRow): LastResultRow | undefined {
    if (attempt_count === 0) return undefined;
    return unlessCorrupt(() => this.#sql.lastResult.get(seq, attempt_count)) as unknown as
      | LastResultRow
      | undefined;
  }

  close(): void {
    this.#db.close();
  }
}

const NOTHING: ReadonlySet<number> = new Set();
const NOBODY: ReadonlyMap<string, Health> = new Map();

/** The writer's statements by name; the tests ask SQLite how it would run each. */
export const SQL = {
  // Prepared, unlike db.exec, they say which error it was.
  begin: "begin immediate",
  beginReading: "begin",
  commit: "commit",
  rollback: "rollback",

  delivery: DELIVERY_BY_SEQ,
  lastResult: LAST_RESULT,

  writeCounts: `
    insert into counts (subscription, pending, delivered, exhausted, cancelled)
    values (?, ?, ?, ?, ?) ${ADD_TO_COUNTS}`,
} as const;
