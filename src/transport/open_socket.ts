import { lookup } from "node:dns/promises";
import net from "node:net";
import tls from "node:tls";
import type { Clock } from "../runtime/clock.ts";
import { hostKind, isForbidden } from "./address_guard.ts";
import { Failure } from "./failure.ts";

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
  /** Certificates of authorities, in PEM, in place of the ones that come with the runtime. */
  readonly ca?: readonly string[];
}

/** An open connection and the checked address at its other end. */
export interface OpenSocket {
  readonly socket: net.Socket;
  readonly address: string;
}

/** So many addresses are tried: a name can have thousands, and none of them asked for it. */
const MAX_TRIED = 16;
/** A dead address may hold up the next one no longer than this. */
const MAX_WAIT_BEFORE_NEXT_MS = 5_000;

/**
 * Opens a connection to a URL's host: resolves it, checks every address, connects to a checked one
 * and, for https, checks the certificate by the host's name. Throws a Failure, or the signal's.
 */
export async function openSocket(opening: Opening, ports: OpeningPorts): Promise<OpenSocket> {
  const { url } = opening;
  const addresses = await checkedAddresses(opening, ports.resolve);
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const { socket, address } = await connectToAny(addresses, { port, opening, ports });
  if (url.protocol !== "https:") return { socket, address };
  return { socket: await secure(socket, { address, port, opening, ports }), address };
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
): Promise<OpenSocket> {
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
    try {
      return { socket: await connectTo(address, waitMs, connecting), address };
    } catch (error) {
      if (!(error instanceof Failure) || opening.signal.aborted) throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  if (failures.length === 1) throw first!;
  throw new Failure("connect", failures.map(({ message }) => message).join("; "));
}

function connectTo(
  address: string,
  waitMs: number,
  { port, opening: { signal, entering }, ports: { clock } }: Connecting,
): Promise<net.Socket> {
  const peer = spelled(address, port);
  entering(`connecting to ${peer}`, address);
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const socket = net.connect({ host: address, port, noDelay: true });
  const giveUp = (reason: unknown) => {
    socket.destroy();
    reject(reason);
  };
  const onAbort = () => giveUp(signal.reason);
  const stopTimer = waitMs === Infinity
    ? () => {}
    : clock.after(waitMs, () => giveUp(new Failure("connect", `no answer from ${peer}`, address)));
  const onError = (error: Error) => giveUp(unconnected(error, peer, address));
  signal.addEventListener("abort", onAbort, { once: true });
  socket.once("error", onError);
  socket.once("connect", () => resolve(socket));
  return promise.finally(() => {
    stopTimer();
    signal.removeEventListener("abort", onAbort);
    socket.off("error", onError);
    // A socket without a listener turns a late error into an uncaught one.
    socket.on("error", () => {});
  });
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
  socket: net.Socket,
  { address, ...connecting }: Connecting & { address: string },
): Promise<net.Socket> {
  const { port, opening: { url, signal, entering } } = connecting;
  entering(`setting up TLS with ${spelled(address, port)}`, address);
  try {
    return await handshake(socket, { ...connecting, verify: true });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const { code, cert } = error as { code?: string; cert?: tls.PeerCertificate };
    const certificate = cert === undefined && code !== undefined && isAboutCertificate(code)
      ? await certificateOf(address, connecting)
      : cert;
    if (signal.aborted) throw signal.reason;
    const at = connecting.ports.clock.wall();
    throw new Failure("tls", insecure(error as Error, { url, certificate, at }), address);
  }
}

function handshake(
  socket: net.Socket,
  { opening: { url, signal }, ports: { ca }, verify }: Connecting & { verify: boolean },
): Promise<tls.TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<tls.TLSSocket>();
  const host = hostKind(url.hostname);
  const name = host.kind === "address" ? host.address : url.hostname.replace(/\.$/, "");
  const secured = tls.connect({
    socket,
    host: name,
    // Server names are names (RFC 6066, section 3); an address is checked by `host`.
    servername: host.kind === "address" ? "" : name,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: verify,
    ...(ca && { ca: [...ca] }),
  });
  const giveUp = (reason: unknown) => {
    secured.destroy();
    socket.destroy();
    reject(reason);
  };
  const onAbort = () => giveUp(signal.reason);
  const onClose = () => giveUp(new Error("the receiver closed the connection"));
  signal.addEventListener("abort", onAbort, { once: true });
  secured.on("error", giveUp);
  secured.once("close", onClose);
  secured.once("secureConnect", () => resolve(secured));
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    secured.off("error", giveUp);
    secured.off("close", onClose);
    secured.on("error", () => {});
  });
}

function isAboutCertificate(code: string): boolean {
  return /CERT|VERIFY|ISSUER|SELF_SIGNED/.test(code);
}

/**
 * The certificate that was not trusted, from a second handshake that carries nothing else: the
 * first does not say what it refused, and an operator needs the name and the date.
 */
async function certificateOf(
  address: string,
  connecting: Connecting,
): Promise<tls.PeerCertificate | undefined> {
  try {
    const socket = await connectTo(address, MAX_WAIT_BEFORE_NEXT_MS, connecting);
    const secured = await handshake(socket, { ...connecting, verify: false });
    const certificate = secured.getPeerCertificate();
    secured.destroy();
    socket.destroy();
    return certificate;
  } catch {
    return undefined;
  }
}

function insecure(
  error: Error & { code?: string },
  { url, certificate, at }: { url: URL; certificate: tls.PeerCertificate | undefined; at: number },
): string {
  const { hostname } = url;
  if (error.code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `certificate is for ${namesOf(certificate)}, not ${hostname}`;
  }
  if (error.code === undefined || !isAboutCertificate(error.code)) {
    return error.code === "ECONNRESET" || error.code === "EPIPE"
      ? `TLS with ${hostname} failed: the receiver closed the connection`
      : `TLS with ${hostname} failed: ${error.message}`;
  }
  const endsAt = Date.parse(certificate?.valid_to ?? "");
  if (endsAt < at) return `certificate expired on ${dayOf(endsAt)}`;
  const startsAt = Date.parse(certificate?.valid_from ?? "");
  if (startsAt > at) return `certificate is not valid before ${dayOf(startsAt)}`;
  const issuer = certificate?.issuer?.CN ?? certificate?.issuer?.O;
  const by = ` by ${issuer === undefined ? "an authority" : `"${issuer}"`}`;
  return `certificate of ${hostname} was issued${by}, which is not trusted here`;
}

/** The names of a certificate without their kinds: `DNS:a.example` is `a.example`. */
function namesOf(certificate: tls.PeerCertificate | undefined): string {
  const names = (certificate?.subjectaltname ?? "").split(", ")
    .map((name) => name.replace(/^[^:]*:/, "")).filter(Boolean);
  if (names.length === 0) return "another host";
  return names.length > 3 ? `${names.slice(0, 3).join(", ")} and others` : names.join(", ");
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
