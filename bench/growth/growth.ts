import { BATCH_ROWS } from "../../src/dispatch/retention.ts";
import { now } from "../load/event.ts";
import { median } from "../load/statistics.ts";
import { usageOf, watchMemory } from "../processes/proc.ts";
import { pause } from "../processes/waiting.ts";
import { say } from "../report/say.ts";
import { bellhook } from "../systems/bellhook.ts";
import { type Rig, Workbench } from "../workbench.ts";
import { multiplyRows } from "./multiply_rows.ts";
import { timeStore } from "./store_times.ts";

const SUBSCRIPTIONS = 10;
const EVENTS = 2_000_000;
const HOUR_MS = 3_600_000;

interface Scale {
  readonly finished: readonly number[];
  readonly pending: number;
  readonly overdue: number;
  readonly old: number;
  readonly subscriptions: readonly number[];
  readonly seconds: number;
}

const FULL: Scale = {
  finished: [0, 1_000_000, 10_000_000],
  pending: 1_000_000,
  overdue: 10_000,
  old: 400_000,
  subscriptions: [10, 1_000, 50_000],
  seconds: 3,
};

const QUICK: Scale = {
  finished: [0, 100_000],
  pending: 100_000,
  overdue: 1_000,
  old: 100_000,
  subscriptions: [10, 1_000],
  seconds: 1,
};

/** A line of the report: the measure, its subject, and the limit if there is one. */
interface Line {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly bar?: {
    readonly bound: "atLeast" | "atMost";
    readonly limit: number;
  };
}

/** Measures Bellhook with a large database or config. True if all limits are met. */
export async function growth(
  { isQuick, folder }: { isQuick: boolean; folder: string | undefined },
): Promise<boolean> {
  await using bench = await Workbench.open({ folder });
  const scale = isQuick ? QUICK : FULL;
  const lines = [
    ...await byRows(bench, scale),
    ...await byPruning(bench, scale),
    ...await bySubscriptions(bench, scale),
  ];
  for (const line of lines) console.log(formatted(line));
  const path = new URL("../results/growth.json", import.meta.url);
  Deno.mkdirSync(new URL(".", path), { recursive: true });
  Deno.writeTextFileSync(
    path,
    JSON.stringify({ scale, lines }, null, 2) + "\n",
  );
  return lines.every(holds);
}

/** Adds more and more finished deliveries to a database, finally a million pending ones as well. */
async function byRows(bench: Workbench, scale: Scale): Promise<Line[]> {
  await using rig = await bench.rig(bellhook, common(bench));
  await rig.flood({ seconds: 10, count: SUBSCRIPTIONS });
  await rig.settled(30);
  const lines: Line[] = [];
  let grown = 0, whenEmpty: number | undefined;
  for (const count of scale.finished) {
    await rig.running.stop();
    say(`filling the database to ${count} finished deliveries`);
    multiplyRows(database(rig), {
      finished: { count: count - grown, at: Date.now() - HOUR_MS },
    });
    grown = count;
    const readyMs = await timedRestart(rig);
    const under = await underLoad(rig, scale.seconds);
    whenEmpty ??= under.perSecond;
    const on = `${spaced(count)} finished`;
    lines.push(
      line(`${on}: start to ready`, readyMs, "ms"),
      line(`${on}: steady`, under.perSecond, "/s", {
        atLeast: 0.75 * whenEmpty,
      }),
      line(`${on}: 99th percentile at 500/s`, under.p99Ms, "ms"),
      line(`${on}: memory`, under.memory / 1e6, "MB"),
    );
  }
  return [...lines, ...await withPending(bench, rig, scale)];
}

async function withPending(
  bench: Workbench,
  rig: Rig,
  scale: Scale,
): Promise<Line[]> {
  await rig.running.stop();
  say(`filling the database with ${scale.pending} pending deliveries`);
  const dueAt = Date.now() + 3 * HOUR_MS;
  multiplyRows(database(rig), { pending: { count: scale.pending, dueAt } });
  const times = await timeStore(database(rig), {
    now: dueAt,
    claim: 256,
    prune: 0,
  });
  multiplyRows(database(rig), {
    pending: { count: scale.overdue, dueAt: Date.now() - HOUR_MS },
  });
  await bench.receiver.ask("mark", { at: now() });
  const startedAt = now();
  const readyMs = await timedRestart(rig);
  while ((await rig.report()).firstAt === 0) await pause(5);
  const { firstAt } = await rig.report();
  const on = `${spaced(scale.pending)} pending`;
  return [
    line(`${on}: start to ready`, readyMs, "ms", { atMost: 1_000 }),
    line(
      `${on}: start to the first overdue attempt`,
      firstAt - startedAt,
      "ms",
      {
        atMost: 2_000,
      },
    ),
    line(`${on}: a claim of 256, 99th percentile`, times.claimP99Ms, "ms", {
      atMost: 5,
    }),
    line(
      `${on}: memory`,
      usageOf(rig.running.pids()).residentBytes / 1e6,
      "MB",
      { atMost: 260 },
    ),
  ];
}

