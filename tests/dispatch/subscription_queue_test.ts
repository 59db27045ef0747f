import { assert, assertEquals } from "@std/assert";
import { SubscriptionQueue } from "../../src/dispatch/subscription_queue.ts";
import { fc } from "../support/properties.ts";

Deno.test("queue: the rate limit never lets more than its count start within its length", () => {
  fc.assert(
    fc.property(
      fc.record({
        count: fc.integer({ min: 1, max: 20 }),
        perMs: fc.integer({ min: 1, max: 1_000 }),
      }),
      fc.array(fc.nat(50), { maxLength: 300 }),
      (limit, waits) => {
        const queue = new SubscriptionQueue("a");
        const starts: number[] = [];
        let now = 1_000;
        for (const waitMs of waits) {
          now += waitMs;
          if (queue.paceAt(limit) > now) continue;
          queue.noteStart(limit, now);
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

Deno.test("queue: without a rate limit it can always start", () => {
  const queue = new SubscriptionQueue("a");
  const limit = { count: 1, perMs: 1_000 };
  queue.noteStart(limit, 1);
  assertEquals(queue.paceAt(limit), 1_001);
  assertEquals(queue.paceAt(undefined), 0);
  queue.forgetStarts();
  assertEquals(queue.paceAt(limit), 0);
});
