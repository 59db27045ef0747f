import type { Headers, LastResult, Outcome } from "./attempt.ts";

/** What a failed attempt means and what to do about it, in a sentence; undefined for a success. */
export function diagnose(outcome: Outcome, succeeded: boolean): string | undefined {
  if (succeeded) return undefined;
  return outcome.kind === "failed"
    ? diagnoseFailure(outcome.error.kind, outcome.error.message)
    : diagnoseStatus(outcome.status, outcome.headers);
}

/** The same of what is kept of a last attempt that failed. */
export function diagnoseResult({ status, error }: LastResult): string {
  return error === undefined
    ? diagnoseStatus(status!, [])
    : diagnoseFailure(error.kind, error.message);
}

function diagnoseFailure(
  kind: (Outcome & { kind: "failed" })["error"]["kind"],
  message: string,
): string {
  switch (kind) {
    case "dns":
      return `${message}: check the host in the subscription's url, and the receiver's DNS records`;
    case "connect":
      return `${message}: nothing listens there, or a firewall is in between; ` +
        "ask the receiver whether its server runs and lets this machine in";
    case "tls":
      return `${message}: the receiver has to mend its certificate or TLS settings`;
    case "timeout":
      return `${message}: the receiver should answer first and work afterwards; ` +
        "if it needs longer, raise the subscription's timeout";
    case "reset":
      return `${message}: the receiver, or a proxy before it, broke the connection off; ` +
        "its error log should say why";
    case "blocked":
      return `${message}: webhooks go to public addresses only; ` +
        "if this receiver is meant, name its network in the subscription's allowNetworks";
    case "protocol":
      return `${message}: what answered does not speak HTTP/1.1 as it should; check the url's port`;
  }
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
