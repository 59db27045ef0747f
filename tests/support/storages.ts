import { setImmediate } from "node:timers";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { DeliveryCause, DeliveryState } from "../../src/domain/delivery.ts";
import type { Health } from "../../src/domain/health.ts";
import type { Instant } from "../../src/domain/instant.ts";
import { deliveryId } from "../../src/outbox/ids.ts";
import { MemoryOutbox } from "../../src/outbox/memory/memory_outbox.ts";
import { idOf, Rows } from "../../src/outbox/memory/rows.ts";
import { OutboxFailed, OutboxUnavailable } from "../../src/outbox/errors.ts";
import type { HistoryEntry, TimedCommit } from "../../src/outbox/outbox.ts";
import type { WholeOutbox } from "../../src/outbox/reader.ts";
import { openReading, openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { FakeClock } from "./fake_clock.ts";
import { inMemory } from "./folder_in_memory.ts";

/** Where an outbox keeps what outlives its process. Tests look at that themselves. */
export interface Storage {
  /** Whether its commits are over before anything else can happen, as they are on no disk. */
  readonly isInstant: boolean;
  /** An outbox on what is stored. */
  open(isAlive: () => boolean): Promise<WholeOutbox>;
  /** The process that had opened it was killed. */
  crash(): void;
  /** The deliveries after a number, in their order. */
  newDeliveries(after: number): StoredRow[];
  pending(): { readonly seq: number; readonly dueAt: Instant }[];
  content(): Content;
  /** Takes away what is stored. */
  remove(): void;
}

/** What the next storage is: tests that are run on both set it. */
export const chosen = { isInMemory: false };

export async function aStorage(isInMemory = chosen.isInMemory): Promise<Storage> {
  return isInMemory ? new MemoryStorage() : await SqliteStorage.create();
}

/** What a disk can do to commits. */
export interface DiskFaults {
  isFull: boolean;
  isBroken?: boolean;
}

/** Commits as such a disk lets them pass. */
export function failing(faults: DiskFaults, timed: TimedCommit): TimedCommit {
  return (commit, about) =>
    timed(() => {
      if (faults.isFull) throw new OutboxUnavailable("the disk is full");
      if (faults.isBroken) throw new OutboxFailed("the disk is broken");
      return commit();
    }, about);
}

/** Opens an outbox whose commits are carried out within something of a test's as well. */
export async function openWithin(
  storage: Storage,
  isAlive: () => boolean,
  within: (timed: TimedCommit) => TimedCommit,
): Promise<WholeOutbox> {
  const outbox = await storage.open(isAlive), { timeCommits } = outbox;
  const inTurn = (timed: TimedCommit): TimedCommit => (commit, about) =>
    timed(async () => {
      if (storage.isInstant) await turnOfTheLoop();
      return await commit();
    }, about);
  outbox.timeCommits(within(inTurn((commit) => commit())));
  return Object.assign(outbox, {
    timeCommits: (timed: TimedCommit) => timeCommits.call(outbox, within(inTurn(timed))),
  });
}

/** One turn of the real event loop: what was put off to it before runs first. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A delivery as it was stored. */
export interface StoredRow {
  readonly id: string;
  readonly seq: number;
  readonly cause: DeliveryCause;
  readonly redeliveryOf: string | undefined;
  readonly event: string;
  readonly subscription: string;
}

/** What is stored in the end. */
export interface Content {
  readonly events: readonly { readonly id: string; readonly type: string; readonly data: string }[];
  readonly deliveries: readonly {
    readonly seq: number;
    readonly state: DeliveryState;
    readonly reason: string | undefined;
  }[];
  readonly history: readonly Pick<HistoryEntry, "kind" | "subscription" | "by">[];
  readonly health: ReadonlyMap<string, Pick<Health, "failingSince" | "pausedAt">>;
  /** Exhausted deliveries that are in no digest yet. */
  readonly untold: readonly { readonly subscription: string; readonly count: number }[];
}

/** The reference, whose rows outlive it. */
export class MemoryStorage implements Storage {
  readonly isInstant = true;
  readonly #rows = new Rows();

  open(): Promise<WholeOutbox> {
    return Promise.resolve(new MemoryOutbox(this.#rows));
  }

  crash(): void {}
  remove(): void {}

  newDeliveries(after: number): StoredRow[] {
    return [...this.#rows.deliveries.values()].filter(({ seq }) => seq > after).map((row) => ({
      id: idOf(row),
      seq: row.seq,
      cause: row.cause,
      redeliveryOf: row.redeliveryOf,
      event: row.event.event.id,
      subscription: row.subscription,
    }));
  }

  pending(): { seq: number; dueAt: Instant }[] {
    return this.#rows.pending().map(({ seq, dueAt }) => ({ seq, dueAt }));
  }

  content(): Content {
    const { events, deliveries, history, health, exhausted } = this.#rows;
    return {
      events: [...events.values()].map(({ event }) => event),
      deliveries: [...deliveries.values()].map(({ seq, state, reason }) => ({
        seq,
        state,
        reason,
      })),
      history,
      health,
      untold: [...exhausted.values()].map(({ subscription, deliveries: count }) => ({
        subscription,
        count,
      })),
    };
  }
}

/** A real file of SQLite; a killed process leaves it as it is, and the next opens a copy. */
export class SqliteStorage implements Storage {
  readonly isInstant = false;
  readonly #folder: string;
  #generation = 0;
  #opened: {
    readonly db: DatabaseSync;
    readonly reader: SqliteReader;
    readonly newDeliveries: StatementSync;
  } | undefined;

  static async create(): Promise<SqliteStorage> {
    const folder = Deno.makeTempDirSync(await inMemory());
    return new SqliteStorage(folder, await template());
  }

  constructor(folder: string, template: string) {
    this.#folder = folder;
    Deno.copyFileSync(template, this.#path);
  }

  get #path(): string {
    return `${this.#folder}/outbox-${this.#generation}.db`;
  }

  async open(isAlive: () => boolean): Promise<WholeOutbox> {
    const path = this.#path;
    const db = await openWriter(path);
    // By a clock that stands still no read is long: what others run meanwhile would be left to chance.
    const reader = new SqliteReader(openReading(path), new FakeClock());
    this.#opened = { db, reader, newDeliveries: db.prepare(NEW_DELIVERIES) };
    const store = new Store(db), { pages } = store;
    const checkpoint = pages.checkpoint.bind(pages);
    pages.checkpoint = () => isAlive() ? checkpoint() : undefined;
    return new SqliteOutbox(path, {
      store,
      reader,
      lock: { release: () => void (this.#opened = undefined) },
    });
  }

  crash(): void {
    const old = this.#path;
    this.#generation++;
    for (const end of ["", "-wal"]) {
      try {
        Deno.copyFileSync(old + end, this.#path + end);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    this.#opened?.reader.close();
    this.#opened?.db.close();
    this.#opened = undefined;
  }

  remove(): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }

  newDeliveries(after: number): StoredRow[] {
    const rows = this.#opened?.newDeliveries.all(after) ?? [];
    return (rows as unknown as (Omit<StoredRow, "id" | "redeliveryOf"> & {
      readonly created_at: Instant;
      readonly redelivery_of: string | null;
    })[]).map(({ created_at, redelivery_of, ...row }) => ({
      ...row,
      id: deliveryId({ createdAt: created_at, seq: row.seq }),
      redeliveryOf: redelivery_of ?? undefined,
    }));
  }

  pending(): { seq: number; dueAt: Instant }[] {
    using db = new DatabaseSync(this.#path, { readOnly: true });
    return db.prepare("select seq, due_at as dueAt from deliveries_now where state = 0")
      .all() as { seq: number; dueAt: Instant }[];
  }

  content(): Content {
    using db = new DatabaseSync(this.#path, { readOnly: true });
    const all = <Row>(sql: string) => db.prepare(sql).all() as unknown as Row[];
    const deliveries = all<{ seq: number; state: number; reason: string | null }>(
      "select seq, state, cast(reason as text) as reason from deliveries_now",
    );
    const health = all<{ id: string; failingSince: Instant | null; pausedAt: Instant | null }>(`
      select cast(s.name as text) as id, failing_since as failingSince, paused_at as pausedAt
      from health h join subscriptions s on s.id = h.subscription`);
    const history = all<{
      kind: HistoryEntry["kind"];
      subscription: string | null;
      by: string | null;
    }>(`
      select h.kind, cast(s.name as text) as subscription, cast(h.operator as text) as by
      from history h left join subscriptions s on s.id = h.subscription order by h.seq`);
    return {
      events: all(`
        select cast(e.id as text) as id, cast(e.data as text) as data, cast(t.name as text) as type
        from events e join types t on t.id = e.type`),
      deliveries: deliveries.map(({ seq, state, reason }) => ({
        seq,
        state: STATES[state]!,
        reason: reason ?? undefined,
      })),
      history: history.map(({ kind, subscription, by }) => ({
        kind,
        ...(subscription !== null && { subscription }),
        ...(by !== null && { by }),
      })),
      health: new Map(health.map(({ id, failingSince, pausedAt }) => [id, {
        ...(failingSince !== null && { failingSince }),
        ...(pausedAt !== null && { pausedAt }),
      }])),
      untold: all(`
        select cast(s.name as text) as subscription, deliveries as count
        from exhausted_untold u join subscriptions s on s.id = u.subscription`),
    };
  }
}

const STATES: readonly DeliveryState[] = ["pending", "delivered", "exhausted", "cancelled"];

const NEW_DELIVERIES = `
  select d.seq, d.created_at, d.cause, d.redelivery_of,
    cast(e.id as text) as event, cast(s.name as text) as subscription
  from deliveries d join events e on e.seq = d.event join subscriptions s on s.id = d.subscription
  where d.seq > ? order by d.seq`;

let templatePath: Promise<string> | undefined;

/** An unused outbox to copy: creating one takes longer than many runs. */
function template(): Promise<string> {
  return templatePath ??= (async () => {
    const path = `${Deno.makeTempDirSync(await inMemory())}/template.db`;
    const db = await openWriter(path);
    db.exec("pragma wal_checkpoint(truncate)");
    db.close();
    addEventListener("unload", () => Deno.removeSync(path.slice(0, -12), { recursive: true }));
    return path;
  })();
}
