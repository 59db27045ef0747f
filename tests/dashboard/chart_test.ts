import { assert, assertEquals } from "@std/assert";
import { chartChoice } from "../../src/http/dashboard/chart.tsx";
import { scaleFor } from "../../src/http/dashboard/scale.ts";
import { statisticsOf } from "../../src/http/dashboard/statistics.ts";
import { MemoryOutbox } from "../../src/outbox/memory/memory_outbox.ts";
import { accepted, aDelivery, aNewEvent, delivered, NOON } from "../outbox/building.ts";
import { fc } from "../support/properties.ts";

Deno.test("scaleFor(): round numbers from 0, in few equal steps, and the highest bar fits", () => {
  assertEquals(scaleFor(0), [0, 1]);
  assertEquals(scaleFor(1), [0, 1]);
  assertEquals(scaleFor(47), [0, 10, 20, 30, 40, 50]);
  assertEquals(scaleFor(1_204), [0, 500, 1_000, 1_500]);
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (highest) => {
    const scale = scaleFor(highest), step = scale[1]!;
    assert(scale.length >= 2 && scale.length <= 6, `${scale}`);
    assert(scale.at(-1)! >= highest && scale.at(-1)! - step < highest);
    assert(scale.every((value, index) => value === index * step));
    assert(/^[125]0*$/.test(String(step)), `${step} is no round number`);
  }));
});

Deno.test("chartChoice(): what the address asks for, as far as it makes sense", () => {
  const spans = ["day", "week"] as const;
  assertEquals(chartChoice({ span: "week", show: "failed,nonsense" }, spans), {
    span: "week",
    kinds: ["failed"],
  });
  const preset = { span: "day" as const, kinds: ["delivered", "retrying", "failed"] as const };
  assertEquals(chartChoice({ span: "hour", show: "nothing" }, spans), preset);
  assertEquals(chartChoice({}, spans), preset);
});

Deno.test("statisticsOf(): each bar has the answer times of its own slots", async () => {
  const outbox = new MemoryOutbox();
  for (const [at, durationMs] of [[0, 10], [0, 20], [5, 400]] as const) {
    const deliveries = [aDelivery({ claim: true })];
    const startedAt = NOON + at * 3_600_000;
    const enqueued = await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: startedAt });
    const recording = delivered(accepted(enqueued).claims[0]!, startedAt + durationMs);
    await outbox.record({
      ...recording,
      attempt: { ...recording.attempt, startedAt, durationMs },
    });
  }
  const { bars, p95 } = await statisticsOf(outbox, { span: "day", now: NOON + 6 * 3_600_000 });
  const timed = bars.filter((bar) => bar.p95 !== undefined);
  assertEquals(timed.map(({ startsAt }) => startsAt - NOON), [0, 5 * 3_600_000]);
  assert(timed[0]!.p95! <= 25 && timed[1]!.p50! > 350, JSON.stringify(timed));
  assert(p95! > 300);
  await outbox.close();
});
