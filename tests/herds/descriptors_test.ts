import { assert, assertEquals } from "@std/assert";
import { freePort, kill, startServe } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const LIMITS = [
  { openFiles: 64, receivers: 200 },
  { openFiles: 128, receivers: 300 },
  { openFiles: 256, receivers: 500 },
  { openFiles: 1_024, receivers: 1_500 },
];

for (const { openFiles, receivers } of LIMITS) {
  Deno.test({
    name: `descriptors: one event for ${receivers} receivers with ${openFiles} descriptors`,
    ignore: Deno.build.os === "windows",
    fn: () => oneEventFor(receivers, openFiles),
  });
}

/** Each gets it once, nobody at a second attempt, and the daemon takes events all the while. */
async function oneEventFor(count: number, openFiles: number): Promise<void> {
  const folder = await Deno.makeTempDir();
  const arrived = new Map<string, number>();
  await using receiver = startRawServer((request) => {
    const key = `${request.header("host")} ${request.header("webhook-id")}`;
    arrived.set(key, (arrived.get(key) ?? 0) + 1);
    return {};
  }, { hostname: "0.0.0.0" });
  const port = freePort();
  await writeConfig(folder, { port, receiverPort: receiver.port, count });
  const { process, ready } = startServe(folder, port, {}, { openFiles });
  try {
    await ready;
    const events = ["ev-1", "ev-2"];
    for (const id of events) assertEquals(await post(port, id), 202);
    await until(() => arrived.size === events.length * count, "all have it");
    const metrics = await until(async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const delivered = sumOf(text, "bellhook_deliveries_finished_total{", 'state="delivered"');
      return delivered === events.length * count && text;
    }, "all are delivered");
    assertEquals(sumOf(metrics, "bellhook_attempts_total{", 'result="failure"'), 0);
    assert(sumOf(metrics, "bellhook_outgoing_connections{") <= openFiles / 2);
    assertEquals(sumOf(metrics, "process_max_fds"), openFiles);
    assertEquals([...arrived.values()].filter((times) => times !== 1), []);
  } finally {
    await kill(process);
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeConfig(
  folder: string,
  { port, receiverPort, count }: { port: number; receiverPort: number; count: number },
): Promise<void> {
  const subscriptions = Array.from({ length: count }, (_, i) => ({
    id: `receiver-${i}`,
    // Every one has an address of its own.
    url: `http://127.1.${i >> 8}.${i & 255}:${receiverPort}/`,
    events: ["*"],
    secret: { file: "secret" },
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
  }));
  const config = { server: { listen: `127.0.0.1:${port}` }, subscriptions };
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  await Deno.writeTextFile(`${folder}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
}

async function post(port: number, id: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id, type: "t", data: {} }),
  });
  await response.body?.cancel();
  return response.status;
}

/** The sum of all lines that begin so and have that in their labels. */
function sumOf(metrics: string, start: string, label = ""): number {
  return metrics.split("\n").filter((line) => line.startsWith(start) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
