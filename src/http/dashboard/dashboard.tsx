import { type Context, Hono } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import type { Config } from "../../config/config.ts";
import type { LookUpOrigins } from "../../config/origins.ts";
import { credit } from "../../domain/actor.ts";
import type { Health } from "../../domain/health.ts";
import type { NoticeChannel } from "../../domain/notice.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { UnmatchedPattern } from "../../ingest/unmatched_patterns.ts";
import { InvalidCursorError, OutboxFailed, OutboxUnavailable } from "../../outbox/errors.ts";
import type { HistoryEntry } from "../../outbox/outbox.ts";
import type { LongJournal, OutboxReader } from "../../outbox/reader.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { Random } from "../../runtime/random.ts";
import { actorOf, addressOf } from "../access.ts";
import type { ChangeFeed } from "../change_feed.ts";
import type { Intake } from "../intake.ts";
import type { Operations } from "../operations.ts";
import { type Problem, ProblemError } from "../problem.ts";
import type { Reload } from "../reload.ts";
import type { Refusals } from "../refusals.ts";
import { Sessions } from "../session.ts";
import type { IsHeld } from "../views.ts";
import { bulkJobPage, bulkPage, startBulk, stopBulk } from "./bulk.tsx";
import { backOf, hold, reloadNow, replayFailed, sendTest, steerMany, steerOne } from "./actions.ts";
import { ASSETS } from "./assets.ts";
import { configPage } from "./config.tsx";
import { deliveriesPage } from "./deliveries.tsx";
import { deliveryPage } from "./delivery.tsx";
import { eventPage } from "./event.tsx";
import { eventsPage } from "./events.tsx";
import { renderPage } from "./frame.tsx";
import { historyPage } from "./history.tsx";
import { liveTail } from "./live.ts";
import { overviewPage } from "./overview.tsx";
import {
  BULK,
  CONFIG,
  DELIVERIES,
  EVENTS,
  HISTORY,
  OVERVIEW,
  ownPath,
  PAYLOADS,
  RECEIVERS,
  SIGN_IN,
  SIGN_OUT,
  SUBSCRIPTIONS,
} from "./paths.ts";
import { receiverMarkdown, receiverPage, receiversPage } from "./receivers.tsx";
import { signInPage } from "./sign_in.tsx";
import { subscriptionPage } from "./subscription.tsx";
import { subscriptionsPage } from "./subscriptions.tsx";
import {
  type DashboardEnv,
  door,
  form,
  MAX_SIGN_IN_BYTES,
  pageHeaders,
  PAYLOADS_COOKIE,
  SESSION_COOKIE,
} from "./viewer.ts";
import { visible } from "./words.ts";

export interface DashboardPorts {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly intake: Intake;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly reader: OutboxReader;
  readonly operations: Operations;
  readonly isHeld: IsHeld;
  readonly health: (subscription: string) => Health;
  readonly notReadyBecause: () => Promise<string | undefined>;
  readonly pinnedJournal: () => LongJournal | undefined;
  /** Where notices go, by the id that stands for each channel. */
  readonly channels: () => ReadonlyMap<string, NoticeChannel>;
  readonly unmatched: () => Promise<readonly UnmatchedPattern[]>;
  readonly reload: Reload;
  readonly origins: LookUpOrigins;
  readonly feed: ChangeFeed;
  readonly onShutdown: (end: () => void) => () => void;
  readonly refusals: Refusals;
  readonly remember: (entry: Omit<HistoryEntry, "at">) => Promise<void>;
}

/** The pages that an operator opens, at `/` and below `/dashboard`. */
export function dashboardRoutes(ports: DashboardPorts): Hono<DashboardEnv> {
  const sessions = new Sessions(ports);
  const routes = new Hono<DashboardEnv>();
  routes.onError((error, context) => {
    const problem = problemOf(error);
    if (!problem) {
      ports.log.requestBroke({ method: context.req.method, path: context.req.path }, error);
    }
    return errorPage(context, problem ?? BROKE);
  });

  const enter = door({ ...ports, sessions });
  type Answer = (context: Context<DashboardEnv>) => unknown;
  // For each path by itself: the API beside it has another door.
  const page = (path: string, render: Answer) =>
    routes.get(path, pageHeaders, enter, async (context) => {
      const rendered = await render(context);
      return rendered instanceof Response ? rendered : context.html(rendered as string);
    });
  const checked = form({ ...ports, csrfOf: (context) => context.get("viewer").csrf });
  const action = (path: string, act: (context: Context<DashboardEnv>) => Promise<Response>) =>
    routes.post(path, pageHeaders, enter, checked, act);

  page(OVERVIEW, (context) => overviewPage(ports, context));
  page(DELIVERIES, (context) => deliveriesPage(ports, context));
  page(`${DELIVERIES}/live`, (context) => liveTail(ports, context));
  page(`${DELIVERIES}/:id`, (context) => deliveryPage(ports, context));
  page(BULK, (context) => bulkPage(ports, context));
  page(`${BULK}/:id`, (context) => bulkJobPage(ports, context));
  page(SUBSCRIPTIONS, (context) => subscriptionsPage(ports, context));
  page(`${SUBSCRIPTIONS}/:id`, (context) => subscriptionPage(ports, context));
  page(EVENTS, (context) => eventsPage(ports, context));
  page(`${EVENTS}/:id`, (context) => eventPage(ports, context));
  page(RECEIVERS, (context) => receiversPage(ports, context));
  page(`${RECEIVERS}/:id`, (context) => receiverPage(ports, context));
  page(`${RECEIVERS}/:id/guide.md`, (context) => receiverMarkdown(ports, context));
  page(CONFIG, (context) => configPage(ports, context));
  page(HISTORY, (context) => historyPage(ports, context));

  for (const verb of ["retry", "cancel"] as const) {
    action(`${DELIVERIES}/${verb}`, (context) => steerMany(ports, context, verb));
    action(`${DELIVERIES}/:id/${verb}`, (context) => steerOne(ports, context, verb));
  }
  for (const verb of ["pause", "resume"] as const) {
    action(`${SUBSCRIPTIONS}/:id/${verb}`, (context) => hold(ports, context, verb));
  }
  action(`${SUBSCRIPTIONS}/:id/test`, (context) => sendTest(ports, context));
  action(`${SUBSCRIPTIONS}/:id/replay`, (context) => replayFailed(ports, context));
  action(BULK, (context) => startBulk(ports, context));
  action(`${BULK}/:id/stop`, (context) => stopBulk(ports, context));
  action(`${CONFIG}/reload`, (context) => reloadNow(ports, context));
  action(PAYLOADS, (context) => {
    const hides = context.get("form").get("payloads") === "hidden";
    if (hides) setCookie(context, PAYLOADS_COOKIE, "hidden", { ...COOKIE, maxAge: YEAR_S });
    else deleteCookie(context, PAYLOADS_COOKIE, COOKIE);
    return Promise.resolve(context.redirect(backOf(context), 303));
  });

  addSignIn(routes, { ...ports, sessions });
  for (const { path, type, text } of ASSETS) {
    routes.get(path, pageHeaders, (context) => {
      // Its address changes with it.
      context.header("cache-control", "public, max-age=31536000, immutable");
      context.header("content-type", type);
      return context.body(text);
    });
  }
  return routes;
}

