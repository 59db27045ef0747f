import type { Clock } from "../runtime/clock.ts";
import { hostKind } from "./address_guard.ts";
import { Failure } from "./failure.ts";
import type { HungHandshakes } from "./hung_handshakes.ts";
import { machineFault } from "./machine_fault.ts";
import { wordsForRefusal } from "./refused_certificate.ts";

/** One address to connect to, which the guard has let through. */
export interface Dialling {
  readonly url: URL;
  readonly address: string;
  readonly port: number;
  readonly clock: Clock;
  /** Certificates of authorities, in PEM, beside the ones that come with the runtime. */
  readonly ca: readonly string[] | undefined;
  /** Aborted with an Error when nobody wants the connection any more. */
  readonly signal: AbortSignal;
  /** Told what is under way, in words that follow "while". */
  readonly entering: (phase: string, remoteAddress?: string) => void;
  /** Told when the address has taken the connection: TLS comes next, where there is any. */
  readonly onConnected: () => void;
  /** Told when TLS has failed, before it is found out why. */
  readonly onRefused: () => void;
  /** Given up while TLS was set up: told when the connection will have closed. */
  readonly onHung: (ended: Promise<void>) => void;
  readonly hung: HungHandshakes;
}

/** An open connection and the checked address at its other end. */
export interface OpenConnection {
  readonly conn: Deno.Conn;
  readonly address: string;
  /** How long connecting took: a way there and back, or somewhat more. */
  readonly roundTripMs: number;
}

/**
 * Connects to one address and, for https, checks the certificate by the host's name. Throws a
 * Failure, a MachineFault, or the signal's reason.
 */
export async function dial(dialling: Dialling): Promise<OpenConnection> {
  const { address, port, clock, url, hung, onConnected } = dialling;
  const isSecure = url.protocol === "https:";
  if (isSecure) hung.assertFewWith(spelled(address, port), address);
  const startedMs = clock.monotonicMs();
  const conn = await connect(dialling);
  const roundTripMs = clock.monotonicMs() - startedMs;
  if (!isSecure) return { conn, address, roundTripMs };
  onConnected();
  return { conn: await secure(conn, dialling), address, roundTripMs };
}

async function connect(
  { address, port, signal, entering }: Dialling,
): Promise<Deno.TcpConn> {
  const peer = spelled(address, port);
  entering(`connecting to ${peer}`, address);
  signal.throwIfAborted();
  try {
    const conn = await Deno.connect({ hostname: address, port, signal });
    if (signal.aborted) conn.close();
    signal.throwIfAborted();
    // A large body takes several writes, and none should wait for the other side to speak.
    conn.setNoDelay();
    return conn;
  } catch (error) {
    throw signal.aborted ? signal.reason : unconnected(error as Error, peer, address);
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
  const words = UNCONNECTED[error.code ?? ""];
  return machineFault(error, address) ?? new Failure(
    "connect",
    words ? `${words} ${peer}` : `can't connect to ${peer}: ${error.message}`,
    address,
  );
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function spelled(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

async function secure(conn: Deno.TcpConn, dialling: Dialling): Promise<Deno.TlsConn> {
  const { url, address, port, signal, entering, clock, onRefused } = dialling;
  entering(`setting up TLS with ${spelled(address, port)}`, address);
  const host = hostKind(url.hostname);
  const name = host.kind === "address" ? host.address : url.hostname.replace(/\.$/, "");
  try {
    return await handshake(conn, { name, dialling });
  } catch (error) {
    signal.throwIfAborted();
    const fault = machineFault(error);
    if (fault !== undefined) throw fault;
    onRefused();
    const words = await wordsForRefusal(error as Error, {
      hostname: url.hostname,
      // Server names are names (RFC 6066, section 3).
      serverName: host.kind === "address" ? "" : name,
      address,
      port,
      signal,
      clock,
    });
    signal.throwIfAborted();
    throw new Failure("tls", words, address);
  }
}

interface Handshaking {
  /** An address is checked as the address that the certificate has to be for. */
  readonly name: string;
  readonly dialling: Dialling;
}

async function handshake(
  conn: Deno.TcpConn,
  { name, dialling: { address, port, signal, ca, hung, onHung } }: Handshaking,
): Promise<Deno.TlsConn> {
  const secured = await Deno.startTls(conn, {
    hostname: name,
    alpnProtocols: ["http/1.1"],
    ...(ca && { caCerts: [...ca] }),
  });
  const shaking = secured.handshake();
  try {
    await orAborted(shaking, signal);
    return secured;
  } catch (error) {
    if (signal.aborted) onHung(hung.untilEnded(spelled(address, port), secured, shaking));
    else secured.close();
    throw error;
  }
}

async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
