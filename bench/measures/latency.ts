import { usageOf, watchMemory } from "../processes/proc.ts";
import { pause } from "../processes/waiting.ts";
import type { System } from "../systems/system.ts";
import type { Rig, Workbench } from "../workbench.ts";
import {
  EVERYONE,
  type Figures,
  type Measure,
  PER_SECOND,
  type Size,
  SUBSCRIPTIONS,
} from "./measure.ts";

const WARM_UP_SECONDS = 2;
const IDLE_MS = 1_000;

/** From the post of an event to its arrival, at a steady pace. */
export const pace: Measure = {
  name: "pace",
  systems: EVERYONE,
  async measure(bench, system, size) {
    await using rig = await bench.rig(system, common(bench, size));
    await pause(IDLE_MS);
    const idle = usageOf(rig.running.pids()).residentBytes;
    const peakMemory = watchMemory(rig.running.pids);
    const { p50Ms, p99Ms } = await paced(rig, size);
    return {
      "pace.p50Ms": p50Ms,
      "pace.p99Ms": p99Ms,
      "memory.idleBytes": idle,
      "memory.pacedBytes": peakMemory(),
    };
  },
};

/** The same on a disk whose fsync takes 2 ms. */
export const slowFsync: Measure = {
  name: "slow-fsync",
  systems: ["bellhook", "bullmq", "pgboss"],
  async measure(bench, system, size) {
    await using rig = await bench.rig(system, {
      ...common(bench, size),
      slowFsync: true,
    });
    const { p50Ms, p99Ms } = await paced(rig, size);
    return { "slowFsync.p50Ms": p50Ms, "slowFsync.p99Ms": p99Ms };
  },
};

/** Receivers that take a request and never answer, beside ones that do. */
export const noisyNeighbour: Measure = {
  name: "noisy-neighbour",
  systems: ["bellhook", "bullmq", "pgboss"],
  async measure(bench, system, size) {
    const quiet = await besideHanging(0, { bench, system, size });
    const one = await besideHanging(1, { bench, system, size });
    const ten = await besideHanging(10, { bench, system, size });
    return {
      "noisy.quietP99Ms": quiet.p99Ms,
      "noisy.oneP99Ms": one.p99Ms,
      "noisy.oneDelivered": one.delivered,
      "noisy.tenP99Ms": ten.p99Ms,
      "noisy.tenDelivered": ten.delivered,
    };
  },
};

const NEIGHBOURS = 50;
/** How long after the last post a healthy receiver may have to wait. */
const HEALTHY_LIMIT_SECONDS = 5;

/** The 99th percentile of the healthy receivers, and the share of their events that came. */
async function besideHanging(
  count: number,
  { bench, system, size }: { bench: Workbench; system: System; size: Size },
): Promise<{ p99Ms: number; delivered: number }> {
  const subscriptions = bench.subscriptions(NEIGHBOURS);
  await using rig = await bench.rig(system, {
    subscriptions,
    events: eventsFor(size),
  });
  await warmUp(rig);
  const from = rig.next;
  await bench.receiver.ask("behave", {
    hanging: Array.from({ length: count }, (_, i) => i),
  });
  await rig.pace({ perSecond: PER_SECOND, seconds: size.paceSeconds });
  let healthy = 0;
  for (let seq = 0; seq < rig.next; seq++) {
    if (seq < from || seq % NEIGHBOURS >= count) healthy++;
  }
  await bench.receiver.ask("wait", {
    count: healthy,
    limitMs: HEALTHY_LIMIT_SECONDS * 1_000,
  });
  const { p99Ms, times, arrived } = await rig.report({ from });
  await rig.check({ missing: rig.due - arrived });
  // Nobody waits for the hanging ones' deadlines.
  await rig.running.kill();
  return { p99Ms, delivered: times / (healthy - from) };
}

async function paced(
  rig: Rig,
  size: Size,
): Promise<Record<"p50Ms" | "p99Ms", number> & Figures> {
  await warmUp(rig);
  const from = rig.next;
  await rig.pace({ perSecond: PER_SECOND, seconds: size.paceSeconds });
  await rig.settled(60);
  const { p50Ms, p99Ms } = await rig.report({ from });
  await rig.check();
  return { p50Ms, p99Ms };
}

async function warmUp(rig: Rig): Promise<void> {
  await rig.pace({ perSecond: PER_SECOND, seconds: WARM_UP_SECONDS });
  await rig.settled(60);
}

function common(bench: Workbench, size: Size) {
  return {
    subscriptions: bench.subscriptions(SUBSCRIPTIONS),
    events: eventsFor(size),
  };
}

/** Chance makes the number of posts; so many they never are. */
function eventsFor({ paceSeconds }: Size): number {
  return 2 * PER_SECOND * (paceSeconds + WARM_UP_SECONDS) + 1_000;
}
