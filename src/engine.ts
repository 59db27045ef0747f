import type { Config, Problem } from "./config/config.ts";
import { diffConfigs, formatDiff } from "./config/diff.ts";
import { isLocal } from "./config/listen.ts";
import { formatProblem, type Loaded } from "./config/load.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { HealthBoard } from "./dispatch/health_board.ts";
import { type Notice, Notices } from "./dispatch/notices.ts";
import { Replayer } from "./dispatch/replayer.ts";
import { Retention } from "./dispatch/retention.ts";
import { Scheduler } from "./dispatch/scheduler.ts";
import { Steering } from "./dispatch/steering.ts";
import { measureEngine } from "./engine_metrics.ts";
import { haveSameOperators } from "./http/access.ts";
import { createApp } from "./http/app.ts";
import { ChangeFeed } from "./http/change_feed.ts";
import type { Operations } from "./http/operations.ts";
import type { ReloadReport } from "./http/reload.ts";
import { Admission } from "./ingest/admission.ts";
import { Ingest } from "./ingest/ingest.ts";
import { Registry } from "./ingest/registry.ts";
import { tracedOutbox } from "./ingest/traced_outbox.ts";
import type { HistoryEntry } from "./outbox/outbox.ts";
import { openSqliteOutbox, type SqliteOutbox } from "./outbox/sqlite/sqlite_outbox.ts";
import type { Clock } from "./runtime/clock.ts";
import { type Environment, systemEnvironment } from "./runtime/environment.ts";
import type { Log } from "./runtime/log.ts";
import { measuresIn } from "./runtime/measures.ts";
import { Metrics } from "./runtime/metrics.ts";
import { measureProcess } from "./runtime/process_metrics.ts";
import type { Random } from "./runtime/random.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import type { Tracing } from "./runtime/tracing.ts";
import { noticeTransport } from "./transport/notice_transport.ts";
import type { Transport } from "./transport/transport.ts";
import { http1Transport } from "./transport/http1_transport.ts";

/** The world, as the engine meets it. */
export interface EnginePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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
  /** What keeps traces, where they are on. */
  readonly tracing?: Tracing | undefined;
  /** Reads the config anew; without it a reload is refused. */
  readonly reload?: () => Promise<Loaded>;
}

/** Everything of a daemon but its socket. */
export interface Engine {
  readonly app: ReturnType<typeof createApp>;
  readonly ingest: Ingest;
  readonly operations: Operations;
  readonly outbox: SqliteOutbox;
  /** Resolves when the database has failed. */
  readonly failed: Promise<Error>;
  reload(how?: { readonly dryRun?: boolean; readonly by?: string }): Promise<ReloadReport>;
  /** Ends the grace of a stop that is under way. */
  hurry(): void;
  /** Attempts under way get their grace; `closeDoor` ends what lets requests in. */
  stop(closeDoor?: () => Promise<void>): Promise<void>;
}

/** Opens the outbox and sets going what works on it. */
export async function startEngine(config: Config, ports: EnginePorts): Promise<Engine> {
  const { path } = config.storage;
  const outbox = await (ports.openOutbox?.(path) ?? openSqliteOutbox(path, {
    onCopied: (copied) => ports.log.copiedBeforeMigration({ database: path, ...copied }),
  }));
  try {
    const health = new HealthBoard(outbox, await outbox.health());
    const { start, ...engine } = compose(config, { ...ports, outbox, health });
    await start();
    return engine;
  } catch (error) {
    await outbox.close();
    throw error;
  }
}

