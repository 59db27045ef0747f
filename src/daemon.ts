import { dirname } from "node:path";
import { setImmediate } from "node:timers";
import type { Config, Listen } from "./config/config.ts";
import { type Engine, type EnginePorts, startEngine } from "./engine.ts";
import { peerOf } from "./http/peer.ts";
import type { ReloadReport } from "./http/reload.ts";
import type { Clock } from "./runtime/clock.ts";
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

/** A daemon that cannot start, in words for the operator. */
export class StartError extends Error {}

/** Config and ports in, a running daemon out. Throws StartError, OutboxLocked, NewerSchemaError. */
export async function startDaemon(config: Config, ports: DaemonPorts): Promise<Daemon> {
  const engine = await startEngine(config, ports);
  const server = await listenOrStop(config, engine, ports.clock);
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
      if (stopping) engine.hurry();
      return stopping ??= engine.stop(() => server.close());
    },
  };
}

async function listenOrStop(config: Config, engine: Engine, clock: Clock): Promise<Listening> {
  try {
    return await listen(
      config.server.listen,
      (request, peer) => engine.app.fetch(request, peer),
      clock,
    );
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

/** So long may an answer take that is on its way when all else has stopped. */
const LAST_ANSWERS_MS = 1_000;
const TURNS_TO_LEAVE = 10;

interface Listening {
  readonly url: string;
  close(): Promise<void>;
}

async function listen(
  where: Listen,
  answer: (request: Request, peer: string | undefined) => Response | Promise<Response>,
  clock: Clock,
): Promise<Listening> {
  const closing = new AbortController();
  const answering = new Set<Promise<void>>();
  const options = { signal: closing.signal, onListen() {} };
  const handler: Deno.ServeHandler = (request, info) => {
    const { completed } = info;
    answering.add(completed);
    const forget = () => void answering.delete(completed);
    completed.then(forget, forget);
    return answer(request, peerOf(info));
  };
  const server = await bind(where, options, handler);
  // Deno throws where nobody can catch it if a server that has ended is told to end.
  let hasFinished = false;
  server.finished.finally(() => hasFinished = true);
  const { addr } = server;
  const url = addr.transport === "tcp"
    ? `http://${spelled({ kind: "tcp", host: addr.hostname, port: addr.port })}`
    : spelled(where);
  return {
    url,
    async close() {
      // Not shutdown(), which waits for whoever sends half a request or reads no answer.
      const late = Promise.withResolvers<void>();
      const cancelTimer = clock.after(LAST_ANSWERS_MS, late.resolve);
      await Promise.race([Promise.allSettled(answering), late.promise]);
      cancelTimer();
      // Deno tells that an answer is complete as it is handed over, and not that it has left.
      for (let turn = 0; turn < TURNS_TO_LEAVE; turn++) await turnOfTheLoop();
      if (!hasFinished) closing.abort();
      await server.finished;
      if (where.kind === "unix") await Deno.remove(where.path).catch(() => {});
    },
  };
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Throws StartError where it cannot listen there. */
async function bind(
  where: Listen,
  options: { signal: AbortSignal; onListen(): void },
  handler: Deno.ServeHandler,
): Promise<Deno.HttpServer<Deno.Addr>> {
  try {
    return where.kind === "unix"
      ? Deno.serve({ path: await freedSocket(where.path), ...options }, handler)
      : Deno.serve({ hostname: where.host, port: where.port, ...options }, handler);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof StartError) throw error;
    const { why, mend } = where.kind === "unix"
      ? socketTrouble(where.path, error)
      : addressTrouble(where.host, error);
    throw new StartError(`can't listen on ${spelled(where)}: ${why}. ${mend}`);
  }
}

interface Trouble {
  readonly why: string;
  readonly mend: string;
}

function addressTrouble(host: string, error: Error): Trouble {
  if (error instanceof Deno.errors.AddrInUse) {
    return {
      why: "another program does",
      mend: "Stop it, or set server.listen to another port",
    };
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return {
      why: "this machine has no such address",
      mend: "Set server.listen to one that it has",
    };
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return {
      why: "Bellhook may not",
      mend: "Set server.listen to a port above 1023, or give it CAP_NET_BIND_SERVICE",
    };
  }
  if (error.message.includes("lookup")) {
    return {
      why: `the name "${host}" leads to no address`,
      mend: "Set server.listen to an address of this machine",
    };
  }
  return { why: error.message, mend: "Set server.listen to another address" };
}

function socketTrouble(path: string, error: Error): Trouble {
  const folder = dirname(path);
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
    return {
      why: `there is no folder "${folder}"`,
      mend: "Make it, or set server.listen to another path",
    };
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return {
      why: `Bellhook may not write in "${folder}"`,
      mend: "Let it, or set server.listen to another path",
    };
  }
  return { why: error.message, mend: "Set server.listen to another path" };
}

/** As the config file has it. */
function spelled(where: Listen): string {
  if (where.kind === "unix") return `unix:${where.path}`;
  return `${where.host.includes(":") ? `[${where.host}]` : where.host}:${where.port}`;
}

/** Takes a socket file away that a killed daemon left behind; one that answers is another's. */
async function freedSocket(path: string): Promise<string> {
  if (await isListening(path)) {
    throw new StartError(
      `can't listen on unix:${path}: another program does. ` +
        "Stop it, or set server.listen to another socket",
    );
  }
  try {
    if (!Deno.lstatSync(path).isSocket) {
      throw new StartError(
        `can't listen on unix:${path}: it is there and no socket. ` +
          "Move it away, or set server.listen to another path",
      );
    }
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return path;
}

/** Whether somebody does; one that is too busy to be connected to does as well. */
async function isListening(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    return error instanceof Deno.errors.WouldBlock;
  }
}
