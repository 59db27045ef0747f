/** A proxy may serve the daemon under a base path, and forward requests with or without it. */

/** The URL without the base path, if it has it. */
export function withoutBasePath(url: string, basePath: string): string {
  if (basePath === "") return url;
  const pathAt = url.indexOf("/", url.indexOf("://") + 3);
  if (pathAt < 0 || !url.startsWith(basePath, pathAt)) return url;
  const rest = url.slice(pathAt + basePath.length);
  if (rest.startsWith("/")) return url.slice(0, pathAt) + rest;
  return rest === "" || rest.startsWith("?") ? `${url.slice(0, pathAt)}/${rest}` : url;
}

/** Adds the base path to a response's links, forms, redirects and cookies. */
export async function shownUnder(basePath: string, response: Response): Promise<Response> {
  if (basePath === "") return response;
  const headers = new Headers(response.headers);
  const location = headers.get("location");
  if (location?.startsWith("/") && !isBelow(basePath, location)) {
    headers.set("location", basePath + location);
  }
  headers.delete("set-cookie");
  for (const cookie of response.headers.getSetCookie()) {
    headers.append("set-cookie", cookie.replace(/(;\s*Path=)\/(?=;|$)/i, `$1${basePath}`));
  }
  const isPage = headers.get("content-type")?.startsWith("text/html");
  const body = isPage ? linkedUnder(basePath, await response.text()) : response.body;
  return new Response(body, { status: response.status, headers });
}

/** Text has its quotes escaped, so the pattern matches only our own markup. */
function linkedUnder(basePath: string, page: string): string {
  return page.replace(LINK, `$1${basePath}/`);
}

const LINK = /( (?:href|src|action|formaction|data-href|data-live)=")\/(?!\/)/g;

function isBelow(basePath: string, path: string): boolean {
  return path === basePath || path.startsWith(`${basePath}/`) || path.startsWith(`${basePath}?`);
}
