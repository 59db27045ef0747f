import { Workbench } from "./workbench.ts";
import { MANY_EVENTS } from "./measures/measure.ts";
import { bellhook } from "./systems/bellhook.ts";
import { usageOf, watchMemory } from "./processes/proc.ts";
const mode = Deno.args[0]!, secs = Number(Deno.args[1] ?? 4);
await using bench = await Workbench.open({ folder: undefined });
await using rig = await bench.rig(bellhook, {
  subscriptions: bench.subscriptions(10),
  events: MANY_EVENTS,
});
await rig.flood({ seconds: 30, count: 8000 });
await rig.settled(60);
if (mode !== "steady") await rig.running.hold();
async function commits() {
  const t = await (await fetch(rig.running.url.replace("/v1/events", "") + "/metrics")).text();
  return Number(/bellhook_commit_duration_seconds_count (\d+)/.exec(t)![1]);
}
function mainThread() {
  const pid = rig.running.pids()[0];
  const f = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/stat`).split(") ")[1]!.split(" ");
  const all = Deno.readTextFileSync("/proc/stat").split("\n")[0]!.split(/ +/).slice(1).map(Number);
  return { main: (Number(f[11]) + Number(f[12])) / 100, idle: (all[3]! + all[4]!) / 100 };
}
const m0 = await commits();
const w0 = mainThread();
const mem = watchMemory(rig.running.pids);
let c0 = usageOf(rig.running.pids()).cpuSeconds, t0 = performance.now();
const p = await rig.flood(
  mode === "drain" ? { seconds: 60, count: 30000, batch: 100, connections: 4 } : { seconds: secs },
);
if (mode === "drain") {
  c0 = usageOf(rig.running.pids()).cpuSeconds, t0 = performance.now();
  await rig.running.resume();
}
if (mode !== "ingest") await rig.settled(60);
const w1 = mainThread(), t1 = performance.now(), c1 = usageOf(rig.running.pids()).cpuSeconds;
console.log(
  (p.accepted / (t1 - t0) * 1000).toFixed(0),
  (1e6 * (c1 - c0) / p.accepted).toFixed(1),
  (mem() / 1e6).toFixed(0),
  (p.accepted / (await commits() - m0)).toFixed(1),
  "main", ((w1.main - w0.main) / (t1 - t0) * 1e5).toFixed(0), "idle", ((w1.idle - w0.idle) / (t1 - t0) * 1e5).toFixed(0),
);
