import { setImmediate } from "node:timers";
import { answerTimeQuantile } from "../../domain/answer_time.ts";
import type { Instant } from "../../domain/instant.ts";
import type { AnswerCount, OutboxReader, Tally, TallyRequest } from "../../outbox/reader.ts";

export type SpanName = "hour" | "day" | "week" | "month";

/** How the recent past is drawn: so many bars of that length, the last one not over yet. */
interface SpanShape {
  readonly title: string;
  readonly short: string;
  readonly slot: "minute" | "hour";
  readonly barMs: number;
  readonly bars: number;
}

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

export const SPANS: Readonly<Record<SpanName, SpanShape>> = {
  hour: { short: "1 h", title: "Last hour", slot: "minute", barMs: 2 * MINUTE, bars: 30 },
  day: { short: "24 h", title: "Last day", slot: "hour", barMs: HOUR, bars: 24 },
  week: { short: "7 d", title: "Last week", slot: "hour", barMs: 6 * HOUR, bars: 28 },
  month: { short: "30 d", title: "Last month", slot: "hour", barMs: DAY, bars: 30 },
};

/** What became of deliveries within one bar's time. */
export interface Bar {
  readonly startsAt: Instant;
  readonly delivered: number;
  readonly retrying: number;
  readonly failed: number;
  /** How long answers took, in milliseconds; undefined where none came. */
  readonly p50?: number;
  readonly p95?: number;
}

/** What a span of the past came to. */
export interface Statistics {
  readonly name: SpanName;
  readonly title: string;
  readonly since: Instant;
  readonly barMs: number;
  readonly bars: readonly Bar[];
  readonly delivered: number;
  readonly retrying: number;
  readonly failed: number;
  readonly firstAttempts: number;
  readonly firstSuccesses: number;
  /** Bar by bar. */
  readonly answers: readonly AnswerCount[];
  /** In milliseconds; undefined where nothing was answered. */
  readonly p50?: number;
  readonly p95?: number;
}

/** The statistics of all subscriptions, or of one: of one there are no minutes. */
export async function statisticsOf(
  reader: OutboxReader,
  { span, subscription, now }: { span: SpanName; subscription?: string; now: Instant },
): Promise<Statistics> {
  const { title, slot, barMs, bars: barCount } = SPANS[span];
  const since = Math.floor(now / barMs) * barMs - (barCount - 1) * barMs;
  const request: TallyRequest = slot === "minute"
    ? { slot, since }
    : { slot, since, ...(subscription === undefined ? {} : { subscription }) };
  const tallies = await reader.tallies(request);
  const answers = await reader.answers({ ...request, spanMs: barMs });
  // A page wants dozens of these, and reading is synchronous: deliveries go out in between.
  await new Promise<void>((resolve) => setImmediate(resolve));
  const bars = Array.from({ length: barCount }, (_, index) => ({
    startsAt: since + index * barMs,
    delivered: 0,
    retrying: 0,
    failed: 0,
  }));
  // A clock that was set back may have left slots that are yet to come.
  const barAt = (at: Instant) => Math.min(barCount - 1, Math.floor((at - since) / barMs));
  for (const { startsAt, delivered, retrying, lost } of tallies) {
    const bar = bars[barAt(startsAt)]!;
    bar.delivered += delivered;
    bar.retrying += retrying;
    bar.failed += lost;
  }
  const answersOf = Map.groupBy(answers, (answer) => barAt(answer.startsAt));
  return {
    name: span,
    title,
    since,
    barMs,
    bars: bars.map((bar, index) => ({ ...bar, ...answerTimes(answersOf.get(index) ?? []) })),
    delivered: sum(tallies, "delivered"),
    retrying: sum(tallies, "retrying"),
    failed: sum(tallies, "lost"),
    firstAttempts: sum(tallies, "firstAttempts"),
    firstSuccesses: sum(tallies, "firstSuccesses"),
    answers,
    ...answerTimes(answers),
  };
}

/** All attempts of a bar. */
export function total({ delivered, retrying, failed }: Bar): number {
  return delivered + retrying + failed;
}

function sum(tallies: readonly Tally[], name: Exclude<keyof Tally, "startsAt">): number {
  return tallies.reduce((total, tally) => total + tally[name], 0);
}

/** The middle answer time and the one that one in twenty exceeds. */
export function answerTimes(answers: readonly AnswerCount[]): { p50?: number; p95?: number } {
  const counts = new Map<number, number>();
  for (const { status, took, count } of answers) {
    if (status !== undefined) counts.set(took, (counts.get(took) ?? 0) + count);
  }
  const p50 = answerTimeQuantile(counts, 0.5), p95 = answerTimeQuantile(counts, 0.95);
  return p50 === undefined || p95 === undefined ? {} : { p50, p95 };
}

/** How often each status was answered, the commonest first; undefined stands for no answer. */
export function answersByStatus(
  answers: readonly AnswerCount[],
): (readonly [status: number | undefined, count: number])[] {
  const counts = new Map<number | undefined, number>();
  for (const { status, count } of answers) counts.set(status, (counts.get(status) ?? 0) + count);
  return [...counts].sort(([, a], [, b]) => b - a);
}
