import { Queue, Worker } from "bullmq";
import { CONCURRENCY, deliver, type Job, LADDER_SECONDS, servePeer } from "./peer_server.ts";

const url = new URL(Deno.env.get("SERVICE_URL")!);
const connection = { host: url.hostname, port: Number(url.port) };

const queue = new Queue<Job>("deliveries", { connection });

const worker = new Worker<Job>("deliveries", (job) => deliver(job.data), {
  connection: { ...connection, maxRetriesPerRequest: null },
  concurrency: CONCURRENCY,
  settings: {
    backoffStrategy: (attempts) => 1_000 * LADDER_SECONDS[attempts - 1]!,
  },
});
worker.on("error", (error) => console.error(error));
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);

const options = {
  attempts: 1 + LADDER_SECONDS.length,
  backoff: { type: "custom" },
};

servePeer({
  async add(jobs) {
    if (jobs.length === 1) {
      return [(await queue.add("deliver", jobs[0]!, options)).id!];
    }
    const added = await queue.addBulk(
      jobs.map((data) => ({ name: "deliver", data, opts: options })),
    );
    return added.map(({ id }) => id!);
  },
  hold: () => worker.pause(true),
  pending: () => queue.getJobCountByTypes("waiting", "active", "delayed", "paused"),
});
