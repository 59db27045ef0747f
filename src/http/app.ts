import { type Context, type Env, Hono, type MiddlewareHandler } from "hono";
import type { Config } from "../config/config.ts";
import type { LookUpOrigins } from "../config/origins.ts";
import type { Health } from "../domain/health.ts";
import type { NoticeChannel } from "../domain/notice.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Registry } from "../ingest/registry.ts";
import type { UnmatchedPattern } from "../ingest/unmatched_patterns.ts";
import type { HistoryEntry } from "../outbox/outbox.ts";
import type { LongJournal, OutboxReader } from "../outbox/reader.ts";
import type { Log } from "../runtime/log.ts";
import { type Answer, toResponse } from "../server/answer.ts";
import type { Random } from "../runtime/random.ts";
import { access, type AccessVariables, assertOwnPage, operatorsOnly } from "./access.ts";
import { allowedMethods } from "./allowed_methods.ts";
import type { DashboardPorts } from "./dashboard/dashboard.tsx";
import type { DashboardEnv } from "./dashboard/viewer.ts";
import { shownUnder, withoutBasePath } from "./base_path.ts";
import { deliveriesRoutes } from "./deliveries.ts";
import { problemsFor } from "./error_problems.ts";
import { eventsRoutes } from "./events.ts";
import { historyRoutes } from "./history.ts";
import { assertAddressed } from "./host.ts";
import { Intake } from "./intake.ts";
import { matchRoutes } from "./match.ts";
import { type MetricsPorts, metricsRoutes } from "./metrics.ts";
import { type Operations, whileOpen } from "./operations.ts";
import { notePeer, peerOf } from "./peer.ts";
import { NOT_CACHED, problem, ProblemError } from "./problem.ts";
import {
  EVENTS_PATH,
  type Posting,
  postsEvents,
  publishing,
  type PublishPorts,
  RETRY_AFTER_SECONDS,
} from "./publish.ts";
import { Refusals, type RefusalsPorts } from "./refusals.ts";
import { type Reload, reloadRoutes } from "./reload.ts";
import { replaysRoutes } from "./replays.ts";
import { type StreamPorts, streamRoutes } from "./stream.ts";
import { subscriptionsRoutes } from "./subscriptions.ts";
import type { IsHeld } from "./views.ts";

export interface AppPorts extends PublishPorts, StreamPorts, MetricsPorts {
  readonly config: () => Config;
  readonly log: Log;
  readonly random: Random;
  readonly registry: Registry;
  readonly reader: OutboxReader;
  readonly operations: Operations;
  readonly isHeld: IsHeld;
  readonly health: (subscription: string) => Health;
  readonly subscription: (id: string) => Subscription | undefined;
  /** Why the daemon can't accept events; undefined if it can. May try the storage to find out. */
  readonly notReadyBecause: () => Promise<string | undefined>;
  /** The journal, if another program's open read keeps it from being reset. */
  readonly pinnedJournal: () => LongJournal | undefined;
  /** The notice channels by id. */
  readonly channels: () => ReadonlyMap<string, NoticeChannel>;
  /** Patterns that have matched no event for a long time. */
  readonly unmatched: () => Promise<readonly UnmatchedPattern[]>;
  readonly reload: Reload;
  readonly origins: LookUpOrigins;
  readonly onAccessRefused: RefusalsPorts["onAccessRefused"];
  /** Adds an entry to the history. Never rejects. */
  readonly remember: (entry: Omit<HistoryEntry, "at">) => Promise<void>;
}

/** Answers requests. */
export interface App {
  /** Methods and paths. */
  readonly routes: Hono["routes"];
  /** Call `notePeer` on a request first, so that its client's address is known. */
  fetch(request: Request): Response | Promise<Response>;
  fetch(request: Request | Incoming): Answer | Promise<Answer>;
}

/** A received request. A `Request` is created only if needed. */
export interface Incoming extends Posting {
  toRequest(url: string): Request;
}

/** Creates the app with all routes of the daemon. */
export function createApp(given: Omit<AppPorts, "intake">): App {
  const ports = {
    ...given,
    operations: whileOpen(given),
    intake: new Intake(),
    refusals: new Refusals(given),
  };
  const app = new Hono<{ Variables: AccessVariables }>();
  const problemOf = problemsFor(ports);
  const publish = publishing(ports, problemOf);
  app.onError((error, context) => problemOf(error, context.req.raw));
  app.notFound((context) => nothingFound(app, context));
  app.post(EVENTS_PATH, async (context) => toResponse(await publish(context.req.raw)));
  addRoutes(app, ports);
  function answer(request: Request | Incoming): Response | Promise<Response> {
    try {
      assertOwnPage(request.headers, ports.config());
      assertAddressed(request);
      return app.fetch(requestOf(request, ports.config().server.basePath));
    } catch (error) {
      return problemOf(error as Error, request);
    }
  }

  function fetch(request: Request): Response | Promise<Response>;
  function fetch(request: Request | Incoming): Answer | Promise<Answer>;
  function fetch(request: Request | Incoming): Answer | Promise<Answer> {
    if (!postsEvents(request)) return answer(request);
    return request instanceof Request ? publish(request).then(toResponse) : publish(request);
  }

  return { routes: app.routes, fetch };
}

