import type { Config } from "./config/config.ts";
import type { Loaded } from "./config/load.ts";
import { commandAbout } from "./domain/curl.ts";
import { Digests } from "./dispatch/digests.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { HealthBoard } from "./dispatch/health_board.ts";
import { JournalWatch } from "./dispatch/journal_watch.ts";
import type { Notice } from "./dispatch/notice.ts";
import { digestNotice, Notices } from "./dispatch/notices.ts";
import { Replayer } from "./dispatch/replayer.ts";
import { keptTimes, Retention } from "./dispatch/retention.ts";
import { Scheduler } from "./dispatch/scheduler.ts";
import { Steering } from "./dispatch/steering.ts";
import { TimeMarks } from "./dispatch/time_marks.ts";
import { measureEngine } from "./engine_metrics.ts";
import { credit } from "./domain/actor.ts";
import { isChannelId } from "./domain/notice.ts";
import { haveSameOperators } from "./http/access.ts";
import { createApp } from "./http/app.ts";
import { ChangeFeed } from "./http/change_feed.ts";
import type { Operations } from "./http/operations.ts";
import type { ReloadReport } from "./http/reload.ts";
import { Admission } from "./ingest/admission.ts";
import { Ingest } from "./ingest/ingest.ts";
import { PatternWatch } from "./ingest/unmatched_patterns.ts";
import { Registry } from "./ingest/registry.ts";
import { SubscriptionIndex } from "./ingest/subscription_index.ts";
import { tracedOutbox } from "./ingest/traced_outbox.ts";
import type { HistoryEntry } from "./outbox/outbox.ts";
import type { Step } from "./outbox/sqlite/copy.ts";
import { Interrupted } from "./outbox/sqlite/sqlite_thread.ts";
import { openSqliteOutbox, type SqliteOutbox } from "./outbox/sqlite/sqlite_outbox.ts";
import { Reloading, type ReloadRequest } from "./reloading.ts";
import type { Clock } from "./runtime/clock.ts";
import { type DescriptorShares, sharesOf } from "./runtime/descriptors.ts";
import { type Environment, systemEnvironment } from "./runtime/environment.ts";
import type { Log } from "./runtime/log.ts";
import { measuresIn } from "./runtime/measures.ts";
import { Metrics } from "./runtime/metrics.ts";
import { measureProcess } from "./runtime/process_metrics.ts";
import type { Random } from "./runtime/random.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import type { Tracing } from "./runtime/tracing.ts";
import { Turn } from "./runtime/turn.ts";
import { noticeTransport } from "./transport/notice_transport.ts";
import type { Transport } from "./transport/transport.ts";
import { type Http1Connections, http1Transport } from "./transport/http1_transport.ts";

/** The world, as the engine meets it. */
export interface EnginePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How many descriptors each side may use; as many as it likes, unless given. */
  readonly descriptors?: DescriptorShares;
  /** HTTP/1.1 on connections of its own, unless another is given. */
  readonly transport?: Transport;
  /** Opens the file, unless another is given. */
  readonly openOutbox?: (path: string) => Promise<SqliteOutbox>;
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
  /** Reads the config anew, in slices; without it a reload is refused. */
  readonly reload?: (turn: Turn) => Promise<Loaded>;
}

/** Everything of a daemon but its socket. */
export interface Engine {
  readonly app: ReturnType<typeof createApp>;
  readonly ingest: Ingest;
  readonly operations: Operations;
  readonly outbox: SqliteOutbox;
  /** Resolves when the database has failed. */
  readonly failed: Promise<Error>;
  reload(request?: ReloadRequest): Promise<ReloadReport>;
  /** Ends the grace of a stop that is under way. */
  hurry(): void;
  /** Attempts under way get their grace; `closeDoor` ends what lets requests in. */
  stop(closeDoor?: () => Promise<void>): Promise<void>;
}

