/**
 * `deno run -A tests/disk/failing_calls.ts`: fails the first, second … write of a real daemon, and the
 * first, second … fsync, up to the 200th: `--from N`, `--to N`, `--call write`.
 */
import { parseArgs } from "node:util";
import { failOnce } from "./failing_call.ts";
import { buildWatchedDisk } from "./watched_disk.ts";

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    to: { type: "string", default: "200" },
    call: { type: "string" },
  },
});
const folder = await Deno.makeTempDir();
const library = await buildWatchedDisk(folder);
const total: Record<string, number> = { runs: 0, failedToStart: 0, accepted: 0, faults: 0 };
for (const call of ["write", "sync"] as const) {
  if ((values.call ?? call) !== call) continue;
  for (let at = Number(values.from); at <= Number(values.to); at++) {
    const { file, wasReady, accepted, faults } = await failOnce({ library, call, at });
    total.runs!++;
    if (!wasReady) total.failedToStart!++;
    total.accepted! += accepted;
    total.faults! += faults.length;
    total[`${call}_${file}`] = (total[`${call}_${file}`] ?? 0) + 1;
    for (const sentence of faults.slice(0, 5)) {
      console.error(`${call} ${at} (${file}): ${sentence}`);
    }
    if (at % 20 === 0) console.error(`${call} ${at}: ${total.faults} faults so far`);
  }
}
await Deno.remove(folder, { recursive: true });
console.log(JSON.stringify(total));
if (total.faults! > 0) Deno.exitCode = 1;
