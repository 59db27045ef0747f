import { answerTimeBucket } from "../../domain/answer_time.ts";
import { type Attempt, responseOf } from "../../domain/attempt.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Verdict } from "../../domain/verdict.ts";
import type { AnswerCount, AnswersRequest, Tally, TallyRequest } from "../reader.ts";

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS;
/** How far back there are minutes. */
const KEEP_MINUTES_MS = 2 * HOUR_MS;

/** What attempts came to, added up by the hour and the minute. */
export class Tallies {
  #slots: Slot[] = [];

  /** `verdict` is undefined where the delivery had been cancelled by then. */
  add(subscription: string, attempt: Attempt, verdict: Verdict["kind"] | undefined): void {
    const endedAt = attempt.startedAt + attempt.durationMs;
    const minute = floor(endedAt, MINUTE_MS), hour = floor(endedAt, HOUR_MS);
    for (const series of [{ slot: "minute" }, { slot: "hour" }, { slot: "hour", subscription }]) {
      const startsAt = series.slot === "minute" ? minute : hour;
      this.#slot(keyOf(series), startsAt).take(attempt, verdict);
    }
    const minutes = this.#slots.filter(({ series }) => series === MINUTES);
    const first = Math.max(...minutes.map(({ startsAt }) => startsAt)) - KEEP_MINUTES_MS;
    this.#slots = this.#slots.filter(({ series, startsAt }) =>
      series !== MINUTES || startsAt >= first
    );
  }

  of(request: TallyRequest): Tally[] {
    return this.#wanted(request).map(({ tally }) => tally).sort(earliestFirst);
  }

  answers(request: AnswersRequest): AnswerCount[] {
    const { since, spanMs } = request, counts = new Map<string, AnswerCount>();
    for (const { startsAt, answers } of this.#wanted(request).sort(earliestFirst)) {
      const at = since + floor(startsAt - since, spanMs);
      for (const [key, { count, ...answer }] of answers) {
        const before = counts.get(`${at} ${key}`)?.count ?? 0;
        counts.set(`${at} ${key}`, { ...answer, startsAt: at, count: before + count });
      }
    }
    return [...counts.values()];
  }

  get oldest(): Instant | undefined {
    return this.#slots.map(({ startsAt }) => startsAt).sort((a, b) => a - b)[0];
  }

  /** Takes away the oldest of those that begin before an instant; answers how many. */
  prune(before: Instant, limit: number): number {
    const overdue = this.#slots.filter(({ startsAt }) => startsAt < before)
      .sort(earliestFirst).slice(0, limit);
    this.#slots = this.#slots.filter((slot) => !overdue.includes(slot));
    return overdue.length;
  }

  #slot(series: string, startsAt: Instant): Slot {
    const known = this.#slots.find((slot) => slot.series === series && slot.startsAt === startsAt);
    if (known) return known;
    const slot = new Slot(series, startsAt);
    this.#slots.push(slot);
    return slot;
  }

  #wanted(request: TallyRequest): Slot[] {
    const wanted = keyOf(request);
    return this.#slots.filter(({ series, startsAt }) =>
      series === wanted && startsAt >= request.since
    );
  }
}

/** Of one series: all subscriptions by the minute, all by the hour, or one by the hour. */
class Slot {
  readonly tally: { -readonly [name in keyof Tally]: number };
  readonly answers = new Map<string, AnswerCount>();

  constructor(readonly series: string, readonly startsAt: Instant) {
    this.tally = {
      startsAt,
      firstAttempts: 0,
      firstSuccesses: 0,
      succeeded: 0,
      failed: 0,
      retrying: 0,
      delivered: 0,
      lost: 0,
    };
  }

  take({ number, result, outcome, durationMs }: Attempt, verdict: Verdict["kind"] | undefined) {
    const { tally } = this, succeeded = result === "success";
    if (number === 1) tally.firstAttempts++;
    if (number === 1 && succeeded) tally.firstSuccesses++;
    if (succeeded) tally.succeeded++;
    else tally.failed++;
    if (verdict === "retry") tally.retrying++;
    else if (verdict === "delivered") tally.delivered++;
    else if (verdict !== undefined) tally.lost++;
    const status = outcome.kind === "answered" ? responseOf(outcome)?.status : undefined;
    const took = answerTimeBucket(durationMs), key = `${status} ${took}`;
    const count = (this.answers.get(key)?.count ?? 0) + 1;
    this.answers.set(key, {
      startsAt: this.startsAt,
      ...(status !== undefined && { status }),
      took,
      count,
    });
  }
}

const MINUTES = keyOf({ slot: "minute" });

function keyOf(request: { readonly slot: string; readonly subscription?: string }): string {
  const { slot, subscription } = request;
  return JSON.stringify(subscription === undefined ? [slot] : [slot, subscription]);
}

function floor(at: Instant, ms: number): Instant {
  return Math.floor(at / ms) * ms;
}

function earliestFirst(a: Pick<Tally, "startsAt">, b: Pick<Tally, "startsAt">): number {
  return a.startsAt - b.startsAt;
}
