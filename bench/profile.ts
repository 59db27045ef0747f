import { cpuProfile } from "./report/cpu_profile.ts";
import { say } from "./report/say.ts";
import type { Measure, Size } from "./measures/measure.ts";
import { withRuntimeArgs } from "./systems/bellhook.ts";
import { Workbench } from "./workbench.ts";

export interface Profiling {
  readonly measures: readonly Measure[];
  readonly size: Size;
  readonly folder: string | undefined;
}

/** Prints where the daemon spends CPU time under each load: functions by their self time. */
export async function profile({ measures, size, folder }: Profiling): Promise<boolean> {
  await using bench = await Workbench.open({ folder });
  for (const measure of measures) {
    const into = `${bench.folder}/profile-${measure.name}`;
    say(`profile of ${measure.name}`);
    const system = withRuntimeArgs(["--cpu-prof", `--cpu-prof-dir=${into}`]);
    const figures = await measure.measure(bench, system, size);
    for (const [name, value] of Object.entries(figures)) console.log(`${name} ${value.toFixed(2)}`);
    // A measure may start the daemon more than once.
    for (const { name } of Deno.readDirSync(into)) {
      console.log(cpuProfile(Deno.readTextFileSync(`${into}/${name}`), { lines: LINES }));
    }
  }
  return true;
}

const LINES = 40;
