/** A proxy may show the daemon under a path of its host, and pass requests on with or without it. */

/** The address without the base path, where it has one. */
export function withoutBasePath(url: string, basePath: string): string {
  if (basePath === "") return url;
  const pathAt = url.indexOf("/", url.indexOf("://") + 3);
  if (pathAt < 0 || !url.startsWith(basePath, pathAt)) return url;
  const rest = url.slice(pathAt + basePath.length);
  if (rest.startsWith("/")) return url.slice(0, pathAt) + rest;
  return rest === "" || rest.startsWith("?") ? `${url.slice(0, pathAt)}/${rest}` : url;
}

/** A page whose links, forms, redirects and cookies are those that a browser has to use. */
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

/** Within text a quote is never written as one, so that this stands in our own markup alone. */
function linkedUnder(basePath: string, page: string): string {
  return page.replace(LINK, `$1${basePath}/`);
}

const LINK = /( (?:href|src|action|formaction|data-href|data-live)=")\/(?!\/)/g;

function isBelow(basePath: string, path: string): boolean {
  return path === basePath || path.startsWith(`${basePath}/`) || path.startsWith(`${basePath}?`);
}
