import { Hono } from "hono";
import type { Actor } from "../domain/actor.ts";
import { type AccessVariables, actorOf } from "./access.ts";
import { type BodyPorts, bodyText, query } from "./input.ts";
import { problem } from "./problem.ts";
import { reloadQuery } from "./schemas.ts";

/** Reads the config file again and applies it. A dry run only reports what would change. */
export type Reload = (
  how?: { readonly dryRun?: boolean; readonly by?: Actor },
) => Promise<ReloadReport>;

/** The result of a reload. */
export type ReloadReport =
  | {
    readonly kind: "reloaded";
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
    /** Paths of other settings that changed. */
    readonly settings: readonly string[];
    /** Changed settings that need a restart. */
    readonly needsRestart: readonly string[];
    /** All changes, as lines of text. */
    readonly changes: readonly string[];
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "rejected";
    readonly problems: readonly { readonly path: string; readonly message: string }[];
  };

/** `POST /-/reload`. */
export function reloadRoutes(
  ports: BodyPorts & { readonly reload: Reload },
): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.post("/", async (context) => {
    await bodyText(context, ports);
    const { dryRun } = query(context, reloadQuery);
    const report = await ports.reload({ dryRun: dryRun === "true", by: actorOf(context) });
    if (report.kind === "reloaded") return context.json(report);
    return problem({
      status: 422,
      title: "Unprocessable Content",
      detail: "the config file has problems; the previous config stays in effect",
      errors: report.problems,
    });
  });
  return routes;
}
