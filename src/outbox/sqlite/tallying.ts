import type { DatabaseSync } from "node:sqlite";
import { answerTimeBucket } from "../../domain/answer_time.ts";
import type { Instant } from "../../domain/instant.ts";
import type { AnswerCount, Tally } from "../reader.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** All subscriptions together, by the hour; a subscription's own series has its number. */
export const TOTAL = 0;
/** All subscriptions together, by the minute. */
export const TOTAL_BY_MINUTE = -1;

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS;
/** How far back there are minutes. */
const KEEP_MINUTES_MS = 2 * HOUR_MS;

/** Adds to the tallies what attempts came to. */
export class Tallying {
  readonly #sql: Statements<keyof typeof TALLYING_SQL>;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, TALLYING_SQL);
  }

  /** Within a transaction: the attempts after a number, up to another. */
  add({ after, until }: { after: number; until: number }): void {
    const attempts = this.#sql.attempts.all(after, until) as unknown as TalliedAttempt[];
    const slots = slotsOf(attempts, (series, startsAt) => this.#stored(series, startsAt));
    for (const slot of slots) this.#write(slot);
    const minutes = slots.filter(({ series }) => series === TOTAL_BY_MINUTE);
    if (minutes.length === 0) return;
    const last = Math.max(...minutes.map(({ startsAt }) => startsAt));
    this.#sql.forgetMinutes.run(last - KEEP_MINUTES_MS);
  }

  #stored(series: number, startsAt: Instant): Slot {
    const row = this.#sql.readSlot.get(series, startsAt) as unknown as StoredSlot | undefined;
    return new Slot(series, startsAt, row);
  }

  #write({ series, startsAt, tally, answers }: Slot): void {
    this.#sql.writeSlot.get(
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
}

/** What TALLIED_ATTEMPTS selects. */
export interface TalliedAttempt {
  readonly subscription: number;
  readonly ended_at: Instant;
  readonly number: number;
  readonly succeeded: number;
  /** Null where no answer came. */
  readonly status: number | null;
  readonly duration_ms: number;
  /** The state that it left its delivery in. */
  readonly state: number;
}

/** Notices are our own post: they say nothing about how receivers do. */
const TALLIED_ATTEMPTS = `
  select d.subscription, a.started_at + a.duration_ms as ended_at, a.number, a.succeeded,
    iif(a.error_kind is null, a.status, null) as status, a.duration_ms, a.state
  from attempts a cross join deliveries d on d.seq = a.delivery
  where a.state is not null and d.cause <> 'notice'`;

/** Those of them that no tally has yet. */
export const NEW_TALLIED_ATTEMPTS = `
  ${TALLIED_ATTEMPTS} and a.seq > (select attempt from rolled_up)`;

/** A status and a bucket of time in one number; more buckets than there are. */
const BUCKETS = 1_000;

/** Stands for a status where no answer came. */
const NO_ANSWER = 0;

type Counted = { -readonly [name in keyof Omit<Tally, "startsAt">]: number };

/** What attempts came to within one minute or hour. */
class Slot {
  readonly tally: Counted;
  readonly answers: Map<number, number>;

  constructor(readonly series: number, readonly startsAt: Instant, stored?: StoredSlot) {
    const { startsAt: _, ...tally } = stored ? tallyFromRow(stored) : EMPTY;
    this.tally = tally;
    this.answers = new Map(stored && JSON.parse(stored.answers));
  }

