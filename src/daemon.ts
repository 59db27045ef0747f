import type { Config } from "./config/config.ts";
import { diffConfigs } from "./config/diff.ts";
import { formatProblem, type Loaded } from "./config/load.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { HealthBoard } from "./dispatch/health_board.ts";
import { Retention } from "./dispatch/retention.ts";
import { Scheduler } from "./dispatch/scheduler.ts";
import { Steering } from "./dispatch/steering.ts";
import { createApp, type ReloadReport } from "./http/app.ts";
import { Ingest } from "./ingest/ingest.ts";
import { Registry } from "./ingest/registry.ts";
import { openSqliteOutbox } from "./outbox/sqlite/sqlite_outbox.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Log } from "./runtime/log.ts";
import type { Random } from "./runtime/random.ts";
import { SteadyClock } from "./runtime/steady_clock.ts";
import type { Transport } from "./transport/transport.ts";
import { undiciTransport } from "./transport/undici_transport.ts";
import { VERSION } from "./version.ts";

/** The world, as a daemon meets it. */
export interface DaemonPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Undici, unless another is given. */
  readonly transport?: Transport;
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
    const transport = ports.transport ?? undiciTransport({ clock });
    const dispatcher = new Dispatcher({ outbox, transport, clock, steady, health, log });
    const scheduler = new Scheduler({
      outbox,
      clock,
      steady,
      log,
      subscription: (id) => registry.find(id),
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

    async function reload(): Promise<ReloadReport> {
      if (!ports.reload) return rejected([{ path: "", message: "this daemon has no config file" }]);
      const loaded = await ports.reload();
      if (!loaded.ok) {
        log.configRejected(loaded.problems.map(formatProblem));
        return rejected(
          loaded.problems.map(({ file, line, path, message, fix }) => ({
            path: path || `${file}${line === undefined ? "" : `:${line}`}`,
            message: fix === undefined ? message : `${message}; ${fix}`,
          })),
        );
      }
      const diff = diffConfigs(config, loaded.config);
      // What only a restart can change stays as it is, whatever the file says.
      config = {
        ...loaded.config,
        server: { ...loaded.config.server, listen: config.server.listen },
        storage: { ...loaded.config.storage, path: config.storage.path },
      };
      registry.swap(config.subscriptions);
      await scheduler.refresh();
      const report: ReloadReport = {
        kind: "reloaded",
        ...diff,
        warnings: loaded.warnings.map(formatProblem),
      };
      log.configReloaded(summaryOf(report));
      return report;
    }

    const isHeld = (id: string) => !registry.find(id)?.enabled || health.isPaused(id);
    const steering = new Steering({
      outbox,
      reader: outbox,
      scheduler,
      health,
      steady,
      subscription: (id) => registry.find(id),
    });
    const app = createApp({
      registry,
      reader: outbox,
      isHeld,
      health: (id) => health.of(id),
      operations: {
        retry: (id) => steering.retry(id),
        cancel: (id, by) => steering.cancel(id, by),
        pause: (id, by) => steering.pause(id, by),
        resume: (id) => steering.resume(id),
        test: async (id, sample) => {
          const subscription = registry.find(id);
          return subscription && await ingest.test(subscription, sample);
        },
      },
      ingest,
      clock,
      log,
      config: () => config,
      closedBecause: () => closedBecause,
      notReadyBecause: () => Promise.resolve(closedBecause),
      reload,
    });
    await scheduler.start();
    retention.start();
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
      reload,
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

function summaryOf(report: ReloadReport & { kind: "reloaded" }): string {
  const parts = (["added", "changed", "removed", "settings", "needsRestart"] as const)
    .filter((name) => report[name].length > 0)
    .map((name) => `${name}: ${report[name].join(", ")}`);
  return parts.length === 0 ? "nothing changed" : parts.join("; ");
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
