import tls from "node:tls";
import type { Clock } from "../runtime/clock.ts";

/** Where a handshake failed, and how to have another one there. */
export interface RefusedAt {
  /** As the URL has it. */
  readonly hostname: string;
  /** For SNI; empty where the host is an address. */
  readonly serverName: string;
  readonly address: string;
  readonly port: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** So long is waited for a certificate that is to be named. */
const MAX_WAIT_MS = 5_000;

/** Says why a TLS handshake failed; of a certificate, what is wrong with it. */
export async function wordsForRefusal(error: Error, at: RefusedAt): Promise<string> {
  const { hostname, clock } = at;
  if (!isAboutCertificate(error)) {
    return isClosing(error)
      ? `TLS with ${hostname} failed: the receiver closed the connection`
      : `TLS with ${hostname} failed: ${error.message}`;
  }
  const certificate = await certificateOf(at);
  if (/not valid for name|NotValidForName/.test(error.message)) {
    return `certificate is for ${namesOf(certificate)}, not ${hostname}`;
  }
  const endsAt = Date.parse(certificate?.valid_to ?? "");
  if (endsAt < clock.wall()) return `certificate expired on ${dayOf(endsAt)}`;
  const startsAt = Date.parse(certificate?.valid_from ?? "");
  if (startsAt > clock.wall()) return `certificate is not valid before ${dayOf(startsAt)}`;
  const issuer = certificate?.issuer?.CN ?? certificate?.issuer?.O;
  const by = ` by ${issuer === undefined ? "an authority" : `"${issuer}"`}`;
  return `certificate of ${hostname} was issued${by}, which is not trusted here`;
}

function isAboutCertificate(error: Error): boolean {
  return error.message.startsWith("invalid peer certificate");
}

function isClosing(error: Error): boolean {
  return error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe;
}

/**
 * The certificate that was not trusted, from a second handshake that carries nothing else: the
 * first does not say what it refused, and an operator needs the name and the date.
 */
function certificateOf(
  { serverName, address, port, signal, clock }: RefusedAt,
): Promise<tls.PeerCertificate | undefined> {
  const { promise, resolve } = Promise.withResolvers<tls.PeerCertificate | undefined>();
  if (signal.aborted) return Promise.resolve(undefined);
  const socket = tls.connect({
    host: address,
    port,
    servername: serverName,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: false,
  });
  const giveUp = () => resolve(undefined);
  const stopTimer = clock.after(MAX_WAIT_MS, giveUp);
  signal.addEventListener("abort", giveUp, { once: true });
  socket.on("error", giveUp);
  socket.once("close", giveUp);
  socket.once("secureConnect", () => resolve(socket.getPeerCertificate()));
  return promise.finally(() => {
    stopTimer();
    signal.removeEventListener("abort", giveUp);
    socket.destroy();
  });
}

function namesOf(certificate: tls.PeerCertificate | undefined): string {
  const names = (certificate?.subjectaltname ?? "").split(", ")
    .map((name) => name.replace(/^[^:]*:/, "")).filter(Boolean);
  if (names.length === 0) return "another host";
  return names.length > 3 ? `${names.slice(0, 3).join(", ")} and others` : names.join(", ");
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
