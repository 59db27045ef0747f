import type { DatabaseSync } from "node:sqlite";
import { type Bytes, toText } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import { ifReadable, orRemember } from "./damage.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** Where no more than so many deliveries are pending in all, they are counted at once. */
export const FEW_PENDING = 2_000;
/** Else so many rows are counted at a time, which takes a millisecond or two. */
const SLICE_ROWS = 100;

/**
 * Counts the pending deliveries of publishers that have a limit on them, those of their posts alone:
 * what an operator sends again is not theirs. The first time a publisher has one its deliveries are
 * counted row by row, from then on along with every change. While a large backlog is being counted, the
 * limit holds for what was counted so far. What is on damaged pages is left out: whose it is can't be read.
 */
export class PublisherPending {
  readonly #sql: Statements<keyof typeof PUBLISHER_SQL>;
  /** As of the last commit. */
  readonly #pending = new Map<string, number>();
  /** Those whose rows are being counted, slice by slice, in the order of their numbers. */
  readonly #counting = new Map<string, Counting>();
  /** Those that are counted and not written yet. */
  readonly #unwritten = new Set<string>();
  /** Of what is counted so far, this has ended in the open transaction. */
  readonly #ended: Counting[] = [];
  /** Those that the open transaction began to count. */
  readonly #begun = new Map<string, number>();
  /** What the open transaction has let in so far. */
  readonly #admitted = new Map<string, number>();
  /** By how much the open transaction changes each, as far as it is known whose they are. */
  readonly #changed = new Map<string, number>();
  /** Of what it has created and finished, so many are in there. */
  #seen = { created: 0, finished: 0 };
  /** What the open transaction has written. */
  readonly #written = new Map<string, number>();

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, PUBLISHER_SQL);
    for (const { name, pending } of this.#sql.limited.all() as unknown as LimitedRow[]) {
      this.#pending.set(toText(name), pending);
    }
  }

  /** Whether so many more may be pending; if not, how many are. `all` tells how many are of anybody. */
  admit(
    publisher: string,
    { more, most, all }: { more: number; most: number; all: () => number },
  ): number | undefined {
    const pending = this.#pending.get(publisher) ?? this.#begun.get(publisher) ??
      this.#counting.get(publisher)?.pending ?? this.#begin(publisher, all());
    const admitted = this.#admitted.get(publisher) ?? 0;
    if (pending + admitted + more > most) return pending + admitted;
    this.#admitted.set(publisher, admitted + more);
    return undefined;
  }

  #begin(publisher: string, all: number): number {
    if (all > FEW_PENDING) {
      this.#countInSlices(publisher);
      return 0;
    }
    let pending = 0;
    // Slices are counted outside of transactions, where a damaged page does no harm.
    orRemember(() => pending = this.#count(publisher), () => this.#countInSlices(publisher));
    this.#begun.set(publisher, pending);
    return pending;
  }

  #countInSlices(publisher: string): void {
    this.#counting.set(publisher, { reached: 0, pending: 0 });
  }

  /** Whether rows are left to be counted. */
  get isCounting(): boolean {
    return this.#counting.size > 0;
  }

  /** Counts some rows, of those up to the last delivery. Never within a transaction. */
  countOn(lastDelivery: number): void {
    for (const [publisher, counting] of this.#counting) {
      const until = Math.min(counting.reached + SLICE_ROWS, lastDelivery);
      counting.pending += this.#countSlice({ publisher, after: counting.reached, until });
      counting.reached = until;
      if (until === lastDelivery) {
        this.#counting.delete(publisher);
        this.#pending.set(publisher, counting.pending);
        this.#unwritten.add(publisher);
      }
      return;
    }
  }

  /** Looks up whose the changes so far are: within a transaction, before rows are deleted. */
  attribute({ created, finished }: Changes): void {
    if (this.#pending.size + this.#begun.size + this.#counting.size === 0) return;
    for (const { seq, cause } of created.slice(this.#seen.created)) {
      if (cause === "event") this.#add(seq, 1);
    }
    for (const seq of finished.slice(this.#seen.finished)) this.#add(seq, -1);
    this.#seen = { created: created.length, finished: finished.length };
  }

  /** At the end of a transaction. */
  write(changes: Changes): void {
    this.attribute(changes);
    for (const publisher of this.#unwritten) {
      this.#changed.set(publisher, this.#changed.get(publisher) ?? 0);
    }
    for (const [publisher, by] of this.#changed) {
      const before = this.#pending.get(publisher);
      if (before === undefined || by === 0 && !this.#unwritten.has(publisher)) continue;
      this.#write(publisher, before + by);
    }
    // Counted anew: rows that this transaction changed before are in the first count already.
    for (const publisher of this.#begun.keys()) this.#write(publisher, this.#count(publisher));
  }

  committed(): void {
    for (const [publisher, pending] of this.#written) {
      this.#pending.set(publisher, pending);
      this.#unwritten.delete(publisher);
    }
    for (const counting of this.#ended) counting.pending--;
    this.rolledBack();
  }

  rolledBack(): void {
    this.#begun.clear();
    this.#admitted.clear();
    this.#written.clear();
    this.#changed.clear();
    this.#seen = { created: 0, finished: 0 };
    this.#ended.length = 0;
  }

  #add(seq: number, by: number): void {
    const row = this.#sql.publisherOf.get(seq) as { publisher: string | null } | undefined;
    if (row === undefined || row.publisher === null) return;
    const counting = this.#counting.get(row.publisher);
    // What is beyond is counted when its turn comes, if it is pending then.
    if (counting && by < 0 && seq <= counting.reached) this.#ended.push(counting);
    this.#changed.set(row.publisher, (this.#changed.get(row.publisher) ?? 0) + by);
  }

  #write(publisher: string, pending: number): void {
    const known = Math.max(0, pending);
    this.#sql.writePending.run(publisher, known);
    this.#written.set(publisher, known);
  }

  #count(publisher: string): number {
    return (this.#sql.countPending.get({ publisher }) as unknown as CountRow).pending;
  }

  #countSlice(slice: { publisher: string; after: number; until: number }): number {
    const [count] = ifReadable(() => this.#sql.countSlice.get(slice) as unknown as CountRow);
    if (count) return count.pending;
    const { publisher, after, until } = slice;
    return Array.from({ length: until - after }, (_, index) => after + 1 + index)
      .reduce((sum, seq) => sum + this.#countOne(publisher, seq), 0);
  }

  /** 1 where it is one of theirs. */
  #countOne(publisher: string, seq: number): number {
    const slice = { publisher, after: seq - 1, until: seq };
    const [count] = ifReadable(() => this.#sql.countSlice.get(slice) as unknown as CountRow);
    return count?.pending ?? 0;
  }
}

interface CountRow {
  readonly pending: number;
}

interface Counting {
  /** The last number that is counted. */
  reached: number;
  pending: number;
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

  countSlice: `
    select count(*) as pending from deliveries d cross join events e on e.seq = d.event
    where d.seq > :after and d.seq <= :until and d.cause = 'event'
      and not exists (select 1 from outcomes o where o.delivery = d.seq)
      and e.publisher = cast(:publisher as blob)`,

  countPending: `
    select count(*) as pending
    from (
      select delivery from pending union all select delivery from newly_pending
    ) p cross join deliveries d on d.seq = p.delivery cross join events e on e.seq = d.event
    where d.cause = 'event' and e.publisher = cast(:publisher as blob)`,
} as const;
