import { assertLawsKept } from "./keeping_the_laws.ts";

Deno.test("simulation: seeds 501 to 1000 keep every law", async () => {
  await assertLawsKept({ from: 501, to: 1_000 });
});
