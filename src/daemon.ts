import type { Config } from "./config/config.ts";
import { type Engine, type EnginePorts, startEngine } from "./engine.ts";
import type { ReloadReport } from "./http/reload.ts";
import { VERSION } from "./version.ts";

export type DaemonPorts = EnginePorts;

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
export async function startDaemon(config: Config, ports: DaemonPorts): Promise<Daemon> {
  const engine = await startEngine(config, ports);
  const server = await listenOrStop(config, engine);
  ports.log.started({
    url: server.url,
    version: VERSION,
    subscriptions: config.subscriptions.length,
    database: config.storage.path,
  });
  let stopping: Promise<void> | undefined;
  return {
    url: server.url,
    failed: engine.failed,
    reload: () => engine.reload(),
    stop: () => stopping ??= engine.stop(() => server.close()),
  };
}

async function listenOrStop(config: Config, engine: Engine): Promise<Listening> {
  try {
    return listen(config.server.listen, (request) => engine.app.fetch(request));
  } catch (error) {
    await engine.stop();
    throw error;
  }
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