  take({ number, succeeded, state, status, duration_ms }: TalliedAttempt): void {
    const { tally } = this;
    if (number === 1) tally.firstAttempts++;
    if (number === 1 && succeeded) tally.firstSuccesses++;
    if (succeeded) tally.succeeded++;
    else tally.failed++;
    if (state === 0) tally.retrying++;
    else if (state === 1) tally.delivered++;
    else if (state <= 3) tally.lost++;
    const answer = (status ?? NO_ANSWER) * BUCKETS + answerTimeBucket(duration_ms);
    this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
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

/** An attempt counts for its subscription's hour, and for the hour and the minute of all. */
function slotsOf(
  attempts: readonly TalliedAttempt[],
  begin: (series: number, startsAt: Instant) => Slot = (...of) => new Slot(...of),
): Slot[] {
  const series = new Map<number, Map<Instant, Slot>>();
  const slot = (number: number, startsAt: Instant): Slot => {
    let slots = series.get(number);
    if (!slots) series.set(number, slots = new Map());
    let found = slots.get(startsAt);
    if (!found) slots.set(startsAt, found = begin(number, startsAt));
    return found;
  };
  for (const attempt of attempts) {
    const hour = startOf(attempt.ended_at, HOUR_MS);
    slot(attempt.subscription, hour).take(attempt);
    slot(TOTAL, hour).take(attempt);
    slot(TOTAL_BY_MINUTE, startOf(attempt.ended_at, MINUTE_MS)).take(attempt);
  }
  return [...series.values()].flatMap((slots) => [...slots.values()]);
}

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

/** Counts by status and bucket in one number, as JSON of pairs. */
export interface AnswersRow {
  readonly starts_at: Instant;
  readonly answers: string;
}

type StoredSlot = TallyRow & AnswersRow;

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

/** The slots of one series from an instant on. */
interface Wanted {
  readonly series: number;
  readonly since: Instant;
}

function wantedSlots(attempts: readonly TalliedAttempt[], { series, since }: Wanted): Slot[] {
  return slotsOf(attempts).filter((slot) => slot.series === series && slot.startsAt >= since);
}

/** A series' slots in their order: what is stored, and what attempts add that no tally has yet. */
export function talliesFromRows(
  rows: readonly TallyRow[],
  attempts: readonly TalliedAttempt[],
  wanted: Wanted,
): Tally[] {
  const tallies = new Map(rows.map((row) => [row.starts_at, tallyFromRow(row)]));
  for (const { startsAt, tally } of wantedSlots(attempts, wanted)) {
    const stored = tallies.get(startsAt);
    tallies.set(startsAt, stored ? sumOf(stored, tally) : { startsAt, ...tally });
  }
  return [...tallies.values()].sort((a, b) => a.startsAt - b.startsAt);
}

function sumOf(stored: Tally, more: Counted): Tally {
  const sum: Counted & { startsAt: Instant } = { ...stored };
  for (const name of Object.keys(more) as (keyof Counted)[]) sum[name] += more[name];
  return sum;
}

/** The answers of each span: what is stored, and what attempts add that no tally has yet. */
export function answersFromRows(
  rows: readonly AnswersRow[],
  attempts: readonly TalliedAttempt[],
  { spanMs, ...wanted }: Wanted & { readonly spanMs: number },
): AnswerCount[] {
  const spans = new Map<Instant, Map<number, number>>();
  const add = (startsAt: Instant, answers: Iterable<readonly [key: number, count: number]>) => {
    const at = wanted.since + startOf(startsAt - wanted.since, spanMs);
    const sums = spans.get(at) ?? new Map<number, number>();
    for (const [key, count] of answers) sums.set(key, (sums.get(key) ?? 0) + count);
    spans.set(at, sums);
  };
  for (const { starts_at, answers } of rows) add(starts_at, JSON.parse(answers));
  for (const { startsAt, answers } of wantedSlots(attempts, wanted)) add(startsAt, answers);
  return [...spans].sort(([a], [b]) => a - b).flatMap(([startsAt, sums]) =>
    [...sums].map(([key, count]) => {
      const status = Math.floor(key / BUCKETS), took = key % BUCKETS;
      return { startsAt, ...(status === NO_ANSWER ? {} : { status }), took, count };
    })
  );
}

/** The statements that keep tallies; the tests ask SQLite how it would run each. */
export const TALLYING_SQL = {
  attempts: `${TALLIED_ATTEMPTS} and a.seq > ? and a.seq <= ?`,

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
