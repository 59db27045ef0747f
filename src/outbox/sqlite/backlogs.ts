import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Turn } from "../../runtime/turn.ts";
import type { Backlog, DueBacklog } from "../outbox.ts";
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
    const until = counted.length < limit ? Infinity : counted.at(-1)!.subscription;
    const waiting = new Map<number, Waiting>(counted.map((row) => {
      const { subscription: number, name, pending, first, last } = row;
      return [number, { number, name, pending, first, last, added: NOTHING_ADDED }];
    }));
    const beside = (subscription: number, name: Bytes): Waiting =>
      waiting.get(subscription) ?? {
        number: subscription,
        name,
        pending: 0,
        first: null,
        last: null,
        added: NOTHING_ADDED,
      };
    for (const row of this.#sql.uncounted.all({ after }) as unknown as UncountedRow[]) {
      if (row.subscription > until) continue;
      const known = beside(row.subscription, row.name);
      waiting.set(row.subscription, { ...known, pending: known.pending + row.pending });
    }
    for (const row of this.#sql.added.all({ now, after }) as unknown as AddedRow[]) {
      if (row.subscription > until) continue;
      waiting.set(row.subscription, { ...beside(row.subscription, row.name), added: row });
    }
    return { waiting: [...waiting.values()], until };
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

interface UncountedRow {
  readonly subscription: number;
  readonly name: Bytes;
  readonly pending: number;
}

interface AddedRow extends Added {
  readonly subscription: number;
  readonly name: Bytes;
}

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
    select u.subscription, s.name, sum(u.pending) as pending
    from uncounted u join subscriptions s on s.id = u.subscription
    where u.subscription > :after group by u.subscription`,

  added: `
    select n.subscription, s.name, count(*) as count, min(n.due_at) as first,
      sum(n.due_at <= :now) as due
    from newly_pending n join subscriptions s on s.id = n.subscription
    where n.subscription > :after group by n.subscription`,

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
