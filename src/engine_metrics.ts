import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { type Health, type HealthState, healthState, isAnswering } from "./domain/health.ts";
import type { Instant } from "./domain/instant.ts";
import type { Registry } from "./ingest/registry.ts";
import { type KeptTimes, PRUNED_KINDS } from "./outbox/outbox.ts";
import type { LongJournal, OutboxReader } from "./outbox/reader.ts";
import type { Metrics, Reading } from "./runtime/metrics.ts";
import { VERSION } from "./version.ts";

/** What is asked for each number. */
export interface EngineMetricsPorts {
  readonly registry: Registry;
  readonly reader: OutboxReader;
  readonly health: (subscription: string) => Health;
  readonly isHeld: (subscription: string) => boolean;
  readonly now: () => Instant;
  readonly inFlight: () => number;
  /** Undefined where another transport stands in. */
  readonly connections: (() => { readonly inUse: number; readonly idle: number }) | undefined;
  readonly descriptorLimit: number;
  readonly notReadyBecause: () => Promise<string | undefined>;
  readonly databasePath: string;
  /** How many lines of the log were dropped since nobody read it. */
  readonly droppedLogLines: () => number;
  /** What finished before is overdue for pruning. */
  readonly keptTimes: () => KeptTimes;
  /** The journal, where somebody reads in it and keeps it from being emptied. */
  readonly pinnedJournal: () => LongJournal | undefined;
}

/** Tells how the engine stands whenever somebody asks: what waits, who is failing, how full the disk is. */
export function measureEngine(metrics: Metrics, ports: EngineMetricsPorts): void {
  const { registry } = ports;
  // Several gauges tell of one reading.
  const waiting = shared(() => readWaiting(ports));
  metrics.gauge({
    name: "bellhook_build_info",
    help: "Always 1; the labels say what is running.",
    labels: ["version", "deno"],
    read: () => [[[VERSION, Deno.version.deno], 1]],
  });
  metrics.gauge({
    name: "bellhook_ready",
    help: "Whether events are taken: 1, or 0.",
    read: async () => Number(await ports.notReadyBecause() === undefined),
  });
  metrics.counted({
    name: "bellhook_log_lines_dropped_total",
    help: "Lines of the log that were dropped because nobody read it.",
    read: ports.droppedLogLines,
  });
  metrics.gauge({
    name: "bellhook_pending_deliveries",
    help:
      "Deliveries that have not ended, by subscription: due now (those under way too), waiting " +
      "for their next attempt, or held because the subscription is paused, disabled or removed.",
    labels: ["subscription", "state"],
    read: async () => pendingByState(await waiting()),
  });
  metrics.gauge({
    name: "bellhook_oldest_due_age_seconds",
    help:
      "For how long the oldest delivery that is due has been so, by subscription; 0 where none is.",
    labels: ["subscription"],
    read: async () => (await waiting()).map(({ id, oldestMs }) => [[id], oldestMs / 1_000]),
  });
  metrics.gauge({
    name: "bellhook_attempts_in_flight",
    help: "Delivery attempts under way.",
    read: ports.inFlight,
  });
  const { connections, descriptorLimit } = ports;
  if (connections !== undefined) {
    metrics.gauge({
      name: "bellhook_outgoing_connections",
      help:
        "Connections to receivers that are open: in use, or idle and kept for the next request.",
      labels: ["state"],
      read() {
        const { inUse, idle } = connections();
        return [[["in use"], inUse], [["idle"], idle]];
      },
    });
  }
  metrics.gauge({
    name: "process_max_fds",
    help: "Maximum number of open file descriptors.",
    read: () => descriptorLimit,
  });
  metrics.gauge({
    name: "bellhook_subscription_state",
    help: "1 for the state that a subscription is in, 0 for the others.",
    labels: ["subscription", "state"],
    *read() {
      for (const { id, enabled } of registry.all) {
        const now = healthState(ports.health(id), enabled);
        for (const state of STATES) yield [[id, state], Number(state === now)];
      }
    },
  });
  metrics.gauge({
    name: "bellhook_subscription_answering",
    help: "0 from a receiver's third failed attempt in a row on, or from the first if none ever " +
      "succeeded; else 1.",
    labels: ["subscription"],
    *read() {
      for (const { id } of registry.all) yield [[id], Number(isAnswering(ports.health(id)))];
    },
  });
  metrics.gauge({
    name: "bellhook_subscription_consecutive_failures",
    help: "Failed attempts since the last success, by subscription.",
    labels: ["subscription"],
    *read() {
      for (const { id } of registry.all) yield [[id], ports.health(id).consecutiveFailures];
    },
  });
  metrics.gauge({
    name: "bellhook_oldest_overdue_row_age_seconds",
    help:
      "For how long the oldest row whose time is over has waited to be deleted, by kind; up to a " +
      "minute is usual.",
    labels: ["kind"],
    async read() {
      const overdue = await ports.reader.overdue(ports.keptTimes());
      return PRUNED_KINDS.map((kind) => [[kind], (overdue.get(kind) ?? 0) / 1_000]);
    },
  });
  metrics.gauge({
    name: "bellhook_database_free_bytes",
    help: "How much of the database's size is free for new events.",
    read: async () => (await ports.reader.space()).freeBytes,
  });
  metrics.gauge({
    name: "bellhook_journal_pinned_bytes",
    help:
      "Size of the journal while another program's reading keeps it from being emptied; else 0.",
    read: () => ports.pinnedJournal()?.bytes ?? 0,
  });
  measureDisk(metrics, ports.databasePath);
}

