import { usageOf } from "../processes/proc.ts";
import { say } from "../report/say.ts";
import { bellhook } from "../systems/bellhook.ts";
import { type Rig, Workbench } from "../workbench.ts";
import { fillMonth } from "./fill_month.ts";
import { type PageTime, timePages } from "./page_times.ts";
import { followedBy, watchTail } from "./tail.ts";

const SUBSCRIPTIONS = 60;
const LIMIT_MS = 300;
const PER_SECOND = 1_000;
/** The longest time that feels instant. */
const CLICK_MS = 100;

interface Scale {
  readonly deliveries: number;
  readonly times: number;
  readonly tailSeconds: number;
}

const FULL: Scale = { deliveries: 5_000_000, times: 15, tailSeconds: 20 };
const QUICK: Scale = { deliveries: 100_000, times: 5, tailSeconds: 8 };

/**
 * Measures the dashboard's screens with a month of deliveries in the database, and a page with live
 * updates. True if every screen is quick and the page stays responsive.
 */
export async function dashboard(
  { isQuick, folder }: { isQuick: boolean; folder: string | undefined },
): Promise<boolean> {
  await using bench = await Workbench.open({ folder });
  const scale = isQuick ? QUICK : FULL;
  await using rig = await bench.rig(bellhook, {
    subscriptions: bench.subscriptions(SUBSCRIPTIONS),
    events: 2_000_000,
  });
  await rig.flood({ seconds: 10, count: 5 * SUBSCRIPTIONS });
  await rig.settled(30);
  await rig.running.stop();
  say(`filling the database with ${scale.deliveries} deliveries`);
  fillMonth(`${rig.folder}/data/bellhook.db`, {
    deliveries: scale.deliveries,
    until: Date.now(),
  });
  await rig.running.restart();
  say("opening every screen");
  const base = new URL(rig.running.url).origin;
  const pages = await timePages({ base, pids: rig.running.pids(), times: scale.times });
  console.log(pagesTable(pages));
  const isQuickEnough = pages.every(({ medianMs }) => medianMs < LIMIT_MS);
  return await tail(rig, { base, seconds: scale.tailSeconds }) && isQuickEnough;
}

function pagesTable(pages: readonly PageTime[]): string {
  const line = (...cells: string[]) =>
    cells.map((cell, column) => column === 1 ? cell.padEnd(46) : cell.padStart(10)).join("").trim();
  return [
    line("", "screen", "median", "worst", "CPU", "size"),
    ...pages.map(({ screen, medianMs, worstMs, cpuMs, kilobytes }) =>
      (medianMs < LIMIT_MS ? "    " : "NO  ") +
      line(
        "",
        screen,
        `${medianMs.toFixed(0)} ms`,
        `${worstMs.toFixed(0)} ms`,
        `${cpuMs.toFixed(0)} ms`,
        `${kilobytes.toFixed(0)} kB`,
      )
    ),
  ].join("\n");
}

/** Compares the daemon under load with and without a page that follows the list. */
async function tail(
  rig: Rig,
  { base, seconds }: { base: string; seconds: number },
): Promise<boolean> {
  const list = `${base}/dashboard/deliveries`;
  say(`${PER_SECOND} deliveries a second, nobody looking`);
  await paced(rig, 2);
  const alone = await paced(rig, seconds);
  say("the same followed, by a client that shows nothing");
  const followed = await followedBy(list, () => paced(rig, seconds));
  say("the same followed in a browser");
  await using page = await watchTail(list);
  page?.begin();
  const watched = page && await paced(rig, seconds);
  const told = await page?.end();
  const row = (what: string, name: keyof typeof alone) =>
    `    ${what.padEnd(40)}` + [alone, followed, watched]
      .map((one) => (one ? ms(one[name]) : "–").padStart(14)).join("");
  const heads = ["nobody", "followed", "in a browser"].map((head) => head.padStart(14)).join("");
  console.log([
    `    ${`live tail at ${PER_SECOND}/s`.padEnd(40)}${heads}`,
    row("post to answer, p50", "p50Ms"),
    row("post to answer, p99", "p99Ms"),
    row("delivered within, p99", "arrivalP99Ms"),
    row("CPU of the daemon, a delivery", "cpuMs"),
  ].join("\n"));
  if (!told) {
    console.log("    the browser was left out: there is no Chromium");
    return true;
  }
  console.log(
    `    in the browser a click is shown after ${ms(told.clickMs)} (median), the longest task ` +
      `took ${ms(told.longestTaskMs)}, the list was shown anew ${told.swaps} times`,
  );
  return told.clickMs < CLICK_MS;
}

async function paced(rig: Rig, seconds: number) {
  const from = rig.next, cpuBefore = usageOf(rig.running.pids()).cpuSeconds;
  const posted = await rig.pace({ perSecond: PER_SECOND, seconds });
  // Not settled(): the month's pending deliveries stay pending.
  if (!await rig.arrived(60)) throw new Error("not everything arrived");
  const cpuSeconds = usageOf(rig.running.pids()).cpuSeconds - cpuBefore;
  const answers = [...posted.answerMs].sort((a, b) => a - b);
  return {
    p50Ms: answers[answers.length >> 1]!,
    p99Ms: answers[Math.floor(answers.length * 0.99)]!,
    arrivalP99Ms: (await rig.report({ from })).p99Ms,
    cpuMs: cpuSeconds / posted.accepted * 1_000,
  };
}

function ms(value: number): string {
  return `${value.toFixed(value < 1 ? 2 : 1)} ms`;
}