const COOKIE = { path: "/", httpOnly: true, sameSite: "Strict" } as const;
const YEAR_S = 365 * 24 * 3_600;

function addSignIn(
  routes: Hono<DashboardEnv>,
  { config, clock, intake, sessions, refusals, remember }: DashboardPorts & {
    readonly sessions: Sessions;
  },
): void {
  routes.get(SIGN_IN, pageHeaders, (context) => {
    if (!config().auth) return context.redirect(OVERVIEW, 303);
    const to = ownPath(context.req.query("to"));
    return context.html(signInPage({ to, csrf: sessions.localCsrf }));
  });

  const checked = form({
    clock,
    intake,
    csrfOf: () => sessions.localCsrf,
    maxBytes: MAX_SIGN_IN_BYTES,
  });
  routes.post(SIGN_IN, pageHeaders, checked, async (context) => {
    const sent = context.get("form");
    const to = ownPath(sent.get("to") ?? undefined);
    const session = sessions.signIn((sent.get("token") ?? "").trim());
    const address = addressOf(context, config());
    if (!session) {
      const waitSeconds = await refusals.note({ address, reason: "sign_in" });
      if (waitSeconds !== undefined) context.header("retry-after", String(waitSeconds));
      const problem = "The token is not one of auth.operators." +
        (waitSeconds === undefined ? "" : ` Wait ${waitSeconds} s before you try again.`);
      const status = waitSeconds === undefined ? 403 : 429;
      return context.html(signInPage({ to, csrf: sessions.localCsrf, problem }), status);
    }
    const by = session.operator.name;
    await remember({ kind: "signed in", cause: "to the dashboard", by, address });
    // Behind a proxy that speaks TLS; on loopback there is none to keep it to.
    const secure = context.req.header("x-forwarded-proto") === "https";
    setCookie(context, SESSION_COOKIE, session.id, { ...COOKIE, secure });
    return context.redirect(to ?? OVERVIEW, 303);
  });

  const enter = door({ config, clock, sessions });
  const ownForm = form({ clock, intake, csrfOf: (context) => context.get("viewer").csrf });
  routes.post(SIGN_OUT, pageHeaders, enter, ownForm, async (context) => {
    const cookie = deleteCookie(context, SESSION_COOKIE, COOKIE);
    if (cookie !== undefined) sessions.signOut(cookie);
    await remember({ kind: "signed out", cause: "of the dashboard", ...credit(actorOf(context)) });
    return context.redirect(SIGN_IN, 303);
  });
}

/** What a thrown thing tells an operator; undefined where it is a fault of ours. */
function problemOf(error: Error): Problem | undefined {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof InvalidCursorError) {
    return { status: 422, title: "No such page", detail: error.message };
  }
  if (error instanceof OutboxFailed || error instanceof OutboxUnavailable) {
    return { status: 503, title: "The database can't be used now", detail: error.message };
  }
  return undefined;
}

const BROKE: Problem = {
  status: 500,
  title: "Something broke",
  detail: "a fault inside bellhook; its log says more",
};

/** What a browser shows where there is nothing. */
export function noSuchPage(context: Context<DashboardEnv>) {
  const { path } = context.req;
  return errorPage(context, {
    status: 404,
    title: "No such page",
    detail: `there is nothing at ${path}; a link to it may be old or mistyped`,
  });
}

function errorPage(context: Context<DashboardEnv>, { status, title, detail }: Problem) {
  const viewer = context.get("viewer");
  return context.html(
    renderPage({
      title,
      ...(viewer ? { viewer } : {}),
      children: (
        <>
          <h1>{title}</h1>
          <p>{visible(detail)}</p>
          <p>
            <a href={OVERVIEW}>To the overview</a>
          </p>
        </>
      ),
    }),
    status,
  );
}
