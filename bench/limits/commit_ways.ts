/**
 * Three ways to commit the events of 64 publishers, each with the real store: on the event loop with
 * SQLite waiting for the disk; on the event loop with a thread of the runtime waiting; and all in a
 * worker. Run `deno run -A bench/limits/commit_ways.ts [FOLDER]`. src/README.md has its figures.
 */
import { createHmac } from "node:crypto";
import { setImmediate } from "node:timers";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { Journal } from "../../src/outbox/sqlite/journal.ts";
import type { Operation } from "../../src/outbox/sqlite/operations.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { eventText } from "../load/event.ts";
import { percentile } from "../load/statistics.ts";
import { usageOf } from "../processes/proc.ts";

/** Resolves when a batch is durable. */
type Commit = (operations: readonly Operation[]) => Promise<unknown>;

const WAYS: Readonly<Record<string, (path: string) => Promise<Commit>>> = {
  async "on the loop"(path) {
    const store = new Store(await openWriter(path));
    return (operations) => Promise.resolve(store.apply(operations));
  },
  async "on the loop, synced by a thread"(path) {
    const db = await openWriter(path);
    const store = new Store(db), journal = await Journal.takeOver(db, path);
    return async (operations) => {
      const applied = store.apply(operations);
      await journal.sync();
      return applied;
    };
  },
  async "in a worker"(path) {
    const worker = new Worker(import.meta.url, { type: "module", name: path });
    const next = () => new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    await next();
    return (operations) => {
      const answered = next();
      worker.postMessage(operations);
      return answered;
    };
  },
};

const ROUNDS = 3, WARM_UP_MS = 1_000, MEASURED_MS = 2_000, PUBLISHERS = 64;
const isWorker = "WorkerGlobalScope" in globalThis;

let seq = 0;

if (isWorker) await serveAsWorker();
else await compareWays(Deno.args[0] ?? await Deno.makeTempDir());

async function serveAsWorker(): Promise<void> {
  const self = globalThis as unknown as Worker & { readonly name: string };
  const store = new Store(await openWriter(self.name));
  self.onmessage = ({ data }) => self.postMessage(store.apply(data));
  self.postMessage("ready");
}

async function compareWays(folder: string): Promise<never> {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, open] of Object.entries(WAYS)) {
      const commit = await open(`${folder}/${crypto.randomUUID()}.db`);
      await load(commit, WARM_UP_MS);
      const before = usageOf([Deno.pid]).cpuSeconds;
      const { count, tookMs, waitsMs } = await load(commit, MEASURED_MS);
      const { cpuSeconds, residentBytes } = usageOf([Deno.pid]);
      console.log([
        name.padEnd(32),
        `${(count / tookMs * 1_000).toFixed(0).padStart(6)} events/s`,
        `p50 ${percentile(waitsMs, 0.5).toFixed(1)} ms`,
        `p99 ${percentile(waitsMs, 0.99).toFixed(1)} ms`,
        `CPU ${((cpuSeconds - before) / count * 10_000).toFixed(2)} s per 10 000`,
        `${(residentBytes / 1e6).toFixed(0)} MB`,
      ].join("   "));
    }
  }
  // Don't wait for the workers.
  Deno.exit(0);
}

/** Publishers that post the next event once the last one is durable. */
async function load(commit: Commit, forMs: number) {
  const group = grouped(commit);
  const startedAt = performance.now();
  const waitsMs: number[] = [];
  async function publish(): Promise<void> {
    while (performance.now() - startedAt < forMs) {
      const since = performance.now();
      await group(prepared());
      waitsMs.push(performance.now() - since);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
  return { count: waitsMs.length, tookMs: performance.now() - startedAt, waitsMs };
}

/** Events that arrive during a commit share the next one. */
function grouped(commit: Commit): (operation: Operation) => Promise<void> {
  let waiting: { operation: Operation; resolve: () => void }[] = [];
  let isBusy = false;
  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await commit(batch.map(({ operation }) => operation));
      for (const { resolve } of batch) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
    isBusy = false;
  }
  return (operation) =>
    new Promise((resolve) => {
      waiting.push({ operation, resolve });
      if (isBusy) return;
      isBusy = true;
      setImmediate(() => void run());
    });
}

/** The event loop's other work for an event: parsing and signing it. */
function prepared(): Operation {
  const text = eventText(++seq, 1);
  JSON.parse(text);
  createHmac("sha256", "a secret").update(text).digest("base64");
  return {
    kind: "enqueue",
    request: {
      at: Date.now(),
      events: [{
        event: {
          id: `evt_${seq}`,
          type: "booking.created",
          occurredAt: Date.now(),
          scope: new Map(),
          data: text,
        },
        deliveries: [{ subscription: "sub", format: "{}", cause: "event", claim: false }],
      }],
    },
  };
}
