import tls from "node:tls";
import type { Clock } from "../runtime/clock.ts";
import { tlsWords } from "./tls_words.ts";

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
  const about = /^invalid peer certificate: (.*)$/s.exec(error.message)?.[1];
  if (about === undefined) return tlsWords(error, at.hostname);
  return certificateWords(about, await certificateOf(at), at);
}

/** What is wrong with a certificate, by what the runtime says of it and what stands in it. */
function certificateWords(
  about: string,
  certificate: Presented | undefined,
  { hostname, clock }: RefusedAt,
): string {
  if (/not valid for name|NotValidForName/.test(about)) {
    return wordsForNames(certificate, hostname);
  }
  const endsAt = Date.parse(certificate?.valid_to ?? "");
  if (endsAt < clock.wall()) return `certificate expired on ${dayOf(endsAt)}`;
  const startsAt = Date.parse(certificate?.valid_from ?? "");
  if (startsAt > clock.wall()) return `certificate is not valid before ${dayOf(startsAt)}`;
  const of = `certificate of ${hostname}`;
  if (/extended key usage|InvalidPurpose/.test(about)) {
    return `${of} is for clients, not for servers`;
  }
  if (/CaUsedAsEndEntity/.test(about)) {
    return `${of} is an authority's own (CA:TRUE), not one for a server`;
  }
  if (/SignatureAlgorithm/.test(about)) {
    return `${of}, or one that it depends on, is signed with ${algorithmIn(about)}, ` +
      "which is no longer accepted";
  }
  if (/BadSignature/.test(about)) {
    return `${of}, or one that it depends on, has a broken signature, or its key is too weak`;
  }
  if (/Revoked/.test(about)) return `${of} was revoked`;
  if (!/UnknownIssuer/.test(about)) return `${of} is not accepted: ${about}`;
  return wordsForIssuer(certificate, hostname);
}

function wordsForNames(certificate: Presented | undefined, hostname: string): string {
  const names = namesOf(certificate);
  if (names.length > 0) {
    const shown = names.length > 3
      ? `${names.slice(0, 3).join(", ")} and others`
      : names.join(", ");
    return `certificate is for ${shown}, not ${hostname}`;
  }
  if (certificate === undefined) return `certificate is for another host, not ${hostname}`;
  const commonName = certificate.subject?.CN;
  return commonName === undefined
    ? `certificate of ${hostname} names no host`
    : `certificate of ${hostname} names "${commonName}" only as its common name`;
}

function wordsForIssuer(certificate: Presented | undefined, hostname: string): string {
  const issuer = certificate?.issuer;
  if (certificate?.isSelfSigned) {
    return `certificate of ${hostname} is self-signed, and not trusted here`;
  }
  const name = issuer?.CN ?? issuer?.O;
  const by = name === undefined ? "an authority" : `"${name}"`;
  return `certificate of ${hostname} was issued by ${by}, which is not trusted here`;
}

/** Algorithms by the end of their numbers, as the runtime spells them. */
const OLD_ALGORITHMS: readonly (readonly [end: string, name: string])[] = [
  ["134, 247, 13, 1, 1, 5, 5, 0", "SHA-1 (sha1WithRSAEncryption)"],
  ["134, 247, 13, 1, 1, 4, 5, 0", "MD5 (md5WithRSAEncryption)"],
  ["134, 72, 206, 61, 4, 1", "SHA-1 (ecdsa-with-SHA1)"],
];

function algorithmIn(about: string): string {
  const id = /signature_algorithm_id: \[([\d, ]+)\]/.exec(about)?.[1] ?? "";
  return OLD_ALGORITHMS.find(([end]) => id.endsWith(end))?.[1] ?? "an algorithm";
}

/** What is told of the certificate that a server presents. */
interface Presented extends tls.PeerCertificate {
  readonly isSelfSigned: boolean;
}

/**
 * The certificate that was not trusted, from a second handshake that carries nothing else: the
 * first does not say what it refused, and an operator needs the name and the date.
 */
function certificateOf(
  { serverName, address, port, signal, clock }: RefusedAt,
): Promise<Presented | undefined> {
  const { promise, resolve } = Promise.withResolvers<Presented | undefined>();
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
  socket.once("secureConnect", () => resolve(presentedOn(socket)));
  return promise.finally(() => {
    stopTimer();
    signal.removeEventListener("abort", giveUp);
    socket.destroy();
  });
}

function presentedOn(socket: tls.TLSSocket): Presented {
  const certificate = socket.getPeerCertificate();
  const { subject, issuer } = certificate;
  const isSelfSigned = subject !== undefined && JSON.stringify(subject) === JSON.stringify(issuer);
  return { ...certificate, isSelfSigned };
}

function namesOf(certificate: Presented | undefined): string[] {
  return (certificate?.subjectaltname ?? "").split(", ")
    .map((name) => name.replace(/^[^:]*:/, "")).filter(Boolean);
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
