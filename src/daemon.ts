import type { Config } from "./config/config.ts";
import { type Engine, startEngine } from "./engine.ts";
import { notePeer } from "./http/peer.ts";
import { refused } from "./http/problem.ts";
import type { ReloadReport } from "./http/reload.ts";
import { listenOn, StartError } from "./listening.ts";
import type { EnginePorts } from "./parts.ts";
import { startServer } from "./server/server.ts";
import { VERSION } from "./version.ts";

export type DaemonPorts = EnginePorts;

export interface Daemon {
  /** `http://127.0.0.1:8420` or `unix:/path`. */
  readonly url: string;
  /** Resolves when the database has failed: whoever runs the daemon ends it with an error. */
  readonly failed: Promise<Error>;
  reload(): Promise<ReloadReport>;
  /**
   * No new events; attempts under way get their grace; what is left stays pending. Called again
   * while it stops, it waits for no attempt any more.
   */
  stop(): Promise<void>;
}

export { StartError };

/** Config and ports in, a running daemon out. Throws StartError, OutboxLocked, NewerSchemaError. */
export async function startDaemon(config: Config, ports: DaemonPorts): Promise<Daemon> {
  const engine = await startEngine(config, ports);
  const server = await listenOrStop(config, engine, ports);
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
    stop() {
      if (stopping) engine.skipGrace();
      return stopping ??= engine.stop(() => server.close());
    },
  };
}

async function listenOrStop(
  config: Config,
  engine: Engine,
  ports: DaemonPorts,
): Promise<{ url: string; close(): Promise<void> }> {
  try {
    return await listen(config, engine, ports);
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

/** So long may an answer take that is on its way when all else has stopped. */
const LAST_ANSWERS_MS = 1_000;

async function listen({ server }: Config, { app }: Engine, ports: DaemonPorts) {
  const { clock, log, tracing } = ports;
  const { url, host, listener, again, remove } = await listenOn(server.listen, {
    mode: server.socketMode,
    group: server.socketGroup,
  });
  let first: typeof listener | undefined = listener;
  const running = startServer({
    clock,
    ownHost: host,
    listen() {
      const opened = first ?? again();
      first = undefined;
      return opened;
    },
    handle(request, peer) {
      notePeer(request, peer);
      if (!tracing) return app.fetch(request);
      const { method, url, headers } = request;
      const path = URL.parse(url)?.pathname ?? "";
      const traceparent = headers.get("traceparent");
      return tracing.serving({ method, path, traceparent }, async () => await app.fetch(request));
    },
    refuse: refused,
    maxConnections: Math.min(MAX_CONNECTIONS, ports.descriptors?.incoming ?? Infinity),
    onAcceptFailed: (error) => log.acceptFailed(error),
  });
  return {
    url,
    async close() {
      await running.close(LAST_ANSWERS_MS);
      await remove();
    },
  };
}

/** However many descriptors there are: each connection takes some memory as well. */
const MAX_CONNECTIONS = 4_096;
