import type { DatabaseSync, StatementSync } from "node:sqlite";
import { answerTimeBucket } from "../../domain/answer_time.ts";
import type { Instant } from "../../domain/instant.ts";
import type { AnswerCount, Tally } from "../outbox.ts";
import type { Changes } from "./changes.ts";
import type { TalliedAttempt } from "./tallied_attempt.ts";
import { FRESH_TALLIED } from "./reading.ts";

/** All subscriptions together, by the hour; a subscription's own series has its number. */
export const TOTAL = 0;
/** All subscriptions together, by the minute. */
export const TOTAL_BY_MINUTE = -1;

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS;
/** How far back there are minutes. */
const KEEP_MINUTES_MS = 2 * HOUR_MS;

/**
 * Keeps what attempts come to, slot by slot: each slot is written once a transaction, whole, for its
 * counts so far are at hand. Those that fresh deliveries were delivered by, nearly all, wait for the
 * indexes' next bite: until then the deliveries tell of them.
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
  /** What waits for the next bite, as of the last commit: series, start, slot. */
  readonly #fresh = new Map<number, Map<Instant, Slot>>();

  constructor(db: DatabaseSync) {
    this.#read = db.prepare(TALLYING_SQL.readSlot);
    this.#write = db.prepare(TALLYING_SQL.writeSlot);
    this.#forgetMinutes = db.prepare(TALLYING_SQL.forgetMinutes);
    const fresh = db.prepare(TALLYING_SQL.freshTallied).all() as unknown as FreshAttemptRow[];
    for (const row of fresh) this.#keep(attemptFromFresh(row));
  }

  /** At the end of a transaction; `takesIn`: fresh deliveries will tell of nothing any more. */
  write(changes: Changes, { takesIn }: { takesIn: boolean }): void {
    for (const attempt of changes.attempts) this.#take(attempt);
    if (takesIn) {
      for (const attempt of changes.freshAttempts) this.#take(attempt);
      for (const slots of this.#fresh.values()) {
        for (const slot of slots.values()) this.#slot(slot.series, slot.startsAt).add(slot);
      }
    }
    this.#writeTouched();
  }

  committed(changes: Changes, { takesIn }: { takesIn: boolean }): void {
    if (takesIn) return this.#fresh.clear();
    for (const attempt of changes.freshAttempts) this.#keep(attempt);
  }

  /** After a rollback: what is at hand counts what was taken back. */
  forget(): void {
    this.#slots.clear();
    this.#touched.clear();
    this.#lastMinute = 0;
  }

  #take(attempt: TalliedAttempt): void {
    for (const [series, startsAt] of slotsOf(attempt)) this.#slot(series, startsAt).take(attempt);
  }

  /** As numbers: so many attempts at hand would all be moved about by the collector. */
  #keep(attempt: TalliedAttempt): void {
    for (const [series, startsAt] of slotsOf(attempt)) {
      let slots = this.#fresh.get(series);
      if (!slots) this.#fresh.set(series, slots = new Map());
      let slot = slots.get(startsAt);
      if (!slot) slots.set(startsAt, slot = new Slot(series, startsAt));
      slot.take(attempt);
    }
  }

  /** The slot as it is stored, to be written when the transaction ends. */
  #slot(series: number, startsAt: Instant): Slot {
    let slot = this.#slots.get(series);
    if (slot?.startsAt !== startsAt) {
      // Nothing may leave unwritten: it would be read back without its last counts.
      this.#writeTouched();
      const row = this.#read.get(series, startsAt) as unknown as TallyRow & AnswersRow | undefined;
      slot = new Slot(series, startsAt, row);
      if (this.#slots.size >= SLOTS_AT_HAND) this.#slots.clear();
      this.#slots.set(series, slot);
    }
    if (series === TOTAL_BY_MINUTE && startsAt > this.#lastMinute) {
      this.#forgetMinutes.run(startsAt - KEEP_MINUTES_MS);
      this.#lastMinute = startsAt;
    }
    this.#touched.add(slot);
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
  readonly tally: Counted;
  readonly answers: Map<number, number>;

  constructor(
    readonly series: number,
    readonly startsAt: Instant,
    row?: TallyRow & AnswersRow,
  ) {
    const { startsAt: _, ...tally } = row ? tallyFromRow(row) : EMPTY;
    this.tally = tally;
    this.answers = new Map(row && JSON.parse(row.answers));
  }

  take(attempt: TalliedAttempt): void {
    count(attempt, this.tally);
    const key = answerOf(attempt);
    this.answers.set(key, (this.answers.get(key) ?? 0) + 1);
  }

  add({ tally, answers }: Slot): void {
    for (const name of Object.keys(tally) as (keyof Counted)[]) this.tally[name] += tally[name];
    for (const [key, count] of answers) this.answers.set(key, (this.answers.get(key) ?? 0) + count);
  }
}

