import { type Judged, wordsOf } from "./bar.ts";
import { type Figure, FIGURES, formatted } from "./figures.ts";
import type { Results, Subject } from "./results.ts";

/** The figures side by side, then the requirements, for a terminal. */
export function formatReport(
  results: Results,
  judged: readonly Judged[],
): string {
  const subjects = results.subjects();
  const figures = [
    ["", ...subjects],
    ...FIGURES.filter(({ name }) => subjects.some((s) => results.median(name, s) !== undefined))
      .map((
        figure,
      ) => [figure.title, ...subjects.map((s) => cell(figure, results, s))]),
  ];
  const bar = judged.map(({ promised, value, limit, holds }) => {
    const { title, unit } = FIGURES.find(({ name }) => name === promised.figure)!;
    const limitText = `${wordsOf(promised)} (${formatted(limit, unit)})`;
    return [holds ? "yes" : "NO", title, formatted(value, unit), limitText];
  });
  const failures = results.failures.map(({ subject, measure, message }) =>
    `${subject}, ${measure}: ${message}`
  );
  return [
    aligned(figures, "right"),
    ...(bar.length === 0 ? [] : ["The bar:", aligned(bar, "left")]),
    ...(failures.length === 0 ? [] : ["Runs that failed:", ...failures]),
  ].join("\n\n");
}

/** The median; for several runs, minimum and maximum in parentheses. */
function cell(
  { name, unit }: Figure,
  results: Results,
  subject: Subject,
): string {
  const median = results.median(name, subject);
  if (median === undefined) return "";
  const runs = results.runs(name, subject);
  const range = runs.length === 1
    ? ""
    : ` (${formatted(Math.min(...runs), unit)} to ${formatted(Math.max(...runs), unit)})`;
  return formatted(median, unit) + range;
}

function aligned(rows: readonly string[][], numbers: "left" | "right"): string {
  const columns = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    row.map((text, column) =>
      column > 0 && numbers === "right"
        ? text.padStart(columns[column]!)
        : text.padEnd(columns[column]!)
    ).join("   ").trimEnd()
  ).join("\n");
}
