import type { Config } from "./config/config.ts";
import type { Loaded } from "./config/load.ts";
import type { LookUpOrigins } from "./config/origins.ts";
import { HealthBoard } from "./dispatch/health_board.ts";
import { JournalWatch } from "./dispatch/journal_watch.ts";
import { Retention } from "./dispatch/retention.ts";
import { TimeMarks } from "./dispatch/time_marks.ts";
import { applyConfig } from "./applying.ts";
import { ChangeFeed } from "./http/change_feed.ts";
import { Admission } from "./ingest/admission.ts";
import { Ingest } from "./ingest/ingest.ts";
import { tracedOutbox } from "./ingest/traced_outbox.ts";
import type { openOutbox } from "./outbox/opening.ts";
import type { HistoryEntry, TimedCommit } from "./outbox/outbox.ts";
import type { WholeOutbox } from "./outbox/reader.ts";
import { LiveConfig } from "./live_config.ts";
import { operatingWith } from "./operating.ts";
import { Reloading } from "./reloading.ts";
import type { Clock } from "./runtime/clock.ts";
import { type DescriptorShares, sharesOf } from "./runtime/descriptors.ts";
import { type Environment, systemEnvironment } from "./runtime/environment.ts";
import type { Log } from "./runtime/log.ts";
import { type Measures, measuresIn } from "./runtime/measures.ts";
import { Metrics } from "./runtime/metrics.ts";
import { measureProcess } from "./runtime/process_metrics.ts";
import type { Random } from "./runtime/random.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import type { Tracing } from "./runtime/tracing.ts";
import { Turn } from "./runtime/turn.ts";
import { OpenStreams } from "./open_streams.ts";
import { sendingWith } from "./sending.ts";
import type { Transport } from "./transport/transport.ts";
import type { Step } from "./runtime/long_work.ts";

/** The world, as the engine meets it. */
export interface EnginePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How many descriptors each side may use; as many as it likes, unless given. */
  readonly descriptors?: DescriptorShares;
  /** HTTP/1.1 on connections of its own, unless another is given. */
  readonly transport?: Transport;
  /** Opens what the config names, unless another is given. */
  readonly openOutbox?: typeof openOutbox;
  /** The process's own, unless another is given. */
  readonly environment?: Environment;
  /** Called every so often while the scheduler goes its rounds. */
  readonly onBeat?: () => void;
  /** Tells how late timers come, until its answer is called; a fake clock's are never late. */
  readonly watchLoop?: (tell: (delayMs: number) => void) => () => void;
  /** Told while the database is brought up to date. */
  readonly onUpgrading?: (step: Step) => void;
  /** Ends the start: nothing is sent after it. */
  readonly signal?: AbortSignal | undefined;
  /** What keeps traces, where they are on. */
  readonly tracing?: Tracing | undefined;
  /** How many lines of the log were dropped since nobody read it. */
  readonly droppedLogLines?: () => number;
  /** Looks up where a subscription's settings stand in the config. */
  readonly origins?: LookUpOrigins;
  /** Reads the config anew, in slices; without it a reload is refused. */
  readonly reload?: (turn: Turn) => Promise<Loaded>;
}

interface Composed extends EnginePorts {
  readonly outbox: WholeOutbox;
  readonly health: HealthBoard;
  readonly steady: SteadyClock;
  readonly timeMarks: TimeMarks;
}

/** Makes the parts of the daemon and ties them together; nothing begins here. */
export function partsOf(initial: Config, ports: Composed) {
  const { clock, random, log, outbox, health, steady, tracing } = ports;
  const config = new LiveConfig(initial);
  const metrics = new Metrics();
  const measures = measuresIn(metrics, clock.wall());
  measureProcess(metrics);
  const descriptors = ports.descriptors ?? sharesOf(Infinity);
  const environment = ports.environment ?? systemEnvironment;
  const sending = sendingWith({
    ...ports,
    config,
    measures,
    tracing,
    environment,
    descriptors,
    transport: ports.transport,
    onBeat: ports.onBeat,
  });
  const { registry, scheduler } = sending;
  const admission = new Admission({
    clock,
    isBehind: () => scheduler.isBehind,
    lagMs: () => scheduler.lagMs,
  });
  outbox.timeCommits(timing({ clock, measures, admission }));
  const ingest = new Ingest({
    outbox: tracing ? tracedOutbox(outbox, tracing) : outbox,
    registry,
    clock,
    steady,
    random,
    measures,
    config: () => config.current,
    hasRoom: (id) => scheduler.hasRoom(id),
    onWorked: (ms) => admission.spent(ms),
    onStored: (claims, unclaimed) => scheduler.accept(claims, unclaimed),
  });
  /** Who did what; an action stands whether or not this can be kept. */
  const remember = (entry: HistoryEntry) =>
    outbox.remember([entry]).catch((error) => log.historyNotKept(entry.kind, error));
  const { operations, replayer } = operatingWith({ ...ports, ingest, sending, remember });
  const streams = new OpenStreams(config);
  const keep = () => ({
    deliveredMs: config.current.storage.keepDeliveredMs,
    exhaustedMs: config.current.storage.keepExhaustedMs,
  });
  const retention = new Retention({ outbox, clock, steady, log, keep });
  const commits = () => outbox.commits;
  const journalWatch = new JournalWatch({ reader: outbox, clock, log, commits });
  const feed = new ChangeFeed({ reader: outbox, clock });
  const reloading = new Reloading({
    clock,
    log,
    config: () => config.current,
    load: ports.reload,
    pending: () => outbox.pending(),
    now: () => steady.now(),
    apply: (next, replacement) =>
      applyConfig(next, replacement, {
        ...{ config, health, clock, steady, measures, sending },
        endStreams: () => streams.end(),
      }),
    remember: (...kept) => outbox.remember(...kept),
    telling: sending.telling,
    onRejected: () => measures.reloaded({ ok: false, at: clock.wall() }),
  });
  return {
    ...{ ...ports, config, metrics, measures, descriptors, sending, admission, ingest, remember },
    ...{ operations, replayer, streams, keep, retention, journalWatch, feed, reloading },
  };
}

/** The parts of a daemon. */
export type Parts = ReturnType<typeof partsOf>;

/** Tells the parts how long each commit took, and what of it held the loop. */
function timing({ clock, measures, admission }: {
  clock: Clock;
  measures: Measures;
  admission: Admission;
}): TimedCommit {
  return async (commit, { ofEvents } = { ofEvents: 0 }) => {
    const startedMs = clock.monotonicMs();
    let ok = false;
    try {
      const committing = commit();
      // All of it that holds the loop is over: the rest waits for the disk.
      if (ofEvents > 0) admission.spent((clock.monotonicMs() - startedMs) * ofEvents);
      const answer = await committing;
      ok = true;
      return answer;
    } finally {
      measures.committed({ durationMs: clock.monotonicMs() - startedMs, ok });
    }
  };
}
