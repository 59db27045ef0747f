import { assert, assertEquals } from "@std/assert";
import { chartChoice, scaleFor } from "../../src/http/dashboard/chart.tsx";
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
