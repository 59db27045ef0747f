import { dirname } from "node:path";
import type { Listen } from "./config/config.ts";
import type { Listener } from "./server/server.ts";

/** A daemon that cannot start, in words for the operator. */
export class StartError extends Error {}

/** What a daemon listens on. */
export interface Listening {
  /** `http://127.0.0.1:8420` or `unix:/path`. */
  readonly url: string;
  /** `127.0.0.1:8420`, what a request that names no host is taken to ask for. */
  readonly host: string;
  readonly listener: Listener;
  /** Listens there once more, where the listener has broken. */
  again(): Listener;
  /** Takes away what a closed listener leaves behind. */
  remove(): Promise<void>;
}

/** Who may connect to a Unix socket. */
export interface SocketAccess {
  readonly mode: number;
  /** The group that it belongs to, by name or number; undefined: the process's own. */
  readonly group: string | undefined;
}

/** Throws StartError where it cannot listen there. */
export async function listenOn(where: Listen, access: SocketAccess): Promise<Listening> {
  try {
    return where.kind === "unix" ? await onSocket(where.path, access) : onAddress(where);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof StartError) throw error;
    const { why, mend } = where.kind === "unix"
      ? socketTrouble(where.path, error)
      : addressTrouble(where.host, error);
    throw new StartError(`can't listen on ${spelled(where)}: ${why}. ${mend}`);
  }
}

function onAddress(where: Listen & { kind: "tcp" }): Listening {
  const listener = Deno.listen({ hostname: where.host, port: where.port });
  const { hostname, port } = listener.addr;
  const host = spelled({ kind: "tcp", host: hostname, port });
  return {
    url: `http://${host}`,
    host,
    listener,
    again: () => Deno.listen({ hostname: where.host, port }),
    remove: () => Promise.resolve(),
  };
}

async function onSocket(path: string, { mode, group }: SocketAccess): Promise<Listening> {
  const access = { mode, group: group === undefined ? undefined : await groupCalled(group, path) };
  await freeSocket(path);
  return {
    url: `unix:${path}`,
    host: "localhost",
    listener: openSocket(path, access),
    again() {
      removeIfThere(path);
      return openSocket(path, access);
    },
    remove: () => Deno.remove(path).catch(() => {}),
  };
}

/**
 * It comes to be with rights for its owner alone, whatever the umask, and is opened to others when it
 * belongs to their group: there is no moment in which anybody else may connect.
 */
function openSocket(
  path: string,
  { mode, group }: { mode: number; group: Group | undefined },
): Listener {
  const umask = Deno.umask(0o177);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
  } finally {
    Deno.umask(umask);
  }
  try {
    if (group !== undefined) giveTo(path, group);
    Deno.chmodSync(path, mode);
    return listener;
  } catch (error) {
    listener.close();
    removeIfThere(path);
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

interface Group {
  readonly name: string;
  readonly number: number;
}

function giveTo(path: string, { name, number }: Group): void {
  try {
    Deno.chownSync(path, null, number);
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new StartError(
      `can't listen on unix:${path}: the daemon's user is not a member of the group "${name}" ` +
        "that server.socketGroup names. Add it to the group (with systemd: " +
        `Group=${name}), or set another one`,
    );
  }
}

/** A group by its name or number, as this machine knows it. Throws StartError. */
async function groupCalled(name: string, path: string): Promise<Group> {
  if (/^\d+$/.test(name)) return { name, number: Number(name) };
  const line = /^[^:]*:[^:]*:(\d+):/;
  const local = (await Deno.readTextFile("/etc/group").catch(() => "")).split("\n")
    .find((one) => one.startsWith(`${name}:`));
  // A directory service's groups are in no file.
  const number = line.exec(local ?? await askedOfServices(name))?.[1];
  if (number !== undefined) return { name, number: Number(number) };
  throw new StartError(
    `can't listen on unix:${path}: this machine has no group "${name}", which server.socketGroup ` +
      `names. Make it ("groupadd ${name}"), or set another one`,
  );
}

async function askedOfServices(name: string): Promise<string> {
  try {
    const args = ["group", "--", name];
    const { stdout } = await new Deno.Command("getent", { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  } catch {
    return ""; // there is no getent
  }
}

interface Trouble {
  readonly why: string;
  readonly mend: string;
}

function addressTrouble(host: string, error: Error): Trouble {
  if (error instanceof Deno.errors.AddrInUse) {
    return {
      why: "another program already does",
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
      mend: "Allow it, or set server.listen to another path",
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
async function freeSocket(path: string): Promise<void> {
  if (await isListening(path)) {
    throw new StartError(
      `can't listen on unix:${path}: another program already does. ` +
        "Stop it, or set server.listen to another socket",
    );
  }
  try {
    if (!Deno.lstatSync(path).isSocket) {
      throw new StartError(
        `can't listen on unix:${path}: a file that is not a socket is there. ` +
          "Move it away, or set server.listen to another path",
      );
    }
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
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
