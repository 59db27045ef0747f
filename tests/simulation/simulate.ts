/**
 * `deno task simulate`: runs the daemon through simulated time, one run a seed, and says which laws
 * were broken. `--seed N` repeats one run and tells it line by line; `--runs N` does so many, from
 * `--from N` on. `--memory`: on the outbox in memory.
 */
import { parseArgs } from "node:util";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    memory: { type: "boolean", default: false },
  },
});

const isInMemory = values.memory;
if (values.seed !== undefined) await tell(Number(values.seed));
else await search(Number(values.from), Number(values.runs));

async function tell(seed: number): Promise<void> {
  const { broken, counts, trace } = await simulate(seed, { traced: true, isInMemory });
  for (const line of trace) console.log(line);
  console.log(JSON.stringify(counts));
  for (const sentence of broken) console.error(`seed ${seed}: ${sentence}`);
  if (broken.length > 0) Deno.exitCode = 1;
}

async function search(from: number, runs: number): Promise<void> {
  const total = { events: 0, deliveries: 0, requests: 0, commits: 0, crashes: 0, simulatedMs: 0 };
  for (let seed = from; seed < from + runs; seed++) {
    const { broken, counts } = await simulate(seed, { isInMemory });
    if ((seed - from) % 1_000 === 999) console.error(`${seed - from + 1} runs so far`);
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name];
    if (broken.length === 0) continue;
    Deno.exitCode = 1;
    console.error(`seed ${seed}: ${broken[0]}`);
  }
  console.log(JSON.stringify({ runs, ...total }));
}
