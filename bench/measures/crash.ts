import { multiplyRows } from "../growth/multiply_rows.ts";
import { now } from "../load/event.ts";
import { usageOf } from "../processes/proc.ts";
import { pause } from "../processes/waiting.ts";
import type { System } from "../systems/system.ts";
import type { Rig, Workbench } from "../workbench.ts";
import { type Measure, PER_SECOND, type Size, SUBSCRIPTIONS } from "./measure.ts";

/** So that some hundred attempts are under way when the process dies. */
const ANSWER_MS = 200;
const LIMIT_SECONDS = 90;

/** From a kill -9, with a restart at once, to the last delivery that was under way or waiting. */
export const crash: Measure = {
  name: "crash",
  systems: ["bellhook", "bullmq"],
  async measure(bench, system) {
    await using rig = await bench.rig(system, common(bench));
    return { "crash.seconds": await killed(bench, rig) };
  },
};

/** The same with a million deliveries that wait for their next attempt. */
export const crashWithMillion: Measure = {
  name: "crash-million",
  systems: ["bellhook"],
  async measure(bench, system, size) {
    await using rig = await withMillionPending(bench, system, size);
    const memory = usageOf(rig.running.pids()).residentBytes;
    return {
      "crash.millionSeconds": await killed(bench, rig),
      "memory.millionBytes": memory,
    };
  },
};

async function killed(bench: Workbench, rig: Rig): Promise<number> {
  await rig.pace({ perSecond: PER_SECOND, seconds: 2 });
  await rig.arrived(30);
  await bench.receiver.ask("behave", { delayMs: ANSWER_MS });
  const posting = rig.pace({ perSecond: PER_SECOND, seconds: 60 });
  await pause(2_000);
  const killedAt = now();
  await rig.running.kill();
  const goneAt = now();
  await posting;
  await bench.receiver.ask("behave", {});
  await bench.receiver.ask("mark", { at: goneAt });
  await rig.running.restart();
  const complete = await rig.arrived(LIMIT_SECONDS);
  const { lastAt } = await rig.report();
  if (complete) await rig.check({ repeats: true });
  return complete ? (lastAt - killedAt) / 1_000 : LIMIT_SECONDS;
}

async function withMillionPending(
  bench: Workbench,
  system: System,
  size: Size,
): Promise<Rig> {
  const rig = await bench.rig(system, common(bench));
  await rig.flood({ seconds: 10, count: SUBSCRIPTIONS });
  await rig.settled(30);
  await rig.running.stop();
  const inAnHour = Math.floor(now()) + 3_600_000;
  multiplyRows(`${rig.folder}/data/bellhook.db`, {
    pending: { count: size.isQuick ? 100_000 : 1_000_000, dueAt: inAnHour },
  });
  await rig.running.restart();
  return rig;
}

function common(bench: Workbench) {
  return { subscriptions: bench.subscriptions(SUBSCRIPTIONS), events: 50_000 };
}
