import { median } from "../load/statistics.ts";
import { cpuMsOf, usageOf } from "../processes/proc.ts";
import { pause } from "../processes/waiting.ts";
import { say } from "../report/say.ts";
import { bellhook, writeCustomers } from "../systems/bellhook.ts";
import { type Rig, Workbench } from "../workbench.ts";

/** How long one more customer may take among so many files, and a neighbour's post meanwhile. */
const BARS = [{ files: 5_000, mostMs: 100 }, { files: 50_000, mostMs: 500 }];
const MOST_WAIT_MS = 20;
const TIMES = 7;
const PER_SECOND = 200;
/** Bellhook reads a file again that was changed so lately, for it might change again unseen. */
const SETTLED_MS = 2_500;

/** How long a reload takes that finds one more file, and who waits for it. True where the bar is met. */
export async function reload(
  { isQuick, folder }: { isQuick: boolean; folder: string | undefined },
): Promise<boolean> {
  let met = true;
  for (const bar of isQuick ? BARS.slice(0, 1) : BARS) {
    await using bench = await Workbench.open({ folder });
    const subscriptions = Array.from({ length: bar.files }, (_, index) => customer(index));
    await using rig = await bench.rig(bellhook, {
      subscriptions,
      included: true,
      events: 100_000,
      types: 1,
    });
    met = await measure(rig, bar) && met;
  }
  say(met ? "the bar is met" : "not met");
  return met;
}

async function measure(
  rig: Rig,
  { files, mostMs }: { files: number; mostMs: number },
): Promise<boolean> {
  const [pid] = rig.running.pids() as [number];
  const started = usageOf([pid]).residentBytes;
  await pause(SETTLED_MS);
  await ask(rig);
  const pacing = rig.pace({ perSecond: PER_SECOND, seconds: 2 });
  const quiet = await pacing;
  const waitedMs: number[] = [];
  const figures: { tookMs: number; cpuMs: number }[] = [];
  for (let time = 0; time < TIMES; time++) {
    writeCustomers(rig.folder, [customer(files + time)]);
    const pacing = rig.pace({ perSecond: PER_SECOND, seconds: 2 });
    await pause(500);
    const before = cpuMsOf(pid);
    const tookMs = await ask(rig);
    figures.push({ tookMs, cpuMs: cpuMsOf(pid) - before });
    waitedMs.push(Math.max(...(await pacing).answerMs));
  }
  const tookMs = median(figures.map((one) => one.tookMs));
  const spelled = (values: number[]) => values.map((value) => value.toFixed(0)).join(" ");
  const grown = usageOf([pid]).residentBytes;
  say(
    `${files} files, one more: ${tookMs.toFixed(0)} ms ` +
      `(${spelled(figures.map((one) => one.tookMs))}), ` +
      `CPU ${median(figures.map((one) => one.cpuMs)).toFixed(0)} ms; ` +
      `a post waits ${Math.max(...quiet.answerMs).toFixed(0)} ms without, ` +
      `${spelled(waitedMs)} beside it; memory ${(started / 1e6).toFixed(0)} MB after the start, ` +
      `${(grown / 1e6).toFixed(0)} after ${TIMES + 1} reloads`,
  );
  return tookMs <= mostMs && median(waitedMs) <= MOST_WAIT_MS;
}

async function ask({ running }: Rig): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(new URL("/-/reload", running.url), { method: "POST" });
  if (!response.ok) throw new Error(`a reload was answered ${response.status}`);
  await response.arrayBuffer();
  return performance.now() - startedMs;
}

function customer(index: number) {
  const name = `customer-${String(index).padStart(6, "0")}`;
  return { id: name, url: `http://127.0.0.1:9/${name}`, type: `reload.${index % 50}` };
}