/** How fast retention is, and how it slows down publishers. */
async function byPruning(bench: Workbench, scale: Scale): Promise<Line[]> {
  await using rig = await bench.rig(bellhook, {
    ...common(bench),
    storage: { keepDelivered: "1h", keepExhausted: "1h" },
  });
  await rig.flood({ seconds: 10, count: SUBSCRIPTIONS });
  await rig.settled(30);
  await rig.running.stop();
  multiplyRows(database(rig), {
    finished: { count: scale.old, at: Date.now() - 2 * HOUR_MS },
  });
  const times = await timeStore(database(rig), {
    now: Date.now(),
    claim: 0,
    prune: BATCH_ROWS,
  });
  await rig.running.restart();
  const startedAt = now();
  await rig.flood({ seconds: scale.seconds });
  await rig.settled(60);
  const before = await underLoad(rig, 2 * scale.seconds);
  const rowsBefore = await finishedRows(rig);
  // The daemon's first round begins a minute after its start.
  await pause(Math.max(0, FIRST_ROUND_MS - (now() - startedAt)));
  const pruningAt = now();
  const during = await underLoad(rig, 2 * scale.seconds);
  const seconds = (now() - pruningAt) / 1_000;
  const gone = rowsBefore + during.deliveries - await finishedRows(rig);
  return [
    line("pruning: steady without", before.perSecond, "/s"),
    line("pruning: steady meanwhile", during.perSecond, "/s", {
      atLeast: 0.9 * before.perSecond,
    }),
    line("pruning: deliveries taken away", gone / seconds, "/s"),
    line("pruning: a batch, 99th percentile", times.pruneP99Ms, "ms", {
      atMost: 20,
    }),
  ];
}

const FIRST_ROUND_MS = 61_000;

async function finishedRows(rig: Rig): Promise<number> {
  const base = rig.running.url.replace(/\/events$/, "");
  const response = await fetch(`${base}/subscriptions?limit=500`);
  const { items } = await response.json() as {
    items: { counts: { delivered: number } }[];
  };
  return items.reduce((sum, { counts }) => sum + counts.delivered, 0);
}

/** Adds more and more subscriptions; each event matches one. */
async function bySubscriptions(
  bench: Workbench,
  scale: Scale,
): Promise<Line[]> {
  const lines: Line[] = [];
  let withFew: number | undefined;
  for (const count of scale.subscriptions) {
    const subscriptions = bench.subscriptions(count);
    await using rig = await bench.rig(bellhook, {
      ...common(bench),
      subscriptions,
      types: Math.min(count, TYPES),
    });
    await rig.flood({ seconds: 20, count: 2_000 });
    await rig.settled(60);
    const readyMs = await stoppedAndStarted(rig);
    const under = await underLoad(rig, scale.seconds);
    withFew ??= under.perSecond;
    const on = `${spaced(count)} subscriptions`;
    lines.push(
      line(`${on}: start to ready`, readyMs, "ms"),
      line(`${on}: steady`, under.perSecond, "/s", { atLeast: 0.8 * withFew }),
      line(`${on}: 99th percentile at 500/s`, under.p99Ms, "ms"),
      line(`${on}: memory`, under.memory / 1e6, "MB"),
    );
  }
  return lines;
}

/** How many of the subscriptions get events; the others are idle. */
const TYPES = 100;

/** Seconds of each run. Medians of several runs ignore a disk that once stalls. */
async function underLoad(rig: Rig, seconds: number) {
  const peakMemory = watchMemory(rig.running.pids);
  const warmUp = await rig.flood({ seconds: 1 });
  await rig.settled(60);
  const before = rig.due;
  const perSecond: number[] = [], p99Ms: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const posted = await rig.flood({ seconds });
    await rig.settled(60);
    perSecond.push(posted.accepted / (now() - posted.startedAt) * 1_000);
    const from = rig.next;
    await rig.pace({ perSecond: 500, seconds });
    await rig.settled(60);
    p99Ms.push((await rig.report({ from })).p99Ms);
  }
  await rig.check({ repeats: true });
  const deliveries = rig.due - before + warmUp.accepted;
  return { perSecond: median(perSecond), p99Ms: median(p99Ms), memory: peakMemory(), deliveries };
}

const RUNS = 5;

async function stoppedAndStarted(rig: Rig): Promise<number> {
  await rig.running.stop();
  return await timedRestart(rig);
}

async function timedRestart(rig: Rig): Promise<number> {
  const startedAt = now();
  await rig.running.restart();
  return now() - startedAt;
}

function common(bench: Workbench) {
  return { subscriptions: bench.subscriptions(SUBSCRIPTIONS), events: EVENTS };
}

function database(rig: Rig): string {
  return `${rig.folder}/data/bellhook.db`;
}

function line(
  what: string,
  value: number,
  unit: string,
  bar?: { atLeast: number } | { atMost: number },
): Line {
  if (bar === undefined) return { what, value, unit };
  const [bound, limit] = Object.entries(bar)[0] as [
    "atLeast" | "atMost",
    number,
  ];
  return { what, value, unit, bar: { bound, limit } };
}

function holds({ value, bar }: Line): boolean {
  return !bar ||
    (bar.bound === "atLeast" ? value >= bar.limit : value <= bar.limit);
}

function formatted(one: Line): string {
  const { what, value, unit, bar } = one;
  const verdict = bar ? holds(one) ? "yes" : "NO" : "";
  const limit = bar
    ? `  ${bar.bound === "atLeast" ? "at least" : "at most"} ${bar.limit.toFixed(0)} ${unit}`
    : "";
  return `${verdict.padEnd(4)}${what.padEnd(56)}${value.toFixed(1).padStart(12)} ${unit}${limit}`;
}

function spaced(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, " ");
}
