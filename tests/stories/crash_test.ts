import { assert, assertEquals } from "@std/assert";
import { bellhook, freePort, serve } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const ROUNDS = Number(Deno.env.get("BELLHOOK_ROUNDS") ?? 20);

Deno.test(`story: serve killed with -9 under load, ${ROUNDS} times, loses no accepted event`, async () => {
  const folder = await Deno.makeTempDir();
  const arrived = new Map<string, number>();
  await using receiver = startRawServer((request) => {
    const id = request.header("webhook-id")!;
    arrived.set(id, (arrived.get(id) ?? 0) + 1);
    // Every tenth first attempt fails, so that retries are pending at a kill as well.
    return { status: Number(id.slice(3)) % 10 === 0 && arrived.get(id) === 1 ? 500 : 200 };
  });
  const port = freePort();
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}` },
      subscriptions: [{
        id: "app",
        url: receiver.url,
        events: ["*"],
        secret: { file: "secret" },
        allowHttp: true,
        allowNetworks: ["127.0.0.0/8"],
        retry: ["1s", "1s", "1s"],
        jitter: 0,
        concurrency: 32,
      }],
    }),
  );
  await Deno.writeTextFile(`${folder}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
  const accepted: string[] = [];
  let number = 0;

  /** Posts until the daemon is killed; records what was answered 202, or 200 for a repeat. */
  async function publish(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const id = `ev-${++number}`;
      try {
        const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ id, type: "t", data: { number, filler: "x".repeat(500) } }),
        });
        await response.body?.cancel();
        if (response.status === 202) accepted.push(id);
      } catch {
        return;
      }
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    const daemon = await serve(folder, port);
    const stop = new AbortController();
    const publishers = Array.from({ length: 8 }, () => publish(stop.signal));
    const before = accepted.length;
    await until(() => accepted.length >= before + 40 + 7 * round, "events are accepted");
    daemon.kill("SIGKILL");
    await daemon.status;
    stop.abort();
    await Promise.all(publishers);
  }

  const daemon = await serve(folder, port);
  await until(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/deliveries?state=pending&limit=1`);
    return (await response.json()).items.length === 0;
  }, "everything is delivered");
  daemon.kill("SIGTERM");
  assertEquals((await daemon.status).code, 0);

  assert(accepted.length > ROUNDS * 40);
  assertEquals(accepted.filter((id) => !arrived.has(id)), []);
  const audit = await bellhook(folder, "audit", "--json");
  assertEquals(audit.code, 0, audit.stderr);
  const report = JSON.parse(audit.stdout.split("\n")[0]!);
  assert(report.events >= accepted.length);
  assertEquals(report.deliveries.pending, 0);
  await Deno.remove(folder, { recursive: true });
});
