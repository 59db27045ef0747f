import { type Figure, FIGURES, formatted } from "./figures.ts";
import type { Results, Subject } from "./results.ts";

/** The figures in the chart of the README. */
const DRAWN = [
  "ingest.perSecond",
  "steady.perSecond",
  "drain.perSecond",
  "fanOut10.perSecond",
  "pace.p50Ms",
  "pace.p99Ms",
  "cpu.secondsPer10000",
  "memory.saturatedBytes",
];

const COLOURS: Readonly<Record<Subject, string>> = {
  "bellhook": "#0f766e",
  "bullmq": "#b45309",
  "bullmq-everysec": "#d6a368",
  "pgboss": "#64748b",
  "limits": "#cbd5e1",
};

const WIDTH = 860, LABEL = 150, BAR = 16, GAP = 4, TITLE = 30;

/** A bar chart for each figure, with its own scale. */
export function drawSvg(results: Results, caption: string): string {
  let y = 0;
  const parts: string[] = [];
  for (const name of DRAWN) {
    const figure = FIGURES.find((one) => one.name === name)!;
    const rows = results.subjects().flatMap((subject) => {
      const value = results.median(name, subject);
      return value === undefined ? [] : [{ subject, value }];
    });
    if (rows.length === 0) continue;
    y += TITLE;
    parts.push(
      `<text x="0" y="${y - 8}" class="title">${escaped(titleOf(figure))}</text>`,
    );
    const most = Math.max(...rows.map(({ value }) => value));
    for (const { subject, value } of rows) {
      const width = Math.max(1, value / most * (WIDTH - LABEL - 110));
      const middle = y + BAR - 4;
      parts.push(
        `<text x="${LABEL - 8}" y="${middle}" class="name">${subject}</text>`,
        `<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" ` +
          `fill="${COLOURS[subject]}"/>`,
        `<text x="${(LABEL + width + 6).toFixed(1)}" y="${middle}">` +
          `${escaped(formatted(value, figure.unit))}</text>`,
      );
      y += BAR + GAP;
    }
  }
  const height = y + 34;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 ${WIDTH + 24} ${height}" ` +
    `role="img" aria-label="Bellhook beside other ways to build it">
<style>
  text { font: 12px system-ui, sans-serif; fill: #1e293b; }
  .title { font-weight: 600; } .name { text-anchor: end; } .caption { font-size: 10px; }
</style>
<rect x="-12" width="${WIDTH + 24}" height="${height}" fill="#ffffff"/>
${parts.join("\n")}
<text x="0" y="${height - 10}" class="caption">${escaped(caption)}</text>
</svg>
`;
}

function titleOf({ title, better }: Figure): string {
  return `${title} (${better === "more" ? "longer" : "shorter"} is better)`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
