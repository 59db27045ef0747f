import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import type { Config } from "../../config/config.ts";
import { formatSize } from "../../domain/duration.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Clock } from "../../runtime/clock.ts";
import { type AccessVariables, addressOf, assertOwnPage } from "../access.ts";
import type { Intake } from "../intake.ts";
import { ProblemError } from "../problem.ts";
import { isSameToken, type Sessions } from "../session.ts";
import { SIGN_IN, withQuery } from "./paths.ts";

/** Who looks at a page, and how they want it. */
export interface Viewer {
  readonly name: string;
  /** What every form brings along. */
  readonly csrf: string;
  readonly canSignOut: boolean;
  readonly hidesPayloads: boolean;
  readonly now: Instant;
  /** Path and query of the page. */
  readonly here: string;
}

export interface DashboardVariables extends AccessVariables {
  viewer: Viewer;
  /** Whether the session has not ended since; for answers that last. */
  isSignedIn: () => boolean;
  /** What an action was sent. */
  form: URLSearchParams;
}

export type DashboardEnv = { Variables: DashboardVariables };

export interface DoorPorts {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly sessions: Sessions;
}

export const SESSION_COOKIE = "bellhook_session";
export const PAYLOADS_COOKIE = "bellhook_payloads";

/**
 * No script and no style but our own files, nothing from elsewhere, no frame around it. What stands
 * on the pages was written by publishers and receivers: a mark-up of theirs that got through to the
 * browser all the same could neither run nor load anything.
 */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // "no-referrer" would make browsers send `Origin: null` with our own forms.
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** What every answer of the dashboard goes out with. */
export const pageHeaders: MiddlewareHandler = async (context, next) => {
  for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
  await next();
};

/** Lets those see pages who are signed in, and this machine alone where there are no tokens. */
export function door({ config, clock, sessions }: DoorPorts): MiddlewareHandler<DashboardEnv> {
  return async (context, next) => {
    const inForce = config();
    context.set("address", addressOf(context, inForce));
    const { pathname, search } = new URL(context.req.url);
    const view = {
      hidesPayloads: getCookie(context, PAYLOADS_COOKIE) === "hidden",
      now: clock.wall(),
      here: pathname + search,
    };
    if (!inForce.auth) {
      assertOwnPage(context.req.raw.headers, inForce);
      context.set("caller", { kind: "local" });
      const csrf = sessions.localCsrf;
      context.set("viewer", { ...view, name: "local", csrf, canSignOut: false });
      context.set("isSignedIn", () => true);
      return await next();
    }
    const id = getCookie(context, SESSION_COOKIE) ?? "";
    const session = isPersons(context) ? sessions.use(id) : sessions.find(id);
    if (!session) return signInFirst(context, view.here);
    const { operator, csrf } = session;
    context.set("caller", { kind: "operator", operator });
    context.set("viewer", { ...view, name: operator.name, csrf, canSignOut: true });
    context.set("isSignedIn", () => sessions.find(id) !== undefined);
    return await next();
  };
}

/** Whether a person went to a page or sent a form, where an open page asks again and again by itself. */
function isPersons({ req }: Context): boolean {
  const mode = req.header("sec-fetch-mode");
  // Browsers say so to addresses that they trust; to others our script says what comes from it.
  if (mode !== undefined) return mode === "navigate";
  return req.header("x-requested-by") === undefined &&
    !(req.header("accept") ?? "").includes("text/event-stream");
}

function signInFirst(context: Context, here: string): Response {
  if (context.req.method !== "GET" && context.req.method !== "HEAD") {
    throw new ProblemError({
      status: 401,
      title: "Signed out",
      detail: "nothing was done: you are signed out. Sign in, and do it again",
    });
  }
  // Asked for by our own script: what it is redirected to would be taken for the page.
  if (context.req.header("x-requested-by") === "dashboard") return context.body(null, 401);
  // A strict cookie stays at home when a link on another site is followed; asking once more from
  // here, it comes along.
  if (context.req.header("sec-fetch-site") === "cross-site") {
    context.header("refresh", "0");
    return context.html("<!DOCTYPE html><title>Bellhook</title><p>One moment …</p>");
  }
  return context.redirect(withQuery(SIGN_IN, { to: here === "/" ? undefined : here }), 303);
}

const MAX_FORM_BYTES = 512 * 1024;
/** A token and where to go then: all that a stranger may send. */
export const MAX_SIGN_IN_BYTES = 8 * 1024;

/** Reads a form, and refuses one that no page of this session has shown. */
export function form({ clock, intake, csrfOf, maxBytes = MAX_FORM_BYTES }: {
  readonly clock: Clock;
  readonly intake: Intake;
  readonly csrfOf: (context: Context<DashboardEnv>) => string;
  readonly maxBytes?: number;
}): MiddlewareHandler<DashboardEnv> {
  return async (context, next) => {
    const tooLarge = `nothing was done: the form is larger than ${formatSize(maxBytes)}`;
    const text = await intake.readText(context.req.raw, { maxBytes, clock, tooLarge });
    refuseOtherSites(context);
    const sent = new URLSearchParams(text);
    if (!isSameToken(sent.get("csrf") ?? "", csrfOf(context))) {
      throw new ProblemError({
        status: 403,
        title: "Forbidden",
        detail: "nothing was done: the page was from before you signed in, or before a restart. " +
          "Load it again, and do it again",
      });
    }
    context.set("form", sent);
    await next();
  };
}

/** Browsers say where a form comes from. Throws a 403 where that is another site. */
export function refuseOtherSites(context: Context): void {
  const site = context.req.header("sec-fetch-site");
  const origin = context.req.header("origin");
  const isOwn = site === undefined
    ? origin === undefined || hostOf(origin) === context.req.header("host")
    : site === "same-origin" || site === "none";
  if (isOwn) return;
  throw new ProblemError({
    status: 403,
    title: "Forbidden",
    detail: "nothing was done: the form came from another site",
  });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