type Routes = Hono<{ Variables: AccessVariables }>;

/** All but that which takes events. */
function addRoutes(
  app: Routes,
  ports: AppPorts & { readonly intake: Intake; readonly refusals: Refusals },
): void {
  app.use(notCached);
  app.get("/-/healthy", (context) => context.json({ status: "healthy" }));
  app.get("/-/ready", async (context) => {
    const why = await ports.notReadyBecause();
    if (why === undefined) return context.json({ status: "ready" });
    return problem({
      status: 503,
      title: "Service Unavailable",
      detail: why,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  });
  app.get("/openapi.json", async (context) => {
    const { openapiText } = await import("./openapi.ts");
    const { basePath } = ports.config().server;
    return context.body(
      openapiText({ basePath, hasAuth: ports.config().auth !== undefined }),
      200,
      { "content-type": "application/json" },
    );
  });
  app.use("/v1/*", access(ports.config));
  app.use("/metrics", access(ports.config), operatorsOnly);
  app.route("/metrics", metricsRoutes(ports));
  app.use("/-/reload", access(ports.config), operatorsOnly);
  app.route("/-/reload", reloadRoutes(ports));
  for (const path of OPERATORS_PATHS) {
    app.use(`/v1/${path}/*`, operatorsOnly);
  }
  app.route("/v1/events", eventsRoutes(ports));
  app.route("/v1/deliveries", deliveriesRoutes(ports));
  app.route("/v1/match", matchRoutes(ports));
  app.route("/v1/subscriptions", subscriptionsRoutes(ports));
  app.route("/v1/replays", replaysRoutes(ports));
  app.route("/v1/history", historyRoutes(ports));
  app.route("/v1/stream", streamRoutes(ports));
  let dashboard: Promise<Hono<DashboardEnv>> | undefined;
  for (const path of ["/", "/dashboard/*", "/dashboard.css", "/dashboard.js"]) {
    app.all(path, async (context) => {
      dashboard ??= loadDashboard(ports);
      const answer = await (await dashboard).fetch(context.req.raw);
      return await shownUnder(ports.config().server.basePath, answer);
    });
  }
}

/** Paths below `/v1` that only operators may use. Publishers' `POST /v1/events` is handled before. */
const OPERATORS_PATHS = [
  "events",
  "deliveries",
  "subscriptions",
  "match",
  "replays",
  "history",
  "stream",
];

/** The `Request` for the routes. Throws ProblemError (405) for methods that `Request` refuses. */
function requestOf(request: Request | Incoming, basePath: string): Request {
  const url = withoutBasePath(request.url, basePath);
  if (request instanceof Request && url === request.url) return request;
  if (NO_REQUESTS.test(request.method)) {
    throw new ProblemError({
      status: 405,
      title: "Method Not Allowed",
      detail: `${request.method} is not supported on any path`,
      allow: ["GET", "HEAD", "POST"],
    });
  }
  const made = request instanceof Request ? at(url, request) : request.toRequest(url);
  notePeer(made, peerOf(request));
  return made;
}

const NO_REQUESTS = /^(CONNECT|TRACE|TRACK)$/i;

/** The same request at another URL. Not `new Request(url, request)`, which would read its signal. */
function at(url: string, { method, headers, body }: Request): Request {
  const options: RequestInit & { duplex: "half" } = { method, headers, body, duplex: "half" };
  return new Request(url, options);
}

/** Adds the NOT_CACHED headers to answers that don't set their own, as the dashboard's do. */
const notCached: MiddlewareHandler = async (context, next) => {
  await next();
  const { headers } = context.res;
  for (const [name, value] of Object.entries(NOT_CACHED)) {
    if (!headers.has(name)) headers.set(name, value);
  }
};

/** Loads the dashboard on first use: many daemons never show it. */
async function loadDashboard(ports: DashboardPorts): Promise<Hono<DashboardEnv>> {
  const { dashboardRoutes, noSuchPage } = await import("./dashboard/dashboard.tsx");
  const routes = dashboardRoutes(ports);
  routes.notFound((context) =>
    isForPerson(context) ? noSuchPage(context) : nothingFound(routes, context)
  );
  return routes;
}

/** Whether somebody at a browser opened an address, rather than a program. */
function isForPerson({ req }: Context<DashboardEnv>): boolean {
  return req.method === "GET" && (req.header("accept") ?? "").includes("text/html");
}

function nothingFound<E extends Env>(routes: Hono<E>, context: Context<E>): Response {
  const { method, path } = context.req;
  const allow = allowedMethods(routes, path);
  if (allow.length > 0) {
    return problem({
      status: 405,
      title: "Method Not Allowed",
      detail: `${path} does not support ${method}, only ${allow.join(", ")}`,
      allow,
    });
  }
  return problem({
    status: 404,
    title: "Not Found",
    detail: `there is nothing at ${path}; GET /openapi.json lists all paths`,
  });
}
