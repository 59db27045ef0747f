import type { DatabaseSync } from "node:sqlite";
import type { AnswerCount, AnswersRequest, Counts, Tally, TallyRequest } from "../reader.ts";
import { type Bytes, toText } from "./bytes.ts";
import type { Names } from "./names.ts";
import { prepareAll, type Statements } from "./statements.ts";
import {
  answersFromRows,
  type AnswersRow,
  NEW_TALLIED_ATTEMPTS,
  type TalliedAttempt,
  talliesFromRows,
  type TallyRow,
  TOTAL,
  TOTAL_BY_MINUTE,
} from "./tallying.ts";

/** Tells how many deliveries there are, and what attempts came to: by side tables and what they lack. */
export class Totals {
  readonly #sql: Statements<keyof typeof TOTALS_SQL>;
  readonly #subscriptions: Names;

  constructor(db: DatabaseSync, subscriptions: Names) {
    this.#sql = prepareAll(db, TOTALS_SQL);
    this.#subscriptions = subscriptions;
  }

  counts(subscriptions: readonly string[]): ReadonlyMap<string, Counts> {
    const numbers = subscriptions.flatMap((name) => this.#subscriptions.find(name) ?? []);
    const rows = this.#sql.counts.all({ subscriptions: JSON.stringify(numbers) });
    return new Map(
      (rows as unknown as ({ subscription: Bytes } & Counts)[]).map((
        { subscription, ...counts },
      ) => [toText(subscription), counts]),
    );
  }

  tallies(request: TallyRequest): Tally[] {
    const series = this.#seriesOf(request);
    if (series === undefined) return [];
    const wanted = { series, since: request.since };
    const rows = this.#sql.tallies.all(wanted) as unknown as TallyRow[];
    return talliesFromRows(rows, this.#newAttempts(), wanted);
  }

  answers(request: AnswersRequest): AnswerCount[] {
    const series = this.#seriesOf(request);
    if (series === undefined) return [];
    const wanted = { series, since: request.since };
    const rows = this.#sql.answers.all(wanted) as unknown as AnswersRow[];
    return answersFromRows(rows, this.#newAttempts(), { ...wanted, spanMs: request.spanMs });
  }

  /** Those that no tally has yet. */
  #newAttempts(): TalliedAttempt[] {
    return this.#sql.newTalliedAttempts.all() as unknown as TalliedAttempt[];
  }

  /** Undefined where a subscription never had anything on record. */
  #seriesOf(request: TallyRequest): number | undefined {
    if (request.slot === "minute") return TOTAL_BY_MINUTE;
    return request.subscription === undefined
      ? TOTAL
      : this.#subscriptions.find(request.subscription);
  }
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const TOTALS_SQL = {
  counts: `
    select s.name as subscription, sum(c.pending) as pending, sum(c.delivered) as delivered,
      sum(c.exhausted) as exhausted, sum(c.cancelled) as cancelled
    from (
      select c.* from json_each(:subscriptions) j cross join counts c on c.subscription = j.value
      union all
      select * from uncounted
      where subscription in (select value from json_each(:subscriptions))
    ) c join subscriptions s on s.id = c.subscription
    group by c.subscription
    having sum(c.pending) + sum(c.delivered) + sum(c.exhausted) + sum(c.cancelled) > 0`,

  newTalliedAttempts: NEW_TALLIED_ATTEMPTS,

  tallies: `
    select starts_at, first_attempts, first_successes, succeeded, failed, retrying, delivered, lost
    from tallies where series = :series and starts_at >= :since order by starts_at`,

  answers: `
    select starts_at, answers from tallies where series = :series and starts_at >= :since
    order by starts_at`,
} as const;