function compose(
  initial: Config,
  ports: EnginePorts & { readonly outbox: SqliteOutbox; readonly health: HealthBoard },
): Engine & { start(): Promise<void> } {
  const { clock, random, log, outbox, health, tracing } = ports;
  let config = initial;
  let closedBecause: string | undefined;
  const steady = new SteadyClock(clock);
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
  const notices = new Notices({ random, config });
  const find = (id: string) => registry.find(id) ?? notices.subscription(id);
  const transport = noticeTransport({
    http: ports.transport ?? http1Transport({ clock }),
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
    onNotice: (channel) => scheduler.noteDue(channel, steady.now()),
  });
  const scheduler: Scheduler = new Scheduler({
    outbox,
    clock,
    steady,
    log,
    subscription: find,
    isPaused: (id) => health.isPaused(id),
    attempt: (claim, subscription) => dispatcher.attempt(claim, subscription),
    totalConcurrency: () => config.totalConcurrency,
    onBeat: ports.onBeat,
  });
  const retention = new Retention({
    outbox,
    clock,
    steady,
    log,
    keep: () => ({
      deliveredMs: config.storage.keepDeliveredMs,
      exhaustedMs: config.storage.keepExhaustedMs,
    }),
  });
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
  const replayer = new Replayer({
    outbox,
    reader: outbox,
    clock,
    steady,
    log,
    onDue: (id) => scheduler.noteDue(id, steady.now()),
  });
  const feed = new ChangeFeed({ reader: outbox, clock });
  const streams = new Set<() => void>();
  /** Who did what; a deed stands whether or not this can be kept. */
  const remember = (entry: HistoryEntry) =>
    outbox.remember(entry).catch((error) => log.historyNotKept(entry.kind, error));

  const isHeld = (id: string) => !find(id)?.enabled || health.isPaused(id);
  const steering = new Steering({
    outbox,
    reader: outbox,
    scheduler,
    health,
    steady,
    remember,
    subscription: find,
    onPaused: (id, { at, cause, by }) =>
      notify({
        at,
        kind: "subscription.paused",
        summary: `${id} was ${cause}`,
        subscription: id,
        since: at,
        by,
        command: `bellhook resume ${id}`,
      }),
  });
  const operations: Operations = {
    retry: (id, by) => steering.retry(id, by),
    cancel: (id, by) => steering.cancel(id, by),
    pause: (id, by) => steering.pause(id, by),
    resume: (id, by) => steering.resume(id, by),
    async test(id, { by, ...request }) {
      const subscription = registry.find(id);
      if (!subscription) return undefined;
      const tested = await ingest.test(subscription, request);
      const { delivery } = tested;
      const about = { at: steady.now(), subscription: id, delivery, by };
      await remember({ ...about, kind: "tested", cause: "a test event was sent" });
      return tested;
    },
    async startReplay(filter, by) {
      const at = steady.now();
      const { id, total } = await outbox.startReplay({ filter, by, at });
      const about = filter.subscription === undefined ? {} : { subscription: filter.subscription };
      const cause = `${total} deliveries are sent again by ${id}`;
      await remember({ at, kind: "replayed", ...about, cause, by });
      replayer.wake();
      return id;
    },
  };
  const notReadyBecause = async () => closedBecause ?? await outbox.unavailableBecause();
  measureEngine(metrics, {
    registry,
    reader: outbox,
    health: (id) => health.of(id),
    isHeld,
    now: () => steady.now(),
    inFlight: () => scheduler.inFlight,
    notReadyBecause,
    databasePath: config.storage.path,
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
    metrics: () => metrics.expose(),
    onRefused: measures.refused,
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
    await scheduler.start();
    retention.start();
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
    retention.stop();
    replayer.stop();
    unwatchLoop?.();
    endStreams();
    await scheduler.stop({ graceMs: config.server.shutdownGraceMs });
    const left = scheduler.inFlight;
    dispatcher.stop();
    await transport.close();
    await closeDoor();
    feed.close();
    await outbox.close();
    log.stopped({ left });
  }

  /** Tells operators of something that no attempt brought about. */
  async function notify(notice: Notice): Promise<void> {
    const event = notices.compose(notice);
    if (!event) return;
    const told = await outbox.enqueue({ events: [event], at: notice.at });
    if (told.kind === "accepted") scheduler.accept(told.claims, told.unclaimed);
  }

  let rejectedBefore: string | undefined;
  let reloading: Promise<unknown> = Promise.resolve();

  /** One after the other: each compares with what the one before has put in force. */
  function reload(
    { dryRun = false, by = "signal" }: { dryRun?: boolean; by?: string } = {},
  ): Promise<ReloadReport> {
    const report = reloading.then(() => reloadNow({ dryRun, by }));
    reloading = report.catch(() => {});
    return report;
  }

  async function reloadNow(
    { dryRun, by }: { dryRun: boolean; by: string },
  ): Promise<ReloadReport> {
    if (!ports.reload) return rejected([{ path: "", message: "this daemon has no config file" }]);
    // Asked for first: what was loaded is in force in the same turn.
    const pending = await outbox.pending();
    const loaded = await ports.reload();
    if (!loaded.ok) {
      if (!dryRun) await reject(loaded.problems.map(formatProblem), by);
      return rejected(
        loaded.problems.map((problem) => ({
          path: problem.path,
          message: asSentence(problem),
        })),
      );
    }
    if (!loaded.config.auth && !isLocal(config.server.listen)) {
      const message = 'is missing, and others than this machine can call until "server.listen" ' +
        "changes, which takes a restart: restart with the file as it is, or leave the tokens in it";
      if (!dryRun) await reject([`auth: ${message}`], by);
      return rejected([{ path: "auth", message }]);
    }
    const diff = diffConfigs(config, loaded.config);
    const report: ReloadReport = {
      kind: "reloaded",
      ...diff,
      changes: formatDiff(diff, pending),
      warnings: loaded.warnings.map(formatProblem),
    };
    if (!dryRun) await putInForce(loaded.config, report, by);
    return report;
  }

  async function putInForce(
    next: Config,
    report: ReloadReport & { kind: "reloaded" },
    by: string,
  ) {
    // Who may still listen asks again, and is let in again.
    if (!haveSameOperators(config.auth, next.auth)) endStreams();
    // What only a restart can change stays as it is, whatever the file says.
    config = {
      ...next,
      server: { ...next.server, listen: config.server.listen },
      storage: { ...next.storage, path: config.storage.path },
    };
    rejectedBefore = undefined;
    const switched = next.subscriptions.filter(({ id, enabled }) =>
      (registry.find(id)?.enabled ?? enabled) !== enabled
    );
    registry.swap(config.subscriptions);
    notices.swap(config);
    health.meet(config.subscriptions, steady.now());
    health.switched(switched, steady.now());
    measureSubscriptions();
    measures.reloaded({ ok: true, at: clock.wall() });
    await scheduler.refresh();
    const cause = report.changes.join("; ") || "nothing changed";
    log.configReloaded(cause);
    await remember({ at: steady.now(), kind: "reloaded", cause, by });
  }

  async function reject(problems: readonly string[], by: string) {
    log.configRejected(problems);
    // The same bad file is told once, however often it is tried.
    const words = problems.join("\n");
    if (rejectedBefore === words) return;
    measures.reloaded({ ok: false, at: clock.wall() });
    const at = steady.now();
    // Asked for in one turn they share a commit.
    await Promise.all([
      remember({ at, kind: "rejected", cause: problems[0] ?? "", by }),
      notify({
        at,
        kind: "config.rejected",
        summary: `the config file has ${problems.length} ${
          problems.length === 1 ? "problem" : "problems"
        }; the one before stays in force`,
        problems,
        by,
        command: "bellhook check",
      }).then(
        () => rejectedBefore = words,
        (error) => log.configRejected([`nobody can be told of it now: ${error}`]),
      ),
    ]);
  }

  return { app, ingest, operations, outbox, failed: outbox.failed, reload, start, hurry, stop };
}

/** Where it is, what is wrong, how to mend it: a config may be many files. */
function asSentence(problem: Problem): string {
  const [where, ...rest] = formatProblem(problem).split("\n");
  return `${where!.split("  ")[0]}: ${rest.map((line) => line.trim()).join("; ")}`;
}

function rejected(problems: (ReloadReport & { kind: "rejected" })["problems"]): ReloadReport {
  return { kind: "rejected", problems };
}
