import { startChild } from "../processes/child.ts";
import { answers, freePort, until } from "../processes/waiting.ts";
import { Helper } from "../processes/helper.ts";
import { bareStore } from "../limits/bare_store.ts";
import type { SenderCommands } from "../limits/bare_sender.ts";
import { SECRET, type Workbench } from "../workbench.ts";
import type { Figures, Size } from "./measure.ts";

/** What this machine gives without any of the systems: how far each could go at the best. */
export async function measureLimits(
  bench: Workbench,
  size: Size,
): Promise<Figures> {
  return {
    "limits.fsyncPerSecond": fsyncs(bench.folder),
    "limits.serverPerSecond": await bareServer(bench, size),
    "limits.storePerSecond": await bareStore(`${bench.folder}/store.db`, size.floodSeconds * 1_000),
    "limits.undiciPerSecond": await bareSender(bench, size),
  };
}

/** One page appended and synced at a time, as a journal does. */
function fsyncs(folder: string): number {
  const path = `${folder}/fsync`;
  using file = Deno.openSync(path, { create: true, write: true });
  const page = new Uint8Array(4_096);
  const startedAt = performance.now();
  let count = 0;
  for (; performance.now() - startedAt < 1_000; count++) {
    file.writeSync(page);
    file.syncDataSync();
  }
  return count / (performance.now() - startedAt) * 1_000;
}

/** The web framework alone: parses an event, stores nothing, answers. */
async function bareServer(bench: Workbench, size: Size): Promise<number> {
  const port = freePort();
  const script = new URL("../limits/bare_server.ts", import.meta.url).pathname;
  const child = startChild({
    command: Deno.execPath(),
    args: ["run", "-q", "-A", "--config", CONFIG, script, String(port)],
  });
  const url = `http://127.0.0.1:${port}/v1/events`;
  try {
    await until(
      "the bare server",
      { everyMs: 10, limitMs: 10_000 },
      () => answers(`${url}/..`),
    );
    const order = {
      url,
      from: 0,
      types: 1,
      connections: 64,
      count: Number.MAX_SAFE_INTEGER,
    };
    await bench.generator.ask("flood", { ...order, limitMs: 1_000 });
    const posted = await bench.generator.ask("flood", {
      ...order,
      limitMs: size.floodSeconds * 1_000,
    });
    return posted.accepted / (posted.endedAt - posted.startedAt) * 1_000;
  } finally {
    await child.end();
  }
}

/** The HTTP client alone: the same body again and again to the receiver. */
async function bareSender(bench: Workbench, size: Size): Promise<number> {
  const [subscription] = bench.subscriptions(1);
  const events = 1_000_000;
  await bench.receiver.ask("expect", { secret: SECRET, events, perEvent: 1 });
  const script = new URL("../limits/bare_sender.ts", import.meta.url);
  await using sender = new Helper<SenderCommands>(script);
  const order = { url: subscription!.url, secret: SECRET, connections: 64 };
  await sender.ask("send", { ...order, seconds: 1 });
  return await sender.ask("send", { ...order, seconds: size.floodSeconds });
}

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
