import { assertEquals } from "@std/assert";
import { simulate } from "./simulation.ts";

/**
 * How many worlds a run of the suite simulates, its two files taking a half each. They are the same
 * in every run; `deno task simulate` goes through thousands of others.
 */
export const SEEDS = Number(Deno.env.get("BELLHOOK_SEEDS") ?? 200);

/** Fails with the seeds that broke a law, and the laws. */
export async function assertLawsKept(
  seeds: { from: number; to: number },
  { isInMemory = false } = {},
): Promise<void> {
  const broken: string[] = [];
  for (let seed = seeds.from; seed <= seeds.to && broken.length < 10; seed++) {
    const run = await simulate(seed, { isInMemory });
    if (run.broken.length > 0) {
      broken.push(
        `deno task simulate --seed ${seed}${isInMemory ? " --memory" : ""}: ${run.broken[0]}`,
      );
    }
  }
  assertEquals(broken, []);
}
