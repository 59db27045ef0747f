import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import type { PacedStart } from "../outbox.ts";
import { type Bytes, toBytes, toText } from "./bytes.ts";
import type { Names } from "./names.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** No rate limit counts over more than a day. */
const LONGEST_WINDOW_MS = 86_400_000;

/** Where the schedule's time stands, and when attempts started that a rate limit still counts. */
export class Timekeeping {
  readonly #sql: Statements<keyof typeof TIMEKEEPING_SQL>;
  readonly #subscriptions: Names;
  /** Whether the starts of limits that are no more have been looked for since the process began. */
  #hasSwept = false;

  constructor(db: DatabaseSync, subscriptions: Names) {
    this.#sql = prepareAll(db, TIMEKEEPING_SQL);
    this.#subscriptions = subscriptions;
  }

  mark(): TimeMark | undefined {
    const row = this.#sql.readMark.get() as unknown as MarkRow | undefined;
    if (!row) return undefined;
    const { reachedAt, bootId, at, leastMs, mostMs } = row;
    if (bootId === null) return { reachedAt };
    return { reachedAt, boot: { id: toText(bootId), at: at!, leastMs: leastMs!, mostMs: mostMs! } };
  }

  keepMark({ reachedAt, boot }: TimeMark): void {
    this.#sql.writeMark.run({
      reachedAt: Math.round(reachedAt),
      bootId: boot === undefined ? null : toBytes(boot.id),
      at: boot === undefined ? null : boot.at,
      leastMs: boot === undefined ? null : boot.leastMs,
      mostMs: boot === undefined ? null : boot.mostMs,
    });
  }

  noteStart({ subscription, at, perMs }: PacedStart): void {
    const id = this.#subscriptions.intern(subscription);
    this.#sql.insertStart.run(id, Math.ceil(at));
    // As many go as come, or one more.
    this.#sql.forgetStarts.run(id, Math.floor(at - perMs));
    if (!this.#hasSwept) this.#sql.sweepStarts.run(Math.floor(at - LONGEST_WINDOW_MS));
    this.#hasSwept = true;
  }

  /** By subscription, the earliest first. */
  starts(): Map<string, Instant[]> {
    const starts = new Map<string, Instant[]>();
    for (const { subscription, at } of this.#sql.starts.all() as unknown as StartRow[]) {
      const name = this.#subscriptions.name(subscription);
      const known = starts.get(name);
      if (known) known.push(at);
      else starts.set(name, [at]);
    }
    return starts;
  }

  /** The schedule follows a step of the wall clock, and what it has counted goes along. */
  shift(byMs: number): void {
    this.#sql.shiftStarts.run(Math.round(byMs));
  }
}

interface MarkRow {
  readonly reachedAt: Instant;
  readonly bootId: Bytes | null;
  readonly at: Instant | null;
  readonly leastMs: number | null;
  readonly mostMs: number | null;
}

interface StartRow {
  readonly subscription: number;
  readonly at: Instant;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const TIMEKEEPING_SQL = {
  readMark: `
    select reached_at as reachedAt, boot_id as bootId, at, least_ms as leastMs, most_ms as mostMs
    from schedule_time`,

  writeMark: `
    insert into schedule_time (id, reached_at, boot_id, at, least_ms, most_ms)
    values (1, :reachedAt, :bootId, :at, :leastMs, :mostMs)
    on conflict (id) do update set reached_at = excluded.reached_at, boot_id = excluded.boot_id,
      at = excluded.at, least_ms = excluded.least_ms, most_ms = excluded.most_ms`,

  insertStart: "insert into paced_starts (subscription, at) values (?, ?)",

  forgetStarts: `
    delete from paced_starts where seq in (
      select seq from paced_starts where subscription = ? and at < ? order by at limit 2
    )`,

  sweepStarts: "delete from paced_starts where at < ?",

  starts: "select subscription, at from paced_starts order by subscription, at",

  shiftStarts: "update paced_starts set at = at + ?",
} as const;
