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
import type { ReloadReport } from "./http/reload.ts";
import { Ingest } from "./ingest/ingest.ts";
import { Registry } from "./ingest/registry.ts";
import { openSqliteOutbox } from "./outbox/sqlite/sqlite_outbox.ts";
import type { Clock } from "./runtime/clock.ts";
import { type Environment, systemEnvironment } from "./runtime/environment.ts";
import type { Log } from "./runtime/log.ts";
import type { Random } from "./runtime/random.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import type { Transport } from "./transport/transport.ts";
import { noticeTransport } from "./transport/notice_transport.ts";
import { undiciTransport } from "./transport/undici_transport.ts";
import { VERSION } from "./version.ts";

/** The world, as a daemon meets it. */
export interface DaemonPorts {
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

export interface Daemon {
  /** `http://127.0.0.1:8420` or `unix:/path`. */
  readonly url: string;
  /** Resolves when the database has failed: whoever runs the daemon ends it with an error. */
  readonly failed: Promise<Error>;
  reload(): Promise<ReloadReport>;
  /** No new events; attempts under way get their grace; what is left stays pending. */
  stop(): Promise<void>;
}

/** A daemon that cannot start, in words for the operator. */
export class StartError extends Error {}

/** Config and ports in, a running daemon out. Throws StartError, OutboxLocked, NewerSchemaError. */
export async function startDaemon(initial: Config, ports: DaemonPorts): Promise<Daemon> {
  const { clock, random, log } = ports;
  let config = initial;
  let closedBecause: string | undefined;
  const steady = new SteadyClock(clock);
  const outbox = await openSqliteOutbox(config.storage.path);
  try {
    const registry = new Registry(config.subscriptions);
    const health = new HealthBoard(outbox, await outbox.health());
    const notices = new Notices({ random, config });
    const transport = noticeTransport({
      http: ports.transport ?? undiciTransport({ clock }),
      clock,
      environment: ports.environment ?? systemEnvironment,
      channel: (id) => notices.channel(id),
    });
    const find = (id: string) => registry.find(id) ?? notices.subscription(id);
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

    /** Tells operators of something that no attempt brought about. */
    async function notify(notice: Notice): Promise<void> {
      const event = notices.compose(notice);
      if (!event) return;
      const told = await outbox.enqueue({ events: [event], at: notice.at });
      if (told.kind === "accepted") scheduler.accept(told.claims, told.unclaimed);
    }

    async function reload({ dryRun = false, by = "signal" } = {}): Promise<ReloadReport> {
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
      await outbox.remember({ at: steady.now(), kind: "reloaded", cause, by });
    }

    async function reject(problems: readonly string[], by: string) {
      log.configRejected(problems);
      const at = steady.now();
      await outbox.remember({ at, kind: "rejected", cause: problems[0] ?? "", by });
      await notify({
        at,
        kind: "config.rejected",
        summary: `the config file has ${problems.length} problems; the one before stays in force`,
        problems,
        by,
        command: "bellhook check",
      });
    }

    const isHeld = (id: string) => !find(id)?.enabled || health.isPaused(id);
    const steering = new Steering({
      outbox,
      reader: outbox,
      scheduler,
      health,
      steady,
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
    const app = createApp({
      ingest,
      registry,
      reader: outbox,
      clock,
      log,
      feed,
      isHeld,
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
      operations: {
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
          await outbox.remember({ ...about, kind: "tested", cause: "a test event was sent" });
          return tested;
        },
        async startReplay(filter, by) {
          const at = steady.now();
          const { id, total } = await outbox.startReplay({ filter, by, at });
          const about = filter.subscription === undefined
            ? {}
            : { subscription: filter.subscription };
          const cause = `${total} deliveries are sent again by ${id}`;
          await outbox.remember({ at, kind: "replayed", ...about, cause, by });
          replayer.wake();
          return id;
        },
      },
    });
    await scheduler.start();
    retention.start();
    replayer.wake();
    const server = listen(config.server.listen, (request) => app.fetch(request));
    log.started({
      url: server.url,
      version: VERSION,
      subscriptions: registry.size,
      database: config.storage.path,
    });

    let stopping: Promise<void> | undefined;
    async function stop(): Promise<void> {
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
      await server.close();
      await outbox.close();
      log.stopped({ left });
    }
    return {
      url: server.url,
      failed: outbox.failed,
      reload: () => reload(),
      stop: () => stopping ??= stop(),
    };
  } catch (error) {
    await outbox.close();
    throw error;
  }
}

function rejected(problems: (ReloadReport & { kind: "rejected" })["problems"]): ReloadReport {
  return { kind: "rejected", problems };
}

interface Listening {
  readonly url: string;
  close(): Promise<void>;
}

function listen(
  where: Config["server"]["listen"],
  handler: (request: Request) => Response | Promise<Response>,
): Listening {
  const onListen = () => {};
  // Connections are closed once their answer is out, so that shutdown() need not wait for them.
  const server = where.kind === "unix"
    ? Deno.serve({ path: freedSocket(where.path), onListen }, handler)
    : serveTcp(where, handler);
  const { addr } = server;
  const url = addr.transport === "tcp"
    ? `http://${addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname}:${addr.port}`
    : `unix:${(where as { path: string }).path}`;
  return {
    url,
    async close() {
      await server.shutdown();
      if (where.kind === "unix") await Deno.remove(where.path).catch(() => {});
    },
  };
}

function serveTcp(
  { host, port }: { host: string; port: number },
  handler: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname: host, port, onListen() {} }, handler);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new StartError(
        `can't listen on ${host}:${port}: another program does. ` +
          "Stop it, or set server.listen to another port",
      );
    }
    if (error instanceof Deno.errors.AddrNotAvailable) {
      throw new StartError(`can't listen on ${host}:${port}: this machine has no such address`);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new StartError(`can't listen on ${host}:${port}: ${error.message}`);
    }
    throw error;
  }
}

/** Takes a socket file away that a daemon left behind; the database's lock says that it is gone. */
function freedSocket(path: string): string {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return path;
}