/** Opens the outbox and sets going what works on it. Throws Interrupted at the signal. */
export async function startEngine(config: Config, ports: EnginePorts): Promise<Engine> {
  const { path } = config.storage;
  const { log, signal } = ports;
  const outbox = await (ports.openOutbox?.(path) ?? openSqliteOutbox(path, {
    clock: ports.clock,
    onOutdated: (outdated) => log.databaseOutdated({ database: path, ...outdated }),
    onCopied: (copied) => log.copiedBeforeMigration({ database: path, ...copied }),
    onProgress: ports.onUpgrading,
    signal,
  }));
  try {
    const health = new HealthBoard(outbox, await outbox.health());
    const { clock } = ports;
    const [last, boot] = [await outbox.timeMark(), await clock.boot?.()];
    const steady = SteadyClock.carriedOn(clock, last, boot);
    const commits = () => outbox.commits;
    const timeMarks = new TimeMarks({ outbox, clock, steady, log, last, boot, commits });
    if (signal?.aborted) throw new Interrupted();
    const { start, ...engine } = compose(config, { ...ports, outbox, health, steady, timeMarks });
    await start();
    return engine;
  } catch (error) {
    await outbox.close();
    throw error;
  }
}

/** What a test of a channel, or of a contact, says. */
const TEST_NOTICE = {
  type: "bellhook.test",
  data: JSON.stringify({ kind: "bellhook.test", summary: "this is a test: notices arrive here" }),
};