/** Which slots an attempt counts in, each by its series and its start. */
function slotsOf({ subscription, at }: TalliedAttempt): readonly (readonly [number, Instant])[] {
  const hour = startOf(at, HOUR_MS);
  return [[subscription, hour], [TOTAL, hour], [TOTAL_BY_MINUTE, startOf(at, MINUTE_MS)]];
}

type Counted = { -readonly [name in keyof Omit<Tally, "startsAt">]: number };

function count({ number, succeeded, verdict }: TalliedAttempt, tally: Counted): void {
  if (number === 1) tally.firstAttempts++;
  if (number === 1 && succeeded) tally.firstSuccesses++;
  if (succeeded) tally.succeeded++;
  else tally.failed++;
  if (verdict === "retry") tally.retrying++;
  else if (verdict === "delivered") tally.delivered++;
  else if (verdict !== undefined) tally.lost++;
}

function answerOf({ status, durationMs }: TalliedAttempt): number {
  return (status ?? NO_ANSWER) * BUCKETS + answerTimeBucket(durationMs);
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

function tallyFromRow(row: TallyRow): Tally {
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

/** What FRESH_TALLIED selects. */
export interface FreshAttemptRow {
  readonly subscription: number;
  readonly finished_at: Instant;
  readonly succeeded: number;
  readonly status: number | null;
  readonly duration_ms: number;
}

function attemptFromFresh(row: FreshAttemptRow): TalliedAttempt {
  return {
    subscription: row.subscription,
    at: row.finished_at,
    number: 1,
    succeeded: row.succeeded === 1,
    status: row.status ?? undefined,
    durationMs: row.duration_ms,
    verdict: "delivered",
  };
}

/** What fresh deliveries tell of a series' slots from one on. */
export function freshAttemptsOf(
  rows: readonly FreshAttemptRow[],
  { series, since }: { series: number; since: Instant },
): TalliedAttempt[] {
  return rows.filter((row) =>
    (series === TOTAL || series === TOTAL_BY_MINUTE || series === row.subscription) &&
    startOf(row.finished_at, lengthOf(series)) >= since
  ).map(attemptFromFresh);
}

/** A series' slots in their order: what is stored of them, and what fresh deliveries tell beside. */
export function talliesFromRows(
  rows: readonly TallyRow[],
  { series, fresh }: { series: number; fresh: readonly TalliedAttempt[] },
): Tally[] {
  const tallies = new Map(rows.map((row) => [row.starts_at, tallyFromRow(row)]));
  for (const attempt of fresh) {
    const startsAt = startOf(attempt.at, lengthOf(series));
    const tally = tallies.get(startsAt) ?? { ...EMPTY, startsAt };
    tallies.set(startsAt, tally);
    count(attempt, tally);
  }
  return [...tallies.values()].sort((a, b) => a.startsAt - b.startsAt);
}

function lengthOf(series: number): number {
  return series === TOTAL_BY_MINUTE ? MINUTE_MS : HOUR_MS;
}

/** The answers of several slots, added up, and those that fresh deliveries tell of. */
export function answersFromRows(
  rows: readonly AnswersRow[],
  fresh: readonly TalliedAttempt[],
): AnswerCount[] {
  const sums = new Map<number, number>();
  for (const attempt of fresh) {
    const key = answerOf(attempt);
    sums.set(key, (sums.get(key) ?? 0) + 1);
  }
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
  freshTallied: FRESH_TALLIED,

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
