import { assert, assertEquals } from "@std/assert";
import { assertLawsKept, SEEDS } from "./keeping_the_laws.ts";
import { simulate } from "./simulation.ts";

Deno.test("simulation: the same seed gives the same run", async () => {
  const [first, again, other] = [await simulate(7), await simulate(7), await simulate(8)];
  assertEquals(first.digest, again.digest);
  assert(first.digest !== other.digest);
});

// Two files share the seeds, because files run in parallel.
Deno.test(`simulation: seeds 1 to ${SEEDS / 2} keep every law`, async () => {
  await assertLawsKept({ from: 1, to: SEEDS / 2 });
});

Deno.test(`simulation: seeds 1 to ${SEEDS} keep every law on the outbox in memory`, async () => {
  await assertLawsKept({ from: 1, to: SEEDS }, { isInMemory: true });
});
