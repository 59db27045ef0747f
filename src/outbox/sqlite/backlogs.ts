import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Turn } from "../../runtime/turn.ts";
import type { Backlog, DueBacklog } from "../reader.ts";
import { type Bytes, toText } from "./bytes.ts";
import type { Names } from "./names.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** How many rows are counted one by one to tell due ones from later ones: some milliseconds. */
const COUNTED_ROWS = 50_000;

/** So many subscriptions are looked at in one statement; there may be 50 000. */
const CHUNK_ROWS = 250;

/** Tells what waits for each subscription. */
export class Backlogs {
  readonly #sql: Statements<keyof typeof BACKLOG_SQL>;
  readonly #subscriptions: Names;

  constructor(db: DatabaseSync, subscriptions: Names) {
    this.#sql = prepareAll(db, BACKLOG_SQL);
    this.#subscriptions = subscriptions;
  }

  async all(turn: Turn): Promise<ReadonlyMap<string, Backlog>> {
    return await this.#map({ now: 0, turn }, backlogOf);
  }

  /** Undefined where nothing waits. */
  of(subscription: string): Backlog | undefined {
    const number = this.#subscriptions.find(subscription);
    if (number === undefined) return undefined;
    const { waiting } = this.#waiting({ after: number - 1, limit: 1, now: 0 });
    const found = waiting.find((each) => each.number === number);
    return found && found.pending > 0 ? backlogOf(found) : undefined;
  }

  async due(now: Instant, turn: Turn): Promise<ReadonlyMap<string, DueBacklog>> {
    return await this.#map({ now, turn }, (each) => ({
      ...backlogOf(each),
      due: this.#dueOf(each, now),
    }));
  }

  async #map<Value>(
    { now, turn }: { now: Instant; turn: Turn },
    value: (waiting: Waiting) => Value,
  ): Promise<ReadonlyMap<string, Value>> {
    const found = new Map<string, Value>();
    for (let after = 0;;) {
      const { waiting, until } = this.#waiting({ after, limit: CHUNK_ROWS, now });
      for (const each of waiting) {
        if (each.pending > 0) found.set(toText(each.name), value(each));
        // To count what is due of one may take some milliseconds.
        if (turn.isOver) await turn.rest();
      }
      if (until === Infinity) return found;
      after = until;
    }
  }

  /** What waits for subscriptions, from the number after one `until` another, not in their order. */
  #waiting({ now, after, limit }: { now: Instant; after: number; limit: number }) {
    const counted = this.#sql.counted.all({ after, limit }) as unknown as CountedRow[];
    const last = counted.at(-1)?.subscription ?? after;
    const until = counted.length < limit || last <= after ? Infinity : last;
    const waiting = new Map<number, Waiting>();
    const uncounted = this.#sql.uncounted.all({ after }) as unknown as CountedRow[];
    for (const { subscription: number, pending, ...row } of [...counted, ...uncounted]) {
      const before = waiting.get(number)?.pending ?? 0;
      waiting.set(number, { ...row, number, pending: before + pending, added: NOTHING_ADDED });
    }
    for (
      const { subscription, ...added } of this.#sql.added.all({
        now,
        after,
      }) as unknown as AddedRow[]
    ) {
      // Whatever has no row in `pending` yet is not counted either, unless it was just stored.
      const known = waiting.get(subscription);
      if (known) waiting.set(subscription, { ...known, added });
    }
    return { waiting: [...waiting.values()].filter(({ number }) => number <= until), until };
  }

  /** Counts only where some are due and some are not, and of these the fewer ones. */
  #dueOf({ number, pending, first, last, added }: Waiting, now: Instant): number {
    const listed = pending - added.count;
    if (first === null || first > now) return added.due;
    if (last! <= now) return listed + added.due;
    const count = (statement: "countDue" | "countLater") => {
      const asked = { subscription: number, now, limit: COUNTED_ROWS };
      return (this.#sql[statement].get(asked) as { count: number }).count;
    };
    const due = count("countDue");
    return added.due + (due < COUNTED_ROWS ? due : listed - count("countLater"));
  }
}

/** What waits for a subscription. */
interface Waiting {
  readonly number: number;
  readonly name: Bytes;
  readonly pending: number;
  /** When the first and the last are due that have a row in `pending`; null where none has. */
  readonly first: Instant | null;
  readonly last: Instant | null;
  /** Those that have no row there yet. */
  readonly added: Added;
}

interface Added {
  readonly count: number;
  readonly first: Instant;
  readonly due: number;
}

const NOTHING_ADDED: Added = { count: 0, first: Infinity, due: 0 };

interface CountedRow {
  readonly subscription: number;
  readonly name: Bytes;
  readonly pending: number;
  readonly first: Instant | null;
  readonly last: Instant | null;
}

type AddedRow = Added & { readonly subscription: number };

function backlogOf({ pending, first, added }: Waiting): Backlog {
  return { pending, dueAt: Math.min(first ?? Infinity, added.first) };
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const BACKLOG_SQL = {
  counted: `
    select c.subscription, s.name, c.pending, (
        select min(due_at) from pending indexed by pending_due where subscription = c.subscription
      ) as first, (
        select max(due_at) from pending indexed by pending_due where subscription = c.subscription
      ) as last
    from counts c join subscriptions s on s.id = c.subscription
    where c.subscription > :after and c.pending <> 0 order by c.subscription limit :limit`,

  uncounted: `
    select u.subscription, s.name, sum(u.pending) as pending, (
        select min(due_at) from pending indexed by pending_due where subscription = u.subscription
      ) as first, (
        select max(due_at) from pending indexed by pending_due where subscription = u.subscription
      ) as last
    from uncounted u join subscriptions s on s.id = u.subscription
    where u.subscription > :after group by u.subscription`,

  added: `
    select subscription, count(*) as count, min(due_at) as first, sum(due_at <= :now) as due
    from newly_pending where subscription > :after group by subscription`,

  countDue: `
    select count(*) as count from (
      select 1 from pending indexed by pending_due
      where subscription = :subscription and due_at <= :now limit :limit
    )`,

  countLater: `
    select count(*) as count from (
      select 1 from pending indexed by pending_due
      where subscription = :subscription and due_at > :now limit :limit
    )`,
} as const;
