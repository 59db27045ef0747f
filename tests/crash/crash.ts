/**
 * `deno task crash`: a real daemon, killed with -9 at random moments while it is posted to, `--rounds N`
 * times over, with a fresh database every 20 of them. `--seed N` takes other chances.
 */
import { parseArgs } from "node:util";
import { crashGround } from "./crash_ground.ts";

const ROUNDS_EACH = 20;

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "40" }, seed: { type: "string", default: "1" } },
});
const rounds = Number(values.rounds);
const total: Record<string, number> = { rounds: 0 };
let faults = 0;
for (let seed = Number(values.seed); total.rounds! < rounds; seed++) {
  const own = Math.min(ROUNDS_EACH, rounds - total.rounds!);
  const { killed, faults: found, ...report } = await crashGround({ rounds: own, seed });
  for (const sentence of found.slice(0, 20)) console.error(`seed ${seed}: ${sentence}`);
  faults += found.length;
  add("rounds", own);
  for (const [moment, count] of Object.entries(killed)) add(`killedWhile_${moment}`, count);
  for (const [name, count] of Object.entries(report)) add(name, count);
  console.error(`${total.rounds} rounds so far, ${faults} faults`);
}
console.log(JSON.stringify({ ...total, faults }));
if (faults > 0) Deno.exitCode = 1;

function add(name: string, count: number): void {
  total[name] = (total[name] ?? 0) + count;
}
