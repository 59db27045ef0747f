import { Hono } from "hono";
import type { Config } from "../config/config.ts";
import type { Health } from "../domain/health.ts";
import type { Registry } from "../ingest/registry.ts";
import { InvalidCursorError, OutboxFailed, type OutboxReader } from "../outbox/outbox.ts";
import type { Log } from "../runtime/log.ts";
import { access, type AccessVariables, operatorsOnly } from "./access.ts";
import { deliveriesRoutes } from "./deliveries.ts";
import { eventsRoutes } from "./events.ts";
import { matchRoutes } from "./match.ts";
import type { Operations } from "./operations.ts";
import { problem, ProblemError } from "./problem.ts";
import { type PublishPorts, publishRoutes, RETRY_AFTER_SECONDS, unavailable } from "./publish.ts";
import { subscriptionsRoutes } from "./subscriptions.ts";
import type { IsHeld } from "./views.ts";

export interface AppPorts extends PublishPorts {
  readonly config: () => Config;
  readonly log: Log;
  readonly registry: Registry;
  readonly reader: OutboxReader;
  readonly operations: Operations;
  readonly isHeld: IsHeld;
  readonly health: (subscription: string) => Health;
  /** Undefined while the daemon may take events, else why not; may try the storage to find out. */
  readonly notReadyBecause: () => Promise<string | undefined>;
  readonly reload: () => Promise<ReloadReport>;
}

/** What a reload did, or why it did nothing. */
export type ReloadReport =
  | {
    readonly kind: "reloaded";
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
    /** Other settings that changed, by path. */
    readonly settings: readonly string[];
    /** Changed settings that only a restart puts in force. */
    readonly needsRestart: readonly string[];
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "rejected";
    readonly problems: readonly {
      readonly path: string;
      readonly message: string;
    }[];
  };

/** Everything the daemon answers over HTTP. */
export function createApp(ports: AppPorts): Hono<{ Variables: AccessVariables }> {
  const app = new Hono<{ Variables: AccessVariables }>();
  app.onError((error, context) => {
    if (error instanceof InvalidCursorError) {
      return problem(context, {
        status: 422,
        title: "Unprocessable Content",
        detail: "the query is not valid",
        errors: [{ path: "cursor", message: error.message }],
      });
    }
    if (error instanceof ProblemError) return problem(context, error.problem);
    if (error instanceof OutboxFailed) return problem(context, unavailable(error.message));
    ports.log.requestBroke({ method: context.req.method, path: context.req.path }, error);
    return problem(context, {
      status: 500,
      title: "Internal Server Error",
      detail: "a fault inside bellhook; its log says more",
    });
  });
  app.notFound((context) =>
    problem(context, {
      status: 404,
      title: "Not Found",
      detail: `there is nothing at ${context.req.method} ${context.req.path}`,
    })
  );
  app.get("/-/healthy", (context) => context.json({ status: "healthy" }));
  app.get("/-/ready", async (context) => {
    const why = await ports.notReadyBecause();
    if (why === undefined) return context.json({ status: "ready" });
    return problem(context, {
      status: 503,
      title: "Service Unavailable",
      detail: why,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  });
  app.use("/v1/*", access(ports.config));
  app.use("/-/reload", access(ports.config), operatorsOnly);
  app.post("/-/reload", async (context) => {
    await context.req.text();
    const report = await ports.reload();
    if (report.kind === "reloaded") return context.json(report);
    return problem(context, {
      status: 422,
      title: "Unprocessable Content",
      detail: "the config file has problems; the config before stays in force",
      errors: report.problems,
    });
  });
  app.route("/v1/events", publishRoutes(ports));
  for (const path of ["events", "deliveries", "subscriptions", "match", "replays"]) {
    app.use(`/v1/${path}/*`, operatorsOnly);
  }
  app.route("/v1/events", eventsRoutes(ports));
  app.route("/v1/deliveries", deliveriesRoutes(ports));
  app.route("/v1/match", matchRoutes(ports));
  app.route("/v1/subscriptions", subscriptionsRoutes(ports));
  return app;
}
