import { assert, assertEquals } from "@std/assert";
import { chanceOf, HOUSE_LADDER, isWithin, waitAfter } from "../../src/domain/ladder.ts";
import { fc } from "../support/properties.ts";

const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

Deno.test("waitAfter(): the house ladder is 1 m, 5 m, 30 m, 2 h, 24 h and then its end", () => {
  const waits = [1, 2, 3, 4, 5, 6].map((attempt) =>
    waitAfter(attempt, HOUSE_LADDER, { jitter: 0, chance: 0.9 })
  );
  assertEquals(waits, [60_000, 300_000, 1_800_000, 7_200_000, 86_400_000, undefined]);
});

Deno.test("waitAfter(): jitter only ever adds, and at most its share", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 10 ** 9 }), { minLength: 1 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      chances,
      (waitsMs, jitter, chance) => {
        for (const [index, rungMs] of waitsMs.entries()) {
          const waitMs = waitAfter(index + 1, { waitsMs }, { jitter, chance })!;
          assert(waitMs >= rungMs && waitMs <= rungMs * (1 + jitter) && Number.isInteger(waitMs));
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("isWithin(): a ladder that goes on ends after its length", () => {
  const ladder = { ...HOUSE_LADDER, thenEveryMs: 86_400_000, forMs: 30 * 86_400_000 };
  assertEquals(waitAfter(6, ladder, { jitter: 0, chance: 0 }), 86_400_000);
  assertEquals(isWithin(ladder, 1_000, 1_000 + 30 * 86_400_000), true);
  assertEquals(isWithin(ladder, 1_000, 1_001 + 30 * 86_400_000), false);
});

Deno.test("chanceOf(): is the same for the same attempt and spreads over neighbours", () => {
  assertEquals(chanceOf("dlv_1", 1), chanceOf("dlv_1", 1));
  const tenths = new Set<number>();
  let sum = 0;
  for (let i = 0; i < 1_000; i++) {
    const chance = chanceOf(`dlv_01HZX000000000000000000${i}`, 1);
    assert(chance >= 0 && chance < 1);
    tenths.add(Math.floor(chance * 10));
    sum += chance;
  }
  assertEquals(tenths.size, 10);
  assert(Math.abs(sum / 1_000 - 0.5) < 0.05);
});
