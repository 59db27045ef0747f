import { lookup } from "node:dns/promises";
import type { Clock } from "../runtime/clock.ts";
import { hostKind, isForbidden } from "./address_guard.ts";
import { Failure } from "./failure.ts";
import { wordsForRefusal } from "./refused_certificate.ts";

/** All addresses of a host name, in the order they should be tried. */
export type Resolver = (hostname: string) => Promise<readonly string[]>;

/** What opening a connection needs to know. */
export interface Opening {
  readonly url: URL;
  readonly allowNetworks: readonly string[];
  /** Aborted with a Failure when the deadline has passed or the transport closes. */
  readonly signal: AbortSignal;
  /** The monotonic time by which the whole request has to be over. */
  readonly deadlineAtMs: number;
  /** Told what is under way, in words that follow "while". */
  readonly entering: (phase: string, remoteAddress?: string) => void;
}

/** How connections are opened, whatever they are for. */
export interface OpeningPorts {
  readonly clock: Clock;
  readonly resolve: Resolver;
  /** Certificates of authorities, in PEM, beside the ones that come with the runtime. */
  readonly ca?: readonly string[];
}

/** An open connection and the checked address at its other end. */
export interface OpenConnection {
  readonly conn: Deno.Conn;
  readonly address: string;
  /** How long connecting took: a way there and back, or somewhat more. */
  readonly roundTripMs: number;
}

/** So many addresses are tried: a name can have thousands, and none of them asked for it. */
const MAX_TRIED = 16;
/** A dead address may hold up the next one no longer than this. */
const MAX_WAIT_BEFORE_NEXT_MS = 5_000;

/**
 * Opens a connection to a URL's host: resolves it, checks every address, connects to a checked one
 * and, for https, checks the certificate by the host's name. Throws a Failure, or the signal's.
 */
export async function openConnection(
  opening: Opening,
  ports: OpeningPorts,
): Promise<OpenConnection> {
  const { url } = opening;
  const addresses = await checkedAddresses(opening, ports.resolve);
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const opened = await connectToAny(addresses, { port, opening, ports });
  if (url.protocol !== "https:") return opened;
  const { conn, address } = opened;
  return { ...opened, conn: await secure(conn, { address, port, opening, ports }) };
}

/** The runtime's own resolver: hosts file, then name servers. */
export const systemResolver: Resolver = async (hostname) => {
  const found = await lookup(hostname, { all: true, order: "verbatim" });
  return found.map(({ address }) => address);
};

/** The addresses of a host, none of them forbidden: one that is makes the whole name suspect. */
async function checkedAddresses(opening: Opening, resolve: Resolver): Promise<readonly string[]> {
  const { hostname } = opening.url;
  const { allowNetworks } = opening;
  const host = hostKind(hostname);
  if (host.kind === "address") {
    if (isForbidden(host.address, allowNetworks)) throw blocked(host.address, host.address);
    return [host.address];
  }
  if (host.kind === "loopbackName") {
    // Resolved here: no name server decides what localhost is, and allowing one family is enough.
    const open = ["127.0.0.1", "::1"].filter((address) => !isForbidden(address, allowNetworks));
    if (open.length === 0) throw blocked(hostname, "127.0.0.1");
    return open;
  }
  opening.entering(`resolving ${hostname}`);
  const addresses = await orAborted(
    resolve(hostname).catch((error) => {
      throw unresolved(hostname, error);
    }),
    opening.signal,
  );
  if (addresses.length === 0) throw new Failure("dns", `no such host ${hostname}`);
  const forbidden = addresses.find((address) => isForbidden(address, allowNetworks));
  if (forbidden !== undefined) throw blocked(hostname, forbidden);
  return [...new Set(addresses)].slice(0, MAX_TRIED);
}

function blocked(hostname: string, address: string): Failure {
  const subject = hostname === address ? address : `${hostname} resolves to ${address}, which`;
  return new Failure(
    "blocked",
    `${subject} is no public address: nothing was sent; allowNetworks can let it through`,
    address,
  );
}

