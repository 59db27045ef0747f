/**
 * `deno task power-loss`: records what a real daemon's disk sees, and rebuilds the disk as a power
 * failure would have left it, `--images N` times, with a new recording every 1 000 of them. `--seed N`
 * takes other chances.
 */
import { parseArgs } from "node:util";
import { failPower } from "./power_failures.ts";
import { MOVES_THE_JOURNAL, record } from "./recording.ts";

const IMAGES_EACH = 1_000;

const { values } = parseArgs({
  options: { images: { type: "string", default: "1000" }, seed: { type: "string", default: "1" } },
});
const wanted = Number(values.images);
const total = {
  recordings: 0,
  writes: 0,
  syncs: 0,
  accepted: 0,
  images: 0,
  withEvents: 0,
  served: 0,
};
let faults = 0;
for (let seed = Number(values.seed); total.images < wanted; seed++) {
  // In every second recording, checkpoints occur.
  const steps = await record({
    seed,
    ...(seed % 2 === 0 ? { requests: 300, filler: MOVES_THE_JOURNAL } : { requests: 500 }),
  });
  const count = (kind: string) => steps.filter((step) => step.kind === kind).length;
  total.recordings++;
  total.writes += count("write");
  total.syncs += count("synced");
  for (const step of steps) if (step.kind === "accepted") total.accepted += step.events.length;
  const images = Math.min(IMAGES_EACH, wanted - total.images);
  const failures = await failPower(steps, { images, seed, serveEvery: 200 });
  total.images += images;
  total.withEvents += failures.withEvents;
  total.served += failures.served;
  faults += failures.faults.length;
  for (const sentence of failures.faults.slice(0, 20)) console.error(`seed ${seed}, ${sentence}`);
  console.error(`${total.images} images so far, ${faults} faults`);
}
console.log(JSON.stringify({ ...total, faults }));
if (faults > 0) Deno.exitCode = 1;
