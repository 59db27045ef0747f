import type { Config } from "./config/config.ts";
import { HealthBoard } from "./dispatch/health_board.ts";
import { keptTimes } from "./dispatch/retention.ts";
import { TimeMarks } from "./dispatch/time_marks.ts";
import { measureEngine } from "./engine_metrics.ts";
import { createApp } from "./http/app.ts";
import type { Operations } from "./http/operations.ts";
import type { ReloadReport } from "./http/reload.ts";
import type { Ingest } from "./ingest/ingest.ts";
import { PatternWatch } from "./ingest/unmatched_patterns.ts";
import { start, stop } from "./life.ts";
import type { WholeOutbox } from "./outbox/reader.ts";
import { openOutbox } from "./outbox/opening.ts";
import { type EnginePorts, type Parts, partsOf } from "./parts.ts";
import type { ReloadRequest } from "./reloading.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import { Turn } from "./runtime/turn.ts";
import { Interrupted } from "./runtime/long_work.ts";

/** Everything of a daemon but its socket. */
export interface Engine {
  readonly app: ReturnType<typeof createApp>;
  readonly ingest: Ingest;
  readonly operations: Operations;
  readonly outbox: WholeOutbox;
  /** Resolves when the database has failed. */
  readonly failed: Promise<Error>;
  reload(request?: ReloadRequest): Promise<ReloadReport>;
  /** Ends the grace of a stop that is under way. */
  skipGrace(): void;
  /** Attempts under way get their grace; `closeDoor` ends what lets requests in. */
  stop(closeDoor?: () => Promise<void>): Promise<void>;
}

/** Opens the outbox and sets going what works on it. Throws Interrupted at the signal. */
export async function startEngine(config: Config, ports: EnginePorts): Promise<Engine> {
  const { clock, log, signal, onUpgrading: onProgress, openOutbox: open = openOutbox } = ports;
  const outbox = await open(config.storage, { clock, log, signal, onProgress });
  try {
    const health = new HealthBoard(outbox, await outbox.health());
    const [last, boot] = [await outbox.timeMark(), await clock.boot?.()];
    const steady = SteadyClock.carriedOn(clock, last, boot);
    const commits = () => outbox.commits;
    const timeMarks = new TimeMarks({ outbox, clock, steady, log, last, boot, commits });
    if (signal?.aborted) throw new Interrupted();
    const parts = partsOf(config, { ...ports, outbox, health, steady, timeMarks });
    measure(parts);
    const app = appOf(parts);
    const stopWatching = await start(parts);
    return {
      app,
      ...{ ingest: parts.ingest, operations: parts.operations, outbox, failed: outbox.failed },
      reload: (request) => parts.reloading.reload(request),
      skipGrace: () => parts.sending.scheduler.skipGrace(),
      stop: (closeDoor) => stop(parts, { stopWatching, closeDoor }),
    };
  } catch (error) {
    await outbox.close();
    throw error;
  }
}

/** What answers requests, over the parts. */
function appOf(parts: Parts): Engine["app"] {
  const { config, outbox, clock, log, random, health, steady, measures, metrics } = parts;
  const { admission, ingest, feed, streams, journalWatch, operations, reloading } = parts;
  const { registry, notices, find, isHeld } = parts.sending;
  const patternWatch = new PatternWatch();
  return createApp({
    ...{ ingest, admission, registry, reader: outbox, clock, log, random, feed, operations },
    isHeld,
    subscription: find,
    isEnabled: (id) => find(id)?.enabled ?? false,
    health: (id) => health.of(id),
    config: () => config.current,
    closedBecause: () => config.closedBecause,
    notReadyBecause: () => notReadyBecause(parts),
    pinnedJournal: () => journalWatch.pinned,
    channels: () => notices.all,
    unmatched: () => {
      const now = steady.now(), turn = new Turn(clock);
      return patternWatch.patterns({ reader: outbox, config: config.current, now, turn });
    },
    metrics: () => metrics.expose(new Turn(clock)),
    onRefused: measures.refused,
    onAccessRefused: measures.accessRefused,
    remember: (entry) => parts.remember({ at: steady.now(), ...entry }),
    onShutdown: (end) => streams.add(end),
    reload: (request) => reloading.reload(request),
    origins: parts.origins ?? (() => Promise.resolve(undefined)),
  });
}

async function notReadyBecause({ config, outbox }: Parts): Promise<string | undefined> {
  return config.closedBecause ?? await outbox.unavailableBecause();
}

function measure(parts: Parts): void {
  const { metrics, config, outbox, health, steady, descriptors, journalWatch, keep } = parts;
  const { registry, http, scheduler, isHeld } = parts.sending;
  measureEngine(metrics, {
    registry,
    reader: outbox,
    health: (id) => health.of(id),
    isHeld,
    now: () => steady.now(),
    inFlight: () => scheduler.inFlight,
    connections: "connections" in http ? () => http.connections : undefined,
    descriptorLimit: descriptors.limit,
    notReadyBecause: () => notReadyBecause(parts),
    databasePath: config.current.storage.path,
    droppedLogLines: parts.droppedLogLines ?? (() => 0),
    keptTimes: () => keptTimes(steady, keep()),
    pinnedJournal: () => journalWatch.pinned,
  });
}