function unresolved(hostname: string, error: { code?: string; message: string }): Failure {
  if (error.code === "ENOTFOUND" || error.code === "ENODATA") {
    return new Failure("dns", `no such host ${hostname}`);
  }
  return error.code === "EAI_AGAIN"
    ? new Failure("dns", `no name server answered for ${hostname}`)
    : new Failure("dns", `can't resolve ${hostname}: ${error.message}`);
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  // What loses the race may still reject: nobody is left to hear it.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

interface Connecting {
  readonly port: number;
  readonly opening: Opening;
  readonly ports: OpeningPorts;
}

async function connectToAny(
  addresses: readonly string[],
  connecting: Connecting,
): Promise<OpenConnection & { readonly conn: Deno.TcpConn }> {
  const { opening, ports: { clock } } = connecting;
  const failures: Failure[] = [];
  for (const [index, address] of addresses.entries()) {
    const left = addresses.length - index;
    const waitMs = left === 1
      ? Infinity // the request's own deadline ends it
      : Math.min(
        (opening.deadlineAtMs - clock.monotonicMs()) / left,
        MAX_WAIT_BEFORE_NEXT_MS,
      );
    const startedMs = clock.monotonicMs();
    try {
      const conn = await connectTo(address, waitMs, connecting);
      return { conn, address, roundTripMs: clock.monotonicMs() - startedMs };
    } catch (error) {
      if (!(error instanceof Failure) || opening.signal.aborted) throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  if (failures.length === 1) throw first!;
  throw new Failure("connect", failures.map(({ message }) => message).join("; "));
}

async function connectTo(
  address: string,
  waitMs: number,
  { port, opening: { signal, entering }, ports: { clock } }: Connecting,
): Promise<Deno.TcpConn> {
  const peer = spelled(address, port);
  entering(`connecting to ${peer}`, address);
  signal.throwIfAborted();
  const givingUp = new AbortController();
  const onAbort = () => givingUp.abort(signal.reason);
  const stopTimer = waitMs === Infinity ? () => {} : clock.after(
    waitMs,
    () => givingUp.abort(new Failure("connect", `no answer from ${peer}`, address)),
  );
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const conn = await Deno.connect({ hostname: address, port, signal: givingUp.signal });
    if (givingUp.signal.aborted) conn.close();
    givingUp.signal.throwIfAborted();
    // A large body takes several writes, and none should wait for the other side to speak.
    conn.setNoDelay();
    return conn;
  } catch (error) {
    throw givingUp.signal.aborted
      ? givingUp.signal.reason
      : unconnected(error as Error, peer, address);
  } finally {
    stopTimer();
    signal.removeEventListener("abort", onAbort);
  }
}

const UNCONNECTED: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused by",
  EHOSTUNREACH: "no route to",
  ENETUNREACH: "no route to",
  EADDRNOTAVAIL: "no route to",
  ETIMEDOUT: "no answer from",
  ECONNRESET: "connection reset by",
};

function unconnected(error: Error & { code?: string }, peer: string, address: string): Error {
  // Our own house is full: that is no fault of the receiver's.
  if (error.code === "EMFILE" || error.code === "ENFILE") return error;
  const words = UNCONNECTED[error.code ?? ""];
  return new Failure(
    "connect",
    words ? `${words} ${peer}` : `can't connect to ${peer}: ${error.message}`,
    address,
  );
}

/** `127.0.0.1:80`, `[::1]:80`. */
function spelled(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

async function secure(
  conn: Deno.TcpConn,
  { address, port, opening, ports }: Connecting & { address: string },
): Promise<Deno.TlsConn> {
  const { url, signal, entering } = opening;
  entering(`setting up TLS with ${spelled(address, port)}`, address);
  const host = hostKind(url.hostname);
  const name = host.kind === "address" ? host.address : url.hostname.replace(/\.$/, "");
  try {
    return await handshake(conn, { name, signal, ca: ports.ca });
  } catch (error) {
    signal.throwIfAborted();
    const words = await wordsForRefusal(error as Error, {
      hostname: url.hostname,
      // Server names are names (RFC 6066, section 3).
      serverName: host.kind === "address" ? "" : name,
      address,
      port,
      signal,
      clock: ports.clock,
    });
    signal.throwIfAborted();
    throw new Failure("tls", words, address);
  }
}

/** An address for a name is checked as the address that the certificate has to be for. */
async function handshake(
  conn: Deno.TcpConn,
  { name, signal, ca }: { name: string; signal: AbortSignal; ca: readonly string[] | undefined },
): Promise<Deno.TlsConn> {
  let open: Deno.Conn = conn;
  const close = () => {
    try {
      open.close();
    } catch {
      // It was gone before.
    }
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    const secured = await Deno.startTls(conn, {
      hostname: name,
      alpnProtocols: ["http/1.1"],
      ...(ca && { caCerts: [...ca] }),
    });
    open = secured;
    signal.throwIfAborted();
    await secured.handshake();
    signal.throwIfAborted();
    return secured;
  } catch (error) {
    close();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}
