import { type Job as BossJob, PgBoss } from "pg-boss";
import { deliver, type Job, LADDER_SECONDS, servePeer } from "./peer_server.ts";

const NAME = "deliveries";
/** Workers and jobs per worker: together about as much concurrency as the others. */
const WORKERS = 4, BATCH = 40;

const boss = new PgBoss({
  connectionString: Deno.env.get("SERVICE_URL")!,
  max: 20,
});
boss.on("error", (error) => console.error(error));
await boss.start();
await boss.createQueue(NAME, {
  retryLimit: LADDER_SECONDS.length,
  retryDelay: LADDER_SECONDS[0]!,
  retryBackoff: true,
});

await boss.work<Job>(NAME, {
  batchSize: BATCH,
  localConcurrency: WORKERS,
  // The minimum. NOTIFY would be quicker, but serialises commits: an eighth of the rate.
  pollingIntervalSeconds: 0.5,
  burstWhenBatchFull: true,
  perJobResults: true,
}, (jobs) => Promise.all(jobs.map(attempt)));

async function attempt({ id, data }: BossJob<Job>) {
  try {
    return { id, status: "completed" as const, output: await deliver(data) };
  } catch (error) {
    return {
      id,
      status: "failed" as const,
      output: { message: String(error) },
    };
  }
}

servePeer({
  async add(jobs) {
    if (jobs.length === 1) return [(await boss.send(NAME, jobs[0]!))!];
    return await boss.insert(NAME, jobs.map((data) => ({ data })), {
      returnId: true,
    }) ?? [];
  },
  hold: () => boss.offWork(NAME, { wait: true }),
  async pending() {
    const { rows } = await boss.getDb().executeSql(
      "select count(*) as n from pgboss.job where name = $1 and state < 'completed'",
      [NAME],
    );
    return Number(rows[0].n);
  },
});
