import type { DatabaseSync } from "node:sqlite";
import { type Bytes, toText } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import { IS_FRESH } from "./reading.ts";
import { prepareAll, type Statements } from "./statements.ts";

/**
 * Counts the pending deliveries of publishers that have a limit on them, those of their posts alone:
 * what an operator sends again is not theirs. The first time a publisher has one its deliveries are
 * counted row by row, from then on along with every change.
 */
export class PublisherPending {
  readonly #sql: Statements<keyof typeof PUBLISHER_SQL>;
  /** As of the last commit. */
  readonly #pending = new Map<string, number>();
  /** Those that the open transaction began to count. */
  readonly #begun = new Map<string, number>();
  /** What the open transaction has let in so far. */
  readonly #admitted = new Map<string, number>();
  /** What the open transaction has written. */
  readonly #written = new Map<string, number>();

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, PUBLISHER_SQL);
    for (const { name, pending } of this.#sql.limited.all() as unknown as LimitedRow[]) {
      this.#pending.set(toText(name), pending);
    }
  }

  /** Whether so many more may be pending; if not, how many are. */
  admit(publisher: string, { more, most }: { more: number; most: number }): number | undefined {
    let pending = this.#pending.get(publisher) ?? this.#begun.get(publisher);
    if (pending === undefined) this.#begun.set(publisher, pending = this.#count(publisher));
    const admitted = this.#admitted.get(publisher) ?? 0;
    if (pending + admitted + more > most) return pending + admitted;
    this.#admitted.set(publisher, admitted + more);
    return undefined;
  }

  /** At the end of a transaction. */
  write({ created, finished }: Changes): void {
    if (this.#pending.size + this.#begun.size === 0) return;
    const changed = new Map<string, number>();
    for (const { seq, cause } of created) if (cause === "event") this.#add(changed, seq, 1);
    for (const seq of finished) this.#add(changed, seq, -1);
    for (const [publisher, by] of changed) {
      const before = this.#pending.get(publisher);
      if (before !== undefined && by !== 0) this.#write(publisher, before + by);
    }
    // Counted anew: rows that this transaction changed before are in the first count already.
    for (const publisher of this.#begun.keys()) this.#write(publisher, this.#count(publisher));
  }

  committed(): void {
    for (const [publisher, pending] of this.#written) this.#pending.set(publisher, pending);
    this.rolledBack();
  }

  rolledBack(): void {
    this.#begun.clear();
    this.#admitted.clear();
    this.#written.clear();
  }

  #add(changed: Map<string, number>, seq: number, by: number): void {
    const row = this.#sql.publisherOf.get(seq) as { publisher: string | null } | undefined;
    if (row === undefined || row.publisher === null) return;
    changed.set(row.publisher, (changed.get(row.publisher) ?? 0) + by);
  }

  #write(publisher: string, pending: number): void {
    const known = Math.max(0, pending);
    this.#sql.writePending.run(publisher, known);
    this.#written.set(publisher, known);
  }

  #count(publisher: string): number {
    const { indexed, fresh } = this.#sql.countPending.get({ publisher }) as {
      indexed: number;
      fresh: number;
    };
    return indexed + fresh;
  }
}

interface LimitedRow {
  readonly name: Bytes;
  readonly pending: number;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const PUBLISHER_SQL = {
  limited: "select name, pending from limited_publishers",

  writePending: `
    insert into limited_publishers (name, pending) values (cast(? as blob), ?)
    on conflict (name) do update set pending = excluded.pending`,

  publisherOf: `
    select cast(e.publisher as text) as publisher
    from deliveries d cross join events e on e.seq = d.event
    where d.seq = ? and d.cause = 'event'`,

  countPending: `
    select
      (
        select count(*) from deliveries d indexed by deliveries_due
          cross join events e on e.seq = d.event
        where d.state = 0 and d.fresh = 0 and d.cause = 'event'
          and e.publisher = cast(:publisher as blob)
      ) as indexed,
      (
        select count(*) from deliveries d cross join events e on e.seq = d.event
        where ${IS_FRESH.replaceAll(/\b(seq|fresh)\b/g, "d.$1")} and d.state = 0
          and d.cause = 'event' and e.publisher = cast(:publisher as blob)
      ) as fresh`,
} as const;
