import { assertLawsKept, SEEDS } from "./keeping_the_laws.ts";

const seeds = { from: SEEDS / 2 + 1, to: SEEDS };

Deno.test(`simulation: seeds ${seeds.from} to ${seeds.to} keep every law`, async () => {
  await assertLawsKept(seeds);
});
