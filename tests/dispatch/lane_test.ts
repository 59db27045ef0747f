import { assert, assertEquals } from "@std/assert";
import { Lane } from "../../src/dispatch/lane.ts";
import { fc } from "../support/properties.ts";

Deno.test("lane: the rate limit never lets more than its count start within its length", () => {
  fc.assert(
    fc.property(
      fc.record({
        count: fc.integer({ min: 1, max: 20 }),
        perMs: fc.integer({ min: 1, max: 1_000 }),
      }),
      fc.array(fc.nat(50), { maxLength: 300 }),
      (limit, waits) => {
        const lane = new Lane("a");
        const starts: number[] = [];
        let now = 1_000;
        for (const waitMs of waits) {
          now += waitMs;
          if (lane.paceAt(limit) > now) continue;
          lane.noteStart(limit, now);
          starts.push(now);
        }
        for (const [i, at] of starts.entries()) {
          const before = starts[i - limit.count];
          assert(before === undefined || at - before >= limit.perMs);
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("lane: without a rate limit it can always start", () => {
  const lane = new Lane("a");
  const limit = { count: 1, perMs: 1_000 };
  lane.noteStart(limit, 1);
  assertEquals(lane.paceAt(limit), 1_001);
  assertEquals(lane.paceAt(undefined), 0);
  lane.forgetStarts();
  assertEquals(lane.paceAt(limit), 0);
});
