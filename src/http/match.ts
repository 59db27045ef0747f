import { Hono } from "hono";
import type { Config } from "../config/config.ts";
import { receiverName } from "../domain/subscription.ts";
import type { Ingest } from "../ingest/ingest.ts";
import { parseEvents } from "../ingest/posted_event.ts";
import type { Registry } from "../ingest/registry.ts";
import type { Clock } from "../runtime/clock.ts";
import type { AccessVariables } from "./access.ts";
import { readText } from "./body.ts";
import { ProblemError } from "./problem.ts";
import type { IsHeld } from "./views.ts";

export interface MatchPorts {
  readonly ingest: Ingest;
  readonly registry: Registry;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly isHeld: IsHeld;
}

/** `POST /v1/match`: who would get an event, and for each other subscription why not. */
export function matchRoutes(ports: MatchPorts): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.post("/", async (context) => {
    const maxBytes = ports.config().server.maxBodyBytes;
    const text = await readText(context.req.raw, { maxBytes, clock: ports.clock });
    const parsed = parseEvents(text, "events");
    if (parsed.kind === "malformed") {
      throw new ProblemError(invalid(`the body cannot be read as JSON: ${parsed.message}`));
    }
    if (parsed.kind === "invalid") throw new ProblemError(invalid("no event", parsed.faults));
    if (parsed.isArray) throw new ProblemError(invalid("one event is matched at a time"));
    const explained = ports.registry.explain(ports.ingest.preview(parsed.events[0]!));
    return context.json({
      matches: explained.flatMap(({ subscription, match }) =>
        !match.matches ? [] : [{
          subscription: subscription.id,
          type: receiverName(subscription, parsed.events[0]!.type),
          held: ports.isHeld(subscription.id),
        }]
      ),
      others: explained.flatMap(({ subscription, match }) =>
        match.matches ? [] : [{ subscription: subscription.id, rule: match.rule, why: match.why }]
      ),
    });
  });
  return routes;
}

function invalid(detail: string, errors?: readonly { path: string; message: string }[]) {
  return {
    status: 422,
    title: "Unprocessable Content",
    detail,
    ...(errors ? { errors } : {}),
  } as const;
}