const STATES: readonly HealthState[] = ["healthy", "failing", "paused", "disabled"];

/** What waits for a subscription. */
interface Waiting {
  readonly id: string;
  readonly due: number;
  readonly later: number;
  readonly held: number;
  readonly oldestMs: number;
}

/** Of every subscription of the config, and every other that has something pending. */
async function readWaiting({ registry, reader, isHeld, now }: EngineMetricsPorts) {
  const at = now();
  const backlog = await reader.due(at);
  const ids = new Set([...[...registry.all].map(({ id }) => id), ...backlog.keys()]);
  return [...ids].map((id): Waiting => {
    const { pending, due, dueAt } = backlog.get(id) ?? { pending: 0, due: 0, dueAt: at };
    if (isHeld(id)) return { id, due: 0, later: 0, held: pending, oldestMs: 0 };
    return { id, due, later: pending - due, held: 0, oldestMs: Math.max(0, at - dueAt) };
  });
}

function* pendingByState(waiting: readonly Waiting[]): Exclude<Reading, number> {
  for (const { id, due, later, held } of waiting) {
    yield [[id, "due"], due];
    yield [[id, "waiting"], later];
    yield [[id, "held"], held];
  }
}

/** A database in memory has no file, and these are left out. */
function measureDisk(metrics: Metrics, path: string): void {
  metrics.gauge({
    name: "bellhook_database_size_bytes",
    help: "Size of the database's files: the database itself, and the journal beside it.",
    labels: ["file"],
    read: async () => [
      [["database"], (await Deno.stat(path)).size],
      [["journal"], await sizeOf(`${path}-wal`)],
    ],
  });
  const disk = shared(async () => {
    await Deno.stat(path);
    return await statfs(dirname(path));
  });
  metrics.gauge({
    name: "bellhook_disk_free_bytes",
    help: "Room that is left to the daemon on the disk that holds the database.",
    async read() {
      const { bavail, bsize } = await disk();
      return bavail * bsize;
    },
  });
  metrics.gauge({
    name: "bellhook_disk_size_bytes",
    help: "Size of the disk that holds the database.",
    async read() {
      const { blocks, bsize } = await disk();
      return blocks * bsize;
    },
  });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Whoever asks while an answer is on its way gets that one. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => underWay ??= read().finally(() => underWay = undefined);
}
