import { freePort, startServe } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { Chance } from "../simulation/chance.ts";
import { Publisher } from "../crash/publisher.ts";
import { buildWatchedDisk, readSteps, type Step, watching } from "../disk/watched_disk.ts";

/**
 * Runs a real `serve` through three lives on one database, from nothing: stopped, killed with -9,
 * stopped. Answers all that its disk and its publishers saw, in order.
 */
export async function record(
  { seed, requests, filler }: {
    readonly seed: number;
    readonly requests: number;
    /** Bytes of padding in an event's data. */
    readonly filler?: readonly [least: number, most: number];
  },
): Promise<Step[]> {
  const folder = await Deno.makeTempDir();
  const chance = new Chance(seed);
  const port = freePort();
  const receiver = failingAtFirst();
  try {
    const library = await buildWatchedDisk(folder);
    await writeConfig(folder, { port, receiver: receiver.url });
    const steps: Step[] = [];
    let number = 0;
    const publishers = Array.from(
      { length: 4 },
      () =>
        new Publisher(`http://127.0.0.1:${port}/v1/events`, {
          chance: new Chance(chance.whole(1, 1e9)),
          nextNumber: () => ++number,
          ...(filler === undefined ? {} : { filler }),
        }),
    );
    const accepted = () => publishers.reduce((sum, { accepted }) => sum + accepted.size, 0);
    for (const end of ["SIGTERM", "SIGKILL", "SIGTERM"] as const) {
      const watched = { database: `${folder}/bellhook.db`, log: `${folder}/${steps.length}.log` };
      const environment = watching({ library, ...watched });
      const { process, ready, said } = startServe(folder, port, environment);
      await ready;
      const stop = new AbortController();
      const publishing = publishers.map((publisher) => publisher.publish(stop.signal));
      const enough = accepted() + requests / 3;
      await until(() => accepted() >= enough, "enough events are accepted");
      process.kill(end);
      const { code } = await process.status;
      stop.abort();
      await Promise.all(publishing);
      if (end === "SIGTERM" && code !== 0) {
        throw new Error(`serve ended with ${code}: ${await said}`);
      }
      for (const step of await readSteps(watched)) steps.push(step);
    }
    return steps;
  } finally {
    await receiver.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Events so large that about eighty of them cause a checkpoint. */
export const MOVES_THE_JOURNAL = [60_000, 200_000] as const;

/** The config of a daemon with one receiver for all events, and short retry delays. */
export async function writeConfig(
  folder: string,
  { port, receiver }: { readonly port: number; readonly receiver: string },
): Promise<void> {
  await Deno.writeTextFile(`${folder}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}`, shutdownGrace: "1s" },
      subscriptions: [{
        id: "app",
        url: receiver,
        events: ["*"],
        secret: { file: "secret" },
        allowHttp: true,
        allowNetworks: ["127.0.0.0/8"],
        retry: ["50ms", "100ms", "200ms"],
        jitter: 0,
      }],
    }),
  );
}

export interface Receiver {
  readonly url: string;
  /** How often each event has arrived. */
  readonly arrived: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** The sender was killed while it sent. */
function brokenOff(): Response {
  return new Response(null, { status: 400 });
}

/** A receiver that refuses every fifth event's first attempt. */
export function failingAtFirst(): Receiver {
  const arrived = new Map<string, number>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, onError: brokenOff },
    async (request) => {
      await request.arrayBuffer();
      const id = request.headers.get("webhook-id")!;
      const count = (arrived.get(id) ?? 0) + 1;
      arrived.set(id, count);
      return new Response(null, {
        status: count === 1 && Number(id.slice(3)) % 5 === 0 ? 500 : 200,
      });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    arrived,
    close: () => server.shutdown(),
  };
}
