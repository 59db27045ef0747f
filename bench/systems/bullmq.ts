import { type Child, startChild } from "../processes/child.ts";
import { freePort, until } from "../processes/waiting.ts";
import { peer, type Service } from "./peer.ts";
import type { System } from "./system.ts";

/** BullMQ on a Redis with Bellhook's guarantee: an answer means that the event is on disk. */
export const bullmq: System = bullmqOn("always");

/** BullMQ on Redis as usually configured: up to a second of accepted events can be lost. */
export const bullmqEverysec: System = bullmqOn("everysec");

function bullmqOn(appendfsync: "always" | "everysec"): System {
  return peer({
    name: appendfsync === "always" ? "bullmq" : "bullmq-everysec",
    script: new URL("../peers/bullmq_server.ts", import.meta.url),
    service: (folder, preload) => startRedis(folder, { appendfsync, preload }),
    dataFolder: "",
  });
}

async function startRedis(
  folder: string,
  { appendfsync, preload }: {
    appendfsync: string;
    preload: string | undefined;
  },
): Promise<Service> {
  const port = freePort();
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    appendonly: "yes",
    appendfsync,
    // Required by BullMQ's "Going to production".
    "maxmemory-policy": "noeviction",
    logfile: `${folder}/redis.log`,
  };
  const child: Child = startChild({
    command: "redis-server",
    args: Object.entries(settings).flatMap((
      [name, value],
    ) => [`--${name}`, value]),
    ...(preload === undefined ? {} : { env: { LD_PRELOAD: preload } }),
  });
  await until(
    "Redis to listen",
    { everyMs: 20, limitMs: 10_000 },
    () => listens(port),
  );
  return {
    pid: child.process.pid,
    url: `redis://127.0.0.1:${port}`,
    stop: () => child.end(),
  };
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
