import { quoted } from "../domain/quoted.ts";
import { hostKind, isForbidden } from "../transport/address_guard.ts";
import type { Problem } from "./config.ts";
import type { Place } from "./source.ts";

/** What a URL may be, apart from https to a public address. */
export interface Allowed {
  readonly http: boolean;
  readonly networks: readonly string[];
  /** Where these two are set, for the fix: `"allowHttp"`, or `"allowHttp" in "delivery"`. */
  readonly where: string;
}

/**
 * The first thing that is wrong with a receiver's URL, as far as can be seen without a name server. It
 * never repeats the URL, since its path or query may be a secret.
 */
export function receiverUrlProblem(
  text: string,
  allowed: Allowed,
  place: Place,
): Problem | undefined {
  const url = URL.parse(text);
  // URL.parse silently removes white space, and finds a host in other places. Requests must go to
  // exactly the URL that is written here.
  if (url === null || url.hostname === "" || /\s/.test(text) || !HOST_FIRST.test(text)) {
    return place.problem("the text is no URL", 'write it as "https://host/path"');
  }
  if (url.username !== "" || url.password !== "") {
    const fix = 'take it out; a header\'s value may be a reference to a secret: "headers"';
    return place.problem("the URL holds a user name or a password", fix);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return place.problem(`the URL begins with "${url.protocol}"`, 'write it as "https://…"');
  }
  if (url.protocol === "http:" && !allowed.http) {
    return place.problem(
      "the URL is http",
      `write https, or set "allowHttp": true${allowed.where}`,
    );
  }
  if (url.port === "0") return place.problem("the URL's port is 0", "give the receiver's port");
  return hostProblem(url.hostname, allowed, place);
}

/** `scheme://`, and directly after it a host. */
const HOST_FIRST = /^[a-z][a-z0-9+.-]*:\/\/[^/\\?#]/i;

function hostProblem(hostname: string, allowed: Allowed, place: Place): Problem | undefined {
  const host = hostKind(hostname);
  if (host.kind === "address" && isForbidden(host.address, allowed.networks)) {
    const network = `${host.address}/${host.address.includes(":") ? 128 : 32}`;
    const fix = `if that is meant, set "allowNetworks": ["${network}"]${allowed.where}`;
    return place.problem(`the URL's address ${quoted(host.address)} is not public`, fix);
  }
  const loopback = ["127.0.0.1", "::1"];
  if (
    host.kind === "loopbackName" &&
    loopback.every((address) => isForbidden(address, allowed.networks))
  ) {
    const fix = `if that is meant, set "allowNetworks": ["127.0.0.1/32"]${allowed.where}`;
    return place.problem(`the URL's host ${quoted(hostname)} is this machine`, fix);
  }
  return undefined;
}