function compose(
  initial: Config,
  ports: EnginePorts & {
    readonly outbox: SqliteOutbox;
    readonly health: HealthBoard;
    readonly steady: SteadyClock;
    readonly timeMarks: TimeMarks;
  },
): Engine & { start(): Promise<void> } {
  const { clock, random, log, outbox, health, steady, timeMarks, tracing } = ports;
  let config = initial;
  let closedBecause: string | undefined;
  const metrics = new Metrics();
  const measures = measuresIn(metrics, clock.wall());
  measureProcess(metrics);
  let unwatchLoop: (() => void) | undefined;
  outbox.timeCommits(async (commit, { ofEvents } = { ofEvents: 0 }) => {
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
  });
  const registry = new Registry(config.subscriptions);
  const subscription = (id: string) => registry.find(id);
  const notices = new Notices({ random, config, subscription });
  const find = (id: string) => registry.find(id) ?? notices.subscription(id);
  const descriptors = ports.descriptors ?? sharesOf(Infinity);
  const http = ports.transport ?? http1Transport({ clock, maxOpen: descriptors.outgoing });
  const transport = noticeTransport({
    http,
    clock,
    environment: ports.environment ?? systemEnvironment,
    channel: (id) => notices.channel(id),
  });
  const dispatcher: Dispatcher = new Dispatcher({
    outbox,
    transport,
    clock,
    steady,
    health,
    notices,
    log,
    measures,
    tracing,
    nextDueAt: (id) => scheduler.nextDueAt(id),
    tenancyKey: () => config.tenancy?.key,
    onNotice: (channel) => scheduler.noteDue(channel, steady.now()),
    onExhausted: () => digests.noteExhausted(),
  });
  const digests = new Digests({
    outbox,
    clock,
    steady,
    log,
    compose: (digest, at) => notices.compose(digestNotice(digest, at))[0],
    onNotice: (channel) => scheduler.noteDue(channel, steady.now()),
  });
  const scheduler: Scheduler = new Scheduler({
    outbox,
    clock,
    steady,
    timeMarks,
    log,
    subscription: find,
    isPaused: (id) => health.isPaused(id),
    attempt: (claim, subscription) => dispatcher.attempt(claim, subscription),
    // An attempt takes a connection: what has none to take waits in its queue, as for a slot.
    totalConcurrency: () => Math.min(config.totalConcurrency, descriptors.outgoing),
    onExhausted: () => digests.noteExhausted(),
    onHeldBack: measures.heldBack,
    onBeat: ports.onBeat,
  });
  const keep = () => ({
    deliveredMs: config.storage.keepDeliveredMs,
    exhaustedMs: config.storage.keepExhaustedMs,
  });
  const retention = new Retention({ outbox, clock, steady, log, keep });
  const admission: Admission = new Admission({
    clock,
    isBehind: () => scheduler.isBehind,
    lagMs: () => scheduler.lagMs,
  });
  const ingest = new Ingest({
    outbox: tracing ? tracedOutbox(outbox, tracing) : outbox,
    registry,
    clock,
    steady,
    random,
    measures,
    config: () => config,
    hasRoom: (id) => scheduler.hasRoom(id),
    onWorked: (ms) => admission.spent(ms),
    onStored: (claims, unclaimed) => scheduler.accept(claims, unclaimed),
  });
  const isHeld = (id: string) => !find(id)?.enabled || health.isPaused(id);
  const replayer = new Replayer({
    outbox,
    reader: outbox,
    clock,
    steady,
    log,
    isHeld,
    onDue: (id) => scheduler.noteDue(id, steady.now()),
    onCancelled: (ids) => scheduler.forget(ids),
  });
  const journalWatch = new JournalWatch({
    reader: outbox,
    clock,
    log,
    commits: () => outbox.commits,
  });
  const patternWatch = new PatternWatch();
  const feed = new ChangeFeed({ reader: outbox, clock });
  const streams = new Set<() => void>();
  /** Who did what; a deed stands whether or not this can be kept. */
  const remember = (entry: HistoryEntry) =>
    outbox.remember(entry).catch((error) => log.historyNotKept(entry.kind, error));

  const steering = new Steering({
    outbox,
    reader: outbox,
    scheduler,
    health,
    steady,
    remember,
    subscription: find,
    onReplay: () => replayer.wake(),
    onPaused: (id, { at, cause, by }) =>
      notify({
        at,
        kind: "subscription.paused",
        summary: `${id} was ${cause}`,
        subscription: id,
        since: at,
        by,
        command: commandAbout("resume", id),
      }),
  });
  const operations: Operations = {
    retry: (id, by) => steering.retry(id, by),
    cancel: (id, by) => steering.cancel(id, by),
    pause: (id, by) => steering.pause(id, by),
    resume: (id, by) => steering.resume(id, by),
    async test(id, { by, ...request }) {
      const subscription = find(id);
      if (!subscription) return undefined;
      const isChannel = isChannelId(id);
      const tested = await ingest.test(subscription, isChannel ? TEST_NOTICE : request);
      if (tested.kind === "refused") return tested;
      const { delivery } = tested;
      const about = { at: steady.now(), subscription: id, delivery, ...credit(by) };
      await remember({ ...about, kind: "tested", cause: "a test event was sent" });
      return tested;
    },
    startReplay: (filter, by) => steering.startReplay(filter, by),
    stopReplay: (id, by) => steering.stopReplay(id, by),
  };
  const reloading = new Reloading({
    clock,
    log,
    config: () => config,
    load: ports.reload,
    pending: () => outbox.pending(),
    now: () => steady.now(),
    apply,
    remember,
    notify,
    onRejected: () => measures.reloaded({ ok: false, at: clock.wall() }),
  });
  const reload = (request?: ReloadRequest) => reloading.reload(request);
  const notReadyBecause = async () => closedBecause ?? await outbox.unavailableBecause();
  measureEngine(metrics, {
    registry,
    reader: outbox,
    health: (id) => health.of(id),
    isHeld,
    now: () => steady.now(),
    inFlight: () => scheduler.inFlight,
    connections: "connections" in http ? () => (http as Http1Connections).connections : undefined,
    descriptorLimit: descriptors.limit,
    notReadyBecause,
    databasePath: config.storage.path,
    droppedLogLines: ports.droppedLogLines ?? (() => 0),
    keptTimes: () => keptTimes(steady.now(), keep()),
    pinnedJournal: () => journalWatch.pinned,
  });
  const app = createApp({
    ingest,
    admission,
    registry,
    reader: outbox,
    clock,
    log,
    random,
    feed,
    isHeld,
    subscription: find,
    isEnabled: (id) => find(id)?.enabled ?? false,
    health: (id) => health.of(id),
    config: () => config,
    closedBecause: () => closedBecause,
    notReadyBecause,
    pinnedJournal: () => journalWatch.pinned,
    channels: () => notices.all,
    unmatched: () => {
      const turn = new Turn(clock);
      return patternWatch.patterns({ reader: outbox, config, now: steady.now(), turn });
    },
    metrics: () => metrics.expose(new Turn(clock)),
    onRefused: measures.refused,
    onAccessRefused: measures.accessRefused,
    remember: (entry) => remember({ at: steady.now(), ...entry }),
    onShutdown: (end) => {
      streams.add(end);
      // Whoever comes while it stops is let go as soon as its stream has begun.
      if (closedBecause !== undefined) queueMicrotask(end);
      return () => streams.delete(end);
    },
    reload,
    operations,
  });

  function measureSubscriptions(): void {
    const ids = config.subscriptions.map(({ id }) => id);
    measures.configured(ids, (id) => find(id) !== undefined);
  }

  async function start(): Promise<void> {
    measureSubscriptions();
    health.meet(config.subscriptions, steady.now());
    await digests.start();
    await scheduler.start();
    retention.start();
    journalWatch.start();
    replayer.wake();
    unwatchLoop = ports.watchLoop?.(measures.loopDelayed);
    // What is under way can't be recorded any more: there is nothing to wait for.
    void outbox.failed.then(hurry);
  }

  function hurry(): void {
    scheduler.hurry();
  }

  function endStreams(): void {
    for (const end of [...streams]) end();
  }

  async function stop(closeDoor = () => Promise.resolve()): Promise<void> {
    closedBecause = "the daemon is stopping";
    log.stopping();
    admission.stop();
    digests.stop();
    retention.stop();
    journalWatch.stop();
    replayer.stop();
    unwatchLoop?.();
    endStreams();
    await scheduler.stop({ graceMs: config.server.shutdownGraceMs });
    const left = scheduler.inFlight;
    dispatcher.stop();
    await transport.close();
    await closeDoor();
    feed.close();
    await timeMarks.beat();
    await outbox.close();
    log.stopped({ left });
  }

  /** Tells operators of something that no attempt brought about. */
  async function notify(notice: Notice): Promise<void> {
    const events = notices.compose(notice);
    if (events.length === 0) return;
    const told = await outbox.enqueue({ events, at: notice.at });
    if (told.kind === "accepted") scheduler.accept(told.claims, told.unclaimed);
  }

  /** Swaps the config in one turn; what only a restart can change stays as it is. */
  async function apply(next: Config): Promise<void> {
    const index = await new Turn(clock).run(SubscriptionIndex.building(next.subscriptions));
    // Who may still listen asks again, and is let in again.
    if (!haveSameOperators(config.auth, next.auth)) endStreams();
    const { listen, socketMode, socketGroup } = config.server;
    const { socketGroup: _, ...server } = next.server;
    config = {
      ...next,
      server: { ...server, listen, socketMode, ...(socketGroup !== undefined && { socketGroup }) },
      storage: { ...next.storage, path: config.storage.path },
    };
    const switched = next.subscriptions.filter(({ id, enabled }) =>
      (registry.find(id)?.enabled ?? enabled) !== enabled
    );
    registry.swap(config.subscriptions, index);
    notices.swap(config);
    health.meet(config.subscriptions, steady.now());
    health.switched(switched, steady.now());
    measureSubscriptions();
    measures.reloaded({ ok: true, at: clock.wall() });
    await scheduler.refresh();
  }

  return { app, ingest, operations, outbox, failed: outbox.failed, reload, start, hurry, stop };
}
