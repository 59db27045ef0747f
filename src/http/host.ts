import { ProblemError } from "./problem.ts";

/**
 * Throws ProblemError (400) if a request's host is invalid (RFC 9112, section 3.2). Its `url` can't
 * be parsed then.
 */
export function assertAddressed(
  { url, headers }: { readonly url: string; readonly headers: Pick<Headers, "get"> },
): void {
  const host = headers.get("host") ?? "";
  // Publishers always send the same host, and comparing it is faster than parsing.
  if (host === known.host && url.startsWith(known.start)) return;
  if (!HOST.test(host)) throw new ProblemError(unreadable(`Host "${host}"`));
  if (!URL.canParse(url)) throw new ProblemError(unreadable(`the host of "${url}"`));
  const pathAt = url.indexOf("/", url.indexOf("://") + 3);
  if (pathAt > 0) known = { host, start: url.slice(0, pathAt + 1) };
}

/** The last valid host, and the URL's text up to the path. */
let known: { readonly host: string | undefined; readonly start: string } = {
  host: undefined,
  start: "",
};

/** `uri-host [ ":" port ]` (RFC 3986, section 3.2.2), or nothing, as in HTTP/1.0. */
const HOST = /^(?:(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*|\[[\da-f:.]+\])(?::\d*)?$/i;

function unreadable(what: string) {
  return {
    status: 400,
    title: "Bad Request",
    detail: `${what} cannot be read as a host and a port; ` +
      'send the daemon\'s own, as in "Host: 127.0.0.1:8420"',
  } as const;
}
