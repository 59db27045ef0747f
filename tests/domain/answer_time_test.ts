import { assert, assertEquals } from "@std/assert";
import { answerTimeBucket, answerTimeQuantile } from "../../src/domain/answer_time.ts";
import { fc } from "../support/properties.ts";

Deno.test("answer times: a quantile is right to a fifth, whatever they are", () => {
  const times = fc.array(fc.integer({ min: 1, max: 120_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(fc.property(times, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, share) => {
    const counts = new Map<number, number>();
    for (const ms of all) {
      const bucket = answerTimeBucket(ms);
      counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    }
    const sorted = all.sort((a, b) => a - b);
    const exact = sorted[Math.ceil(share * sorted.length) - 1]!;
    const found = answerTimeQuantile(counts, share)!;
    assert(Math.abs(found - exact) <= exact * 0.2 + 1, `${found} for ${exact}`);
  }));
});

Deno.test("answer times: none have no quantile, and a power of two ends its own bucket", () => {
  assertEquals(answerTimeQuantile(new Map(), 0.5), undefined);
  assertEquals([0, 1, 2, 4, 8].map(answerTimeBucket), [0, 0, 4, 8, 12]);
});
