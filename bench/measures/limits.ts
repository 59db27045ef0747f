import { startChild } from "../processes/child.ts";
import { answers, freePort, until } from "../processes/waiting.ts";
import { Helper } from "../processes/helper.ts";
import { bareStore } from "../limits/bare_store.ts";
import type { SenderCommands } from "../limits/bare_sender.ts";
import { SECRET, type Workbench } from "../workbench.ts";
import { type Figures, PER_SECOND, type Size } from "./measure.ts";

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
    ...await bareRelay(bench, size),
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
  await using server = await start("bare_server.ts");
  const order = {
    url: server.url,
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
}

/** An event's way with nothing on it but a server, a sync and a post: how soon it can arrive here. */
async function bareRelay(bench: Workbench, size: Size): Promise<Figures> {
  const [subscription] = bench.subscriptions(1);
  const limitMs = size.paceSeconds * RELAY_RUNS * 1_000;
  const events = Math.ceil(1.2 * PER_SECOND * (limitMs + WARM_UP_MS) / 1_000);
  await bench.receiver.ask("expect", { secret: SECRET, events, perEvent: 1 });
  await using relay = await start(
    "bare_relay.ts",
    subscription!.url,
    SECRET,
    `${bench.folder}/relay`,
  );
  const order = { url: relay.url, types: 1, perSecond: PER_SECOND };
  const { posted } = await bench.generator.ask("pace", { ...order, from: 0, limitMs: WARM_UP_MS });
  const measured = await bench.generator.ask("pace", { ...order, from: posted, limitMs });
  const count = posted + measured.accepted;
  await bench.receiver.ask("wait", { count, limitMs: 10_000 });
  const { p50Ms, p99Ms } = await bench.receiver.ask("report", { from: posted, to: count });
  return { "limits.relayP50Ms": p50Ms, "limits.relayP99Ms": p99Ms };
}

/** Starts a script of `limits/` in its own process, with a port and other arguments. */
async function start(script: string, ...args: readonly string[]) {
  const port = freePort();
  const path = new URL(`../limits/${script}`, import.meta.url).pathname;
  const child = startChild({
    command: Deno.execPath(),
    args: ["run", "-q", "-A", "--config", CONFIG, path, String(port), ...args],
  });
  const url = `http://127.0.0.1:${port}/v1/events`;
  const started = { url, [Symbol.asyncDispose]: () => child.end() };
  try {
    await until(script, { everyMs: 10, limitMs: 10_000 }, () => answers(`${url}/..`));
  } catch (error) {
    await child.end();
    throw error;
  }
  return started;
}

/** The HTTP client alone: posts the same body repeatedly to the receiver. */
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

/** As long as several runs of `pace`, because it is measured only once. */
const RELAY_RUNS = 3;
const WARM_UP_MS = 2_000;

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
