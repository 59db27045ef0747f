import type { Results, Subject } from "./results.ts";

/** A requirement for Bellhook: one of its figures compared with a limit or another figure. */
export interface Promised {
  readonly figure: string;
  readonly bound: "atLeast" | "atMost";
  /** Multiplies the figure to compare with; without one, it is the limit itself. */
  readonly factor: number;
  readonly of?: { readonly subject: Subject; readonly figure: string };
  /** Added to the limit. */
  readonly plus?: number;
}

/** All requirements. */
export const BAR: readonly Promised[] = [
  atLeast("ingest.perSecond", 2, "bullmq"),
  atLeast("ingest.perSecond", 10, "pgboss"),
  atLeast("ingest.perSecond", 0.5, "limits", "limits.serverPerSecond"),
  atLeast("steady.perSecond", 2, "bullmq"),
  atLeast("steady.perSecond", 6, "pgboss"),
  atLeast("drain.perSecond", 3, "bullmq"),
  atMost("pace.p50Ms", 1 / 2, "bullmq"),
  atMost("pace.p99Ms", 1 / 3, "bullmq"),
  atMost("slowFsync.p50Ms", 1 / 10, "bullmq"),
  atLeast("fanOut10.perSecond", 2.5, "bullmq"),
  atLeast("tls.perSecond", 0.8, "bellhook", "steady.perSecond"),
  atLeast("noisy.oneDelivered", 1),
  atLeast("noisy.tenDelivered", 1),
  { ...atMost("noisy.oneP99Ms", 1.5, "bellhook", "noisy.quietP99Ms"), plus: 5 },
  { ...atMost("noisy.tenP99Ms", 1.5, "bellhook", "noisy.quietP99Ms"), plus: 5 },
  atMost("crash.seconds", 2),
  atMost("crash.millionSeconds", 5),
  atMost("cpu.secondsPer10000", 0.4, "bullmq"),
  atMost("cpu.secondsPer10000", 0.2, "pgboss"),
  atMost("memory.idleBytes", 90e6),
  atMost("memory.pacedBytes", 180e6),
  atMost("memory.saturatedBytes", 260e6),
  atMost("memory.millionBytes", 260e6),
];

/** The result of one requirement. */
export interface Judged {
  readonly promised: Promised;
  readonly value: number;
  readonly limit: number;
  readonly holds: boolean;
}

/** Checks the requirements whose figures were measured. */
export function judge(results: Results): Judged[] {
  return BAR.flatMap((promised) => {
    const { figure, bound, factor, of, plus = 0 } = promised;
    const value = results.median(figure, "bellhook");
    const other = of ? results.median(of.figure, of.subject) : 1;
    if (value === undefined || other === undefined) return [];
    const limit = factor * other + plus;
    return [{
      promised,
      value,
      limit,
      holds: bound === "atLeast" ? value >= limit : value <= limit,
    }];
  });
}

/** `at least 2 × bullmq`. */
export function wordsOf({ figure, bound, factor, of, plus }: Promised): string {
  const words = bound === "atLeast" ? "at least" : "at most";
  if (!of) return words;
  const times = factor < 1 ? `1/${Number((1 / factor).toFixed(2))}` : `${factor}`;
  const whose = of.figure === figure ? of.subject : of.figure;
  return `${words} ${times} × ${whose}${plus ? ` + ${plus} ms` : ""}`;
}

function atLeast(
  figure: string,
  factor: number,
  subject?: Subject,
  of = figure,
): Promised {
  return {
    figure,
    bound: "atLeast",
    factor,
    ...(subject && { of: { subject, figure: of } }),
  };
}

function atMost(...promised: Parameters<typeof atLeast>): Promised {
  return { ...atLeast(...promised), bound: "atMost" };
}
