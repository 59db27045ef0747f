import type { Config } from "./config/config.ts";
import { diffConfigs, formatDiff } from "./config/diff.ts";
import { formatProblem, type Loaded } from "./config/load.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { HealthBoard } from "./dispatch/health_board.ts";
import { type Notice, Notices } from "./dispatch/notices.ts";
import { Replayer } from "./dispatch/replayer.ts";
import { Retention } from "./dispatch/retention.ts";
import { Scheduler } from "./dispatch/scheduler.ts";
import { Steering } from "./dispatch/steering.ts";
import { createApp } from "./http/app.ts";
import { ChangeFeed } from "./http/change_feed.ts";
import type { Operations } from "./http/operations.ts";
import type { ReloadReport } from "./http/reload.ts";
import { Ingest } from "./ingest/ingest.ts";
import { Registry } from "./ingest/registry.ts";
import type { HistoryEntry } from "./outbox/outbox.ts";
import { openSqliteOutbox, type SqliteOutbox } from "./outbox/sqlite/sqlite_outbox.ts";
import type { Clock } from "./runtime/clock.ts";
import { type Environment, systemEnvironment } from "./runtime/environment.ts";
import type { Log } from "./runtime/log.ts";
import type { Random } from "./runtime/random.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import { noticeTransport } from "./transport/notice_transport.ts";
import type { Transport } from "./transport/transport.ts";
import { undiciTransport } from "./transport/undici_transport.ts";

/** The world, as the engine meets it. */
export interface EnginePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Undici, unless another is given. */
  readonly transport?: Transport;
  /** The process's own, unless another is given. */
  readonly environment?: Environment;
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
  /** Attempts under way get their grace; `closeDoor` ends what lets requests in. */
  stop(closeDoor?: () => Promise<void>): Promise<void>;
}

/** Opens the outbox and sets going what works on it. */
export async function startEngine(config: Config, ports: EnginePorts): Promise<Engine> {
  const outbox = await openSqliteOutbox(config.storage.path);
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
  const { clock, random, log, outbox, health } = ports;
  let config = initial;
  let closedBecause: string | undefined;
  const steady = new SteadyClock(clock);
  const registry = new Registry(config.subscriptions);
  const notices = new Notices({ random, config });
  const find = (id: string) => registry.find(id) ?? notices.subscription(id);
  const transport = noticeTransport({
    http: ports.transport ?? undiciTransport({ clock }),
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
  const ingest = new Ingest({
    outbox,
    registry,
    steady,
    random,
    config: () => config,
    hasRoom: (id) => scheduler.hasRoom(id),
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
  const app = createApp({
    ingest,
    registry,
    reader: outbox,
    clock,
    log,
    feed,
    isHeld,
    subscription: find,
    isEnabled: (id) => find(id)?.enabled ?? false,
    health: (id) => health.of(id),
    config: () => config,
    closedBecause: () => closedBecause,
    notReadyBecause: async () => closedBecause ?? await outbox.unavailableBecause(),
    onShutdown: (end) => {
      streams.add(end);
      return () => streams.delete(end);
    },
    reload,
    operations,
  });

  async function start(): Promise<void> {
    await scheduler.start();
    retention.start();
    replayer.wake();
  }

  async function stop(closeDoor = () => Promise.resolve()): Promise<void> {
    closedBecause = "the daemon is stopping";
    log.stopping();
    retention.stop();
    replayer.stop();
    for (const end of [...streams]) end();
    feed.close();
    await scheduler.stop({ graceMs: config.server.shutdownGraceMs });
    const left = scheduler.inFlight;
    dispatcher.stop();
    await transport.close();
    await closeDoor();
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
    const loaded = await ports.reload();
    if (!loaded.ok) {
      if (!dryRun) await reject(loaded.problems.map(formatProblem), by);
      return rejected(
        loaded.problems.map(({ file, line, path, message, fix }) => ({
          path: path || `${file}${line === undefined ? "" : `:${line}`}`,
          message: fix === undefined ? message : `${message}; ${fix}`,
        })),
      );
    }
    const diff = diffConfigs(config, loaded.config);
    const report: ReloadReport = {
      kind: "reloaded",
      ...diff,
      changes: formatDiff(diff),
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
    // What only a restart can change stays as it is, whatever the file says.
    config = {
      ...next,
      server: { ...next.server, listen: config.server.listen },
      storage: { ...next.storage, path: config.storage.path },
    };
    registry.swap(config.subscriptions);
    notices.swap(config);
    await scheduler.refresh();
    const cause = report.changes.join("; ") || "nothing changed";
    log.configReloaded(cause);
    await remember({ at: steady.now(), kind: "reloaded", cause, by });
  }

  async function reject(problems: readonly string[], by: string) {
    log.configRejected(problems);
    const at = steady.now();
    await remember({ at, kind: "rejected", cause: problems[0] ?? "", by });
    await notify({
      at,
      kind: "config.rejected",
      summary: `the config file has ${problems.length} problems; the one before stays in force`,
      problems,
      by,
      command: "bellhook check",
    });
  }

  return { app, ingest, operations, outbox, failed: outbox.failed, reload, start, stop };
}

function rejected(problems: (ReloadReport & { kind: "rejected" })["problems"]): ReloadReport {
  return { kind: "rejected", problems };
}
