import type { Rig } from "../workbench.ts";
import { MANY_EVENTS, type Measure, PATIENCE_SECONDS, SUBSCRIPTIONS } from "./measure.ts";

/** Publishers that post arrays of small events as fast as they are answered. */
const CONNECTIONS = 4;

/** Arrays of events: how many are accepted a second, and how many delivered meanwhile. */
export const batches: Measure = {
  name: "batches",
  systems: ["bellhook"],
  async measure(bench, system, size) {
    const figures: Record<string, number> = {};
    for (const batch of [100, 1_000]) {
      await using rig = await bench.rig(system, {
        subscriptions: bench.subscriptions(SUBSCRIPTIONS),
        events: MANY_EVENTS,
      });
      await rig.flood({ seconds: 30, count: size.warmUpEvents });
      await rig.settled(PATIENCE_SECONDS);
      const before = (await rig.report()).arrived;
      const accepted = await acceptedPerSecond(rig, batch, size.floodSeconds);
      const delivered = (await rig.report()).arrived - before;
      figures[`batches${batch}.acceptedPerSecond`] = accepted;
      figures[`batches${batch}.deliveredPerSecond`] = delivered / size.floodSeconds;
      await rig.settled(PATIENCE_SECONDS);
      await rig.check();
      await rig.running.hold();
      figures[`batches${batch}.heldPerSecond`] = await acceptedPerSecond(
        rig,
        batch,
        size.floodSeconds / 2,
      );
    }
    return figures;
  },
};

async function acceptedPerSecond(rig: Rig, batch: number, seconds: number): Promise<number> {
  const posted = await rig.flood({ seconds, batch, isSmall: true, connections: CONNECTIONS });
  return posted.accepted / (posted.endedAt - posted.startedAt) * 1_000;
}
