/** Where the dashboard's pages are. Ids may hold anything. */
export const OVERVIEW = "/";
export const DELIVERIES = "/dashboard/deliveries";
export const BULK = "/dashboard/bulk";
export const SUBSCRIPTIONS = "/dashboard/subscriptions";
export const EVENTS = "/dashboard/events";
export const RECEIVERS = "/dashboard/receivers";
export const HISTORY = "/dashboard/history";
export const CONFIG = "/dashboard/config";
export const SIGN_IN = "/dashboard/sign-in";
export const SIGN_OUT = "/dashboard/sign-out";
export const PAYLOADS = "/dashboard/payloads";

/** A list of deliveries that fit. */
export function deliveriesPath(filter: Readonly<Record<string, string | undefined>>): string {
  return withQuery(DELIVERIES, filter);
}

export function deliveryPath(id: string, action = ""): string {
  return `${DELIVERIES}/${encodeURIComponent(id)}${action && `/${action}`}`;
}

/** A job over many deliveries. */
export function bulkPath(id: string, action = ""): string {
  return `${BULK}/${encodeURIComponent(id)}${action && `/${action}`}`;
}

export function subscriptionPath(id: string, action = ""): string {
  return `${SUBSCRIPTIONS}/${encodeURIComponent(id)}${action && `/${action}`}`;
}

export function eventPath(id: string): string {
  return `${EVENTS}/${encodeURIComponent(id)}`;
}

export function receiverPath(id: string, form = ""): string {
  return `${RECEIVERS}/${encodeURIComponent(id)}${form && `/${form}`}`;
}

/** A path with the members of a query that are given. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] =>
    pair[1] !== undefined && pair[1] !== ""
  );
  const text = new URLSearchParams(given).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** A path of this daemon's own pages out of a form or an address, where it is one. */
export function ownPath(text: string | undefined): string | undefined {
  if (text === undefined || !/^\/[\x21-\x7e]*$/.test(text)) return undefined;
  // Read as a browser reads it: "//host" and "/\host" lead elsewhere, and so does what "/..//host" comes to.
  const url = URL.parse(text, NOWHERE);
  if (url?.origin !== NOWHERE || url.pathname.startsWith("//")) return undefined;
  return url.pathname + url.search;
}

const NOWHERE = "http://daemon.invalid";
