import { lookup } from "node:dns/promises";
import { dirname } from "node:path";
import type { Config, Listen } from "../../config/config.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Clock } from "../../runtime/clock.ts";
import { hostKind, isForbidden } from "../../transport/address_guard.ts";
import { ApiClient } from "../api_client.ts";
import type { Finding } from "./finding.ts";

const RESOLVE_WITHIN_MS = 5_000;

/** Resolves what addresses a name has; rejects where it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** As the daemon itself resolves. */
export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** Whether each receiver's name has addresses, and whether requests may go there. */
export async function examineReceivers(
  subscriptions: readonly Subscription[],
  { clock, resolve }: { clock: Clock; resolve: Resolve },
): Promise<Finding[]> {
  const enabled = subscriptions.filter(({ enabled }) => enabled);
  const hosts = Map.groupBy(enabled, ({ url }) => new URL(url).hostname);
  return await Promise.all([...hosts].map(async ([host, subscriptions]) => {
    const found = await addressesOf(host, { clock, resolve });
    return judgeHost(host, { found, subscriptions });
  }));
}

async function addressesOf(
  host: string,
  { clock, resolve }: { clock: Clock; resolve: Resolve },
): Promise<readonly string[] | Error> {
  const kind = hostKind(host);
  if (kind.kind === "address") return [kind.address];
  if (kind.kind === "loopbackName") return ["127.0.0.1"];
  const late = Promise.withResolvers<Error>();
  const error = new Error(`no answer within ${RESOLVE_WITHIN_MS / 1_000} s`);
  const stopTimer = clock.after(RESOLVE_WITHIN_MS, () => late.resolve(error));
  try {
    return await Promise.race([resolve(host), late.promise]);
  } catch (error) {
    return error as Error;
  } finally {
    stopTimer();
  }
}

function judgeHost(
  host: string,
  { found, subscriptions }: {
    readonly found: readonly string[] | Error;
    readonly subscriptions: readonly Subscription[];
  },
): Finding {
  const check = "receiver";
  const ids = someOf(subscriptions.map(({ id }) => id));
  if (found instanceof Error) {
    return {
      check,
      state: "warn",
      message: `"${host}" (${ids}) can't be resolved: ${found.message}`,
      fix: "see that the name is right and this machine's resolver answers",
    };
  }
  for (const { id, allowNetworks } of subscriptions) {
    const forbidden = found.find((address) => isForbidden(address, allowNetworks));
    if (forbidden === undefined) continue;
    return {
      check,
      state: "warn",
      message: `"${host}" is ${forbidden}, where no request of "${id}" may go`,
      fix: `name its network in the subscription's allowNetworks, if it is yours`,
    };
  }
  return { check, state: "ok", message: `"${host}" (${ids}) is ${found.join(", ")}` };
}

/** Thousands of subscriptions may have one host. */
function someOf(ids: readonly string[]): string {
  if (ids.length <= SHOWN_IDS) return ids.join(", ");
  return `${ids.slice(0, SHOWN_IDS).join(", ")} and ${ids.length - SHOWN_IDS} others`;
}

const SHOWN_IDS = 5;

/** Whoever sets a proxy expects that requests go through it. */
export function judgeProxies(variables: readonly string[]): Finding[] {
  if (variables.length === 0) return [];
  return [{
    check: "proxy",
    state: "warn",
    message: `${variables.join(", ")} ${variables.length === 1 ? "is" : "are"} set and ignored: ` +
      "Bellhook connects to receivers directly",
    fix: "let this machine connect to receivers directly; if a firewall inspects TLS on the way, " +
      "trust its authority: DENO_TLS_CA_STORE=system,mozilla",
  }];
}

/** Whether the daemon can listen where it is to, or does. */
export async function examineListen(
  listen: Config["server"]["listen"],
  clock: Clock,
): Promise<Finding> {
  const check = "listen";
  const where = listen.kind === "unix" ? `unix:${listen.path}` : `${listen.host}:${listen.port}`;
  if (await isBellhook(listen, clock)) {
    return { check, state: "ok", message: `a daemon answers at ${where}` };
  }
  const trouble = await troubleWith(listen);
  if (trouble === undefined) return { check, state: "ok", message: `${where} is free` };
  return {
    check,
    state: "fail",
    message: `can't listen at ${where}: ${trouble}`,
    fix: "end what is in the way, or set server.listen to another",
  };
}

async function troubleWith(listen: Listen): Promise<string | undefined> {
  try {
    if (listen.kind === "tcp") {
      Deno.listen({ hostname: listen.host, port: listen.port }).close();
      return undefined;
    }
    await Deno.stat(dirname(listen.path));
    const there = await Deno.lstat(listen.path).catch(() => undefined);
    // A socket that nobody answers at was left behind: the daemon takes it away.
    return there && !there.isSocket ? "a file is there that is no socket" : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function isBellhook(listen: Listen, clock: Clock): Promise<boolean> {
  const host = listen.kind === "tcp" && listen.host.includes(":") ? "[::1]" : "127.0.0.1";
  const url = listen.kind === "unix" ? `unix:${listen.path}` : `http://${host}:${listen.port}`;
  try {
    using client = new ApiClient({ url, clock });
    await client.notReadyBecause();
    return true;
  } catch {
    return false;
  }
}
