import type { Headers, LastResult, Outcome } from "./attempt.ts";
import { tlsFix } from "./tls_diagnosis.ts";

/** What a failed attempt means and what to do about it, in a sentence; undefined for a success. */
export function diagnose(outcome: Outcome, succeeded: boolean): string | undefined {
  if (succeeded) return undefined;
  return outcome.kind === "failed"
    ? diagnoseFailure(outcome.error.kind, outcome.error.message)
    : saysTls(outcome)
    ? `answered ${outcome.status}: this port is one for TLS; ${WRITE_HTTPS}`
    : diagnoseStatus(outcome.status, outcome.headers);
}

/** The same of what is kept of a last attempt that failed. */
export function diagnoseResult({ status, error }: LastResult): string {
  return error === undefined
    ? diagnoseStatus(status!, [])
    : diagnoseFailure(error.kind, error.message);
}

const WRITE_HTTPS = "write https:// in the subscription's url";

/** Whether a TLS server answers that it was spoken to without TLS: nginx, Apache, Go, HAProxy. */
function saysTls({ status, body }: Outcome & { kind: "answered" }): boolean {
  if (status !== 400) return false;
  return /plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|speaking plain HTTP to an SSL/
    .test(new TextDecoder().decode(body.subarray(0, 2_000)));
}

function diagnoseFailure(
  kind: (Outcome & { kind: "failed" })["error"]["kind"],
  message: string,
): string {
  switch (kind) {
    case "dns":
      return `${message}: ${dnsFix(message)}`;
    case "connect":
      return `${message}: nothing listens there, or a firewall is in between; ` +
        "ask the receiver whether its server runs and lets this machine in";
    case "tls":
      return `${message}: ${tlsFix(message)}`;
    case "timeout":
      return `${message}: ${timeoutFix(message)}`;
    case "reset":
      return `${message}: the receiver, or a proxy before it, broke the connection off; ` +
        `its error log should say why${
          message.includes("without an answer")
            ? `; if its port is one for TLS, ${WRITE_HTTPS}`
            : ""
        }`;
    case "blocked":
      return `${message}: webhooks go to public addresses only; ` +
        "if this receiver is meant, name its network in the subscription's allowNetworks";
    case "protocol":
      return message.includes("is TLS, not HTTP")
        ? `${message}: this port is one for TLS; ${WRITE_HTTPS}`
        : `${message}: what answered does not speak HTTP/1.1 as it should; check the url's port`;
  }
}

/** A name that is not there, and name servers that say nothing, are different people's business. */
function dnsFix(message: string): string {
  if (message.startsWith("no such host ")) {
    return "check the host in the subscription's url; if it is right, its owner has to add an A or " +
      "AAAA record, or this machine needs a name server that knows it";
  }
  if (message.startsWith("no name server answered for ")) {
    return "this machine's resolver works, but the name servers of the receiver's domain don't answer; " +
      "its owner has to ask whoever runs them";
  }
  return "check the host in the subscription's url, and the receiver's DNS records";
}

/** Who is slow depends on how far the request came. */
function timeoutFix(message: string): string {
  if (message.includes("while resolving ")) {
    return "the name servers of the receiver's domain, or this machine's resolver, do not answer; " +
      "check with `bellhook doctor`";
  }
  if (message.includes("while connecting to ")) {
    return "nothing answers there: the server is down, or a firewall drops what this machine sends; " +
      "ask the receiver whether its server runs and lets this machine in";
  }
  if (message.includes("while setting up TLS")) {
    return "the connection was taken, and TLS never answered; check that the url's port is one for " +
      "HTTPS, and that no firewall or proxy on the way holds TLS up";
  }
  return "the receiver should answer first and work afterwards; " +
    "if it needs longer, raise the subscription's timeout";
}

function diagnoseStatus(status: number, headers: Headers): string {
  const header = (name: string) => headers.find(([given]) => given.toLowerCase() === name)?.[1];
  const answered = `answered ${status}`;
  if (status >= 300 && status < 400) {
    const location = header("location");
    return location === undefined
      ? `${answered}: redirects are never followed; point the subscription at the final address`
      : `${answered}: point the subscription at ${location}; redirects are never followed`;
  }
  switch (status) {
    case 400:
    case 422:
      return `${answered}: the receiver could not use the body; compare the profile and its event ` +
        "names with what it expects, its answer may say more";
    case 401:
      return "401: the receiver rejected the signature or a token; compare the secret on both sides, " +
        "then run `bellhook verify` on a request it refused";
    case 403:
      return "403: the receiver, or a firewall before it, refused the request; check the signature, " +
        "custom headers, and whether this machine's address has to be allowed";
    case 404:
      return "404: the receiver knows no such path; check the subscription's url";
    case 405:
      return "405: this path takes no POST; check the subscription's url";
    case 408:
      return "408: the receiver gave up waiting for the body; it, or a proxy before it, is overloaded";
    case 410:
      return "410: the receiver is gone for good; the subscription was paused. Ask its owner, then " +
        "resume it or take it out of the config";
    case 413:
      return "413: the body is larger than the receiver takes; its limit has to be raised";
    case 415:
      return "415: the receiver does not take application/json; check what it was built for";
    case 429:
      return "429: the receiver is asked too often; set the subscription's rateLimit or concurrency";
    case 500:
      return "500: the receiver's code failed; its error log says why. 500 right after a signature " +
        "check is often a length mismatch in a constant-time comparison: a wrong secret or encoding";
    case 502:
    case 503:
    case 504:
      return `${answered}: the receiver's server is down or overloaded behind its proxy`;
  }
  if (status >= 200 && status < 300) {
    return `${answered}: a success elsewhere, but not by this subscription's success setting`;
  }
  return status < 500
    ? `${answered}: the receiver refused the request; its answer may say why`
    : `${answered}: the receiver's server failed; its error log says why`;
}
