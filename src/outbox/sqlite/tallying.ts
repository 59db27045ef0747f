import type { DatabaseSync, StatementSync } from "node:sqlite";
import { answerTimeBucket } from "../../domain/answer_time.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Verdict } from "../../domain/verdict.ts";
import type { AnswerCount, Tally } from "../outbox.ts";

/** All subscriptions together, by the hour; a subscription's own series has its number. */
export const TOTAL = 0;
/** All subscriptions together, by the minute. */
export const TOTAL_BY_MINUTE = -1;

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS;
/** How far back there are minutes. */
const KEEP_MINUTES_MS = 2 * HOUR_MS;

/** What an attempt adds to the tallies. */
export interface TalliedAttempt {
  readonly subscription: number;
  readonly at: Instant;
  readonly number: number;
  readonly succeeded: boolean;
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  readonly durationMs: number;
  /** What became of the delivery; undefined where it was cancelled meanwhile. */
  readonly verdict: Verdict["kind"] | undefined;
}

/**
 * Keeps what attempts come to, slot by slot: each slot is written once a transaction, whole, for its
 * counts so far are at hand.
 */
export class Tallying {
  readonly #read: StatementSync;
  readonly #write: StatementSync;
  readonly #forgetMinutes: StatementSync;
  /** The latest slot of each series. */
  readonly #slots = new Map<number, Slot>();
  /** Those of them that have changed and are not written yet. */
  readonly #touched = new Set<Slot>();
  #lastMinute = 0;

  constructor(db: DatabaseSync) {
    this.#read = db.prepare(TALLYING_SQL.readSlot);
    this.#write = db.prepare(TALLYING_SQL.writeSlot);
    this.#forgetMinutes = db.prepare(TALLYING_SQL.forgetMinutes);
  }

  /** Within a transaction. */
  write(attempts: readonly TalliedAttempt[]): void {
    for (const attempt of attempts) {
      const hour = startOf(attempt.at, HOUR_MS), minute = startOf(attempt.at, MINUTE_MS);
      for (
        const slot of [
          this.#slot(attempt.subscription, hour),
          this.#slot(TOTAL, hour),
          this.#slot(TOTAL_BY_MINUTE, minute),
        ]
      ) {
        slot.take(attempt);
        this.#touched.add(slot);
      }
      if (minute > this.#lastMinute) {
        this.#forgetMinutes.run(minute - KEEP_MINUTES_MS);
        this.#lastMinute = minute;
      }
    }
    this.#writeTouched();
  }

  /** After a rollback: what is at hand counts what was taken back. */
  forget(): void {
    this.#slots.clear();
    this.#touched.clear();
    this.#lastMinute = 0;
  }

  #slot(series: number, startsAt: Instant): Slot {
    const known = this.#slots.get(series);
    if (known?.startsAt === startsAt) return known;
    // Nothing may leave unwritten: it would be read back without its last counts.
    this.#writeTouched();
    const row = this.#read.get(series, startsAt) as unknown as TallyRow & AnswersRow | undefined;
    const slot = new Slot(series, startsAt, row);
    if (this.#slots.size >= SLOTS_AT_HAND) this.#slots.clear();
    this.#slots.set(series, slot);
    return slot;
  }

  #writeTouched(): void {
    for (const { series, startsAt, tally, answers } of this.#touched) {
      this.#write.get(
        series,
        startsAt,
        tally.firstAttempts,
        tally.firstSuccesses,
        tally.succeeded,
        tally.failed,
        tally.retrying,
        tally.delivered,
        tally.lost,
        JSON.stringify([...answers]),
      );
    }
    this.#touched.clear();
  }
}

const SLOTS_AT_HAND = 5_000;

/** A status and a bucket of time in one number; more buckets than there are. */
const BUCKETS = 1_000;

/** Stands for a status where no answer came. */
const NO_ANSWER = 0;

class Slot {
  readonly tally: { -readonly [name in keyof Omit<Tally, "startsAt">]: number };
  readonly answers: Map<number, number>;

  constructor(
    readonly series: number,
    readonly startsAt: Instant,
    row: TallyRow & AnswersRow | undefined,
  ) {
    const { startsAt: _, ...tally } = row ? tallyFromRow(row) : EMPTY;
    this.tally = { ...tally };
    this.answers = new Map(row && JSON.parse(row.answers));
  }

  take({ number, succeeded, status, durationMs, verdict }: TalliedAttempt): void {
    const { tally, answers } = this;
    if (number === 1) tally.firstAttempts++;
    if (number === 1 && succeeded) tally.firstSuccesses++;
    if (succeeded) tally.succeeded++;
    else tally.failed++;
    if (verdict === "retry") tally.retrying++;
    else if (verdict === "delivered") tally.delivered++;
    else if (verdict !== undefined) tally.lost++;
    const key = (status ?? NO_ANSWER) * BUCKETS + answerTimeBucket(durationMs);
    answers.set(key, (answers.get(key) ?? 0) + 1);
  }
}

const EMPTY: Tally = {
  startsAt: 0,
  firstAttempts: 0,
  firstSuccesses: 0,
  succeeded: 0,
  failed: 0,
  retrying: 0,
  delivered: 0,
  lost: 0,
};

function startOf(at: Instant, lengthMs: number): Instant {
  return Math.floor(at / lengthMs) * lengthMs;
}

/** What the reader's statements select of tallies. */
export interface TallyRow {
  readonly starts_at: Instant;
  readonly first_attempts: number;
  readonly first_successes: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly retrying: number;
  readonly delivered: number;
  readonly lost: number;
}

export function tallyFromRow(row: TallyRow): Tally {
  return {
    startsAt: row.starts_at,
    firstAttempts: row.first_attempts,
    firstSuccesses: row.first_successes,
    succeeded: row.succeeded,
    failed: row.failed,
    retrying: row.retrying,
    delivered: row.delivered,
    lost: row.lost,
  };
}

/** Counts by status and bucket in one number, as JSON of pairs. */
export interface AnswersRow {
  readonly answers: string;
}

/** The answers of several slots, added up. */
export function answersFromRows(rows: readonly AnswersRow[]): AnswerCount[] {
  const sums = new Map<number, number>();
  for (const row of rows) {
    for (const [key, count] of JSON.parse(row.answers) as [number, number][]) {
      sums.set(key, (sums.get(key) ?? 0) + count);
    }
  }
  return [...sums].map(([key, count]) => {
    const status = Math.floor(key / BUCKETS);
    return { ...(status === NO_ANSWER ? {} : { status }), took: key % BUCKETS, count };
  });
}

/** The statements that keep tallies; the tests ask SQLite how it would run each. */
export const TALLYING_SQL = {
  readSlot: `
    select starts_at, first_attempts, first_successes, succeeded, failed, retrying, delivered,
      lost, answers
    from tallies where series = ? and starts_at = ?`,

  writeSlot: `
    insert into tallies (
      series, starts_at, first_attempts, first_successes, succeeded, failed, retrying, delivered,
      lost, answers
    ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (series, starts_at) do update set
      first_attempts = excluded.first_attempts,
      first_successes = excluded.first_successes,
      succeeded = excluded.succeeded,
      failed = excluded.failed,
      retrying = excluded.retrying,
      delivered = excluded.delivered,
      lost = excluded.lost,
      answers = excluded.answers`,

  forgetMinutes: "delete from tallies where series = -1 and starts_at < ?",
} as const;
