import { FIGURES, formatted } from "./figures.ts";
import type { Results, Subject } from "./results.ts";

/** The figures side by side as a Markdown table for a README, followed by single figures. */
export function formatMarkdown(results: Results, caption: string): string {
  const subjects = results.subjects().filter((subject) => subject !== "limits");
  const rows = FIGURES.flatMap(({ name, title, unit }) => {
    const medians = subjects.map((subject) => results.median(name, subject));
    if (medians.every((median) => median === undefined)) return [];
    return [[title, ...medians.map((m) => m === undefined ? "–" : formatted(m, unit))]];
  });
  const limits = FIGURES.flatMap(({ name, title, unit }) => {
    const median = results.median(name, "limits");
    return median === undefined ? [] : [`${title} ${formatted(median, unit)}`];
  });
  return [
    row(["", ...subjects.map((subject) => TITLES[subject])]),
    row(["---", ...subjects.map(() => "---:")]),
    ...rows.map(row),
    "",
    `${caption}. The machine alone: ${limits.join(", ")}.`,
    "",
  ].join("\n");
}

const TITLES: Readonly<Record<Subject, string>> = {
  "bellhook": "Bellhook",
  "bullmq": "BullMQ, Redis syncs always",
  "bullmq-everysec": "BullMQ, Redis syncs every second",
  "pgboss": "pg-boss",
  "limits": "",
};

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
