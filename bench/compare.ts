import { batches } from "./measures/batches.ts";
import { crash, crashWithMillion } from "./measures/crash.ts";
import { noisyNeighbour, pace, slowFsync } from "./measures/latency.ts";
import { measureLimits } from "./measures/limits.ts";
import { type Measure, type Size } from "./measures/measure.ts";
import { drain, fanOut, ingest, receivers, steady, tls } from "./measures/throughput.ts";
import { fillMemory } from "./processes/memory.ts";
import { judge } from "./report/bar.ts";
import { describeMachine, formatMachine, type Machine } from "./report/machine.ts";
import { formatMarkdown } from "./report/markdown.ts";
import { Results } from "./report/results.ts";
import { drawSvg } from "./report/svg.ts";
import { formatReport } from "./report/table.ts";
import { say } from "./report/say.ts";
import type { System } from "./systems/system.ts";
import { Workbench } from "./workbench.ts";

/** All measures by name, in the order in which they run. */
export const MEASURES: readonly Measure[] = [
  ingest,
  steady,
  drain,
  pace,
  slowFsync,
  fanOut,
  receivers,
  batches,
  tls,
  noisyNeighbour,
  crash,
  crashWithMillion,
];

export interface Comparison {
  readonly systems: readonly System[];
  readonly measures: readonly Measure[];
  readonly size: Size;
  /** A folder on the disk to measure. */
  readonly folder: string | undefined;
  /** After this time no further measure starts. */
  readonly minutes: number;
  /** Whether to print the table as Markdown. */
  readonly markdown: boolean;
}

/**
 * Runs every measure of every system, round by round, so that other load on the machine affects all
 * alike. Prints the report and writes it to `results/`. True if all requirements are met.
 */
export async function compare(
  { systems, measures, size, folder, minutes, markdown }: Comparison,
): Promise<boolean> {
  const endsAtMs = performance.now() + minutes * 60_000;
  await using bench = await Workbench.open({ folder });
  const machine = await describeMachine(bench.folder);
  say(formatMachine(machine));
  const results = new Results();
  for (let round = 1; round <= size.rounds; round++) {
    if (!size.isQuick && performance.now() <= endsAtMs) {
      say("fills the memory, as it is on a machine that has run for a day");
      fillMemory(bench.folder);
    }
    if (round === 1) results.add("limits", await measureLimits(bench, size));
    for (const measure of measures) {
      if (performance.now() > endsAtMs) {
        say(`round ${round} of ${size.rounds}: ${measure.name} is left out, the time is over`);
        continue;
      }
      for (const system of systems) {
        if (!measure.systems.includes(system.name)) continue;
        say(`round ${round} of ${size.rounds}: ${measure.name}, ${system.name}`);
        try {
          results.add(system.name, await measure.measure(bench, system, size));
        } catch (error) {
          say(`failed: ${error}`);
          results.fail(system.name, measure.name, error);
        }
        // After each measure, so that an aborted run keeps its results.
        writeResults({ results, machine, size });
      }
    }
  }
  const judged = judge(results);
  console.log(formatReport(results, judged));
  if (markdown) console.log(`\n${formatMarkdown(results, captionOf(machine, size))}`);
  return results.failures.length === 0 && judged.every(({ holds }) => holds);
}

function writeResults(
  { results, machine, size }: { results: Results; machine: Machine; size: Size },
): void {
  const at = new Date().toISOString();
  const { failures } = results;
  const all = { at, machine, size, results, bar: judge(results), failures };
  write("latest.json", JSON.stringify(all, null, 2) + "\n");
  const caption = captionOf(machine, size);
  write("latest.svg", drawSvg(results, caption));
  write("latest.md", formatMarkdown(results, caption));
}

function captionOf(machine: Machine, { rounds }: Size): string {
  const today = new Date().toISOString().slice(0, 10);
  return `${today}, median of ${rounds}: ${formatMachine(machine)}`;
}

function write(name: string, text: string): void {
  const folder = new URL("./results/", import.meta.url);
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(new URL(name, folder), text);
}
