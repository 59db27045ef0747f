import { Hono } from "hono";
import type { Event } from "../domain/event.ts";
import { receiverName } from "../domain/subscription.ts";
import type { Ingest } from "../ingest/ingest.ts";
import { parseEvents } from "../ingest/posted_event.ts";
import type { Registry } from "../ingest/registry.ts";
import { type Steps, Turn } from "../runtime/turn.ts";
import type { AccessVariables } from "./access.ts";
import { type BodyPorts, bodyText } from "./input.ts";
import { ProblemError } from "./problem.ts";
import { formatNamed } from "./publish.ts";
import type { IsHeld } from "./views.ts";

export interface MatchPorts extends BodyPorts {
  readonly ingest: Ingest;
  readonly registry: Registry;
  readonly isHeld: IsHeld;
}

/** `POST /v1/match`: which subscriptions would get an event, and why the others wouldn't. */
export function matchRoutes(ports: MatchPorts): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.post("/", async (context) => {
    const format = formatNamed(context.req.header("content-type") ?? "") ?? "events";
    const parsed = parseEvents(await bodyText(context, ports), format);
    if (parsed.kind === "malformed") {
      throw new ProblemError(invalid(`the body cannot be read as JSON: ${parsed.message}`));
    }
    if (parsed.kind === "invalid") {
      throw new ProblemError(invalid("the body is not an event", parsed.faults));
    }
    if (parsed.isArray) throw new ProblemError(invalid("the body is an array; send one event"));
    const previewed = ports.ingest.preview(parsed.events[0]!);
    if (previewed.kind !== "accepted") {
      const detail = previewed.kind === "undeclared"
        ? "the event type is not declared"
        : "the event does not say whose it is";
      throw new ProblemError(invalid(detail, previewed.faults));
    }
    return context.json(await new Turn(ports.clock).run(explaining(previewed.event)));
  });
  return routes;

  function* explaining(event: Event): Steps<unknown> {
    const matches: unknown[] = [], others: unknown[] = [];
    for (const { subscription, match } of ports.registry.explaining(event)) {
      const { id } = subscription;
      if (match.matches) {
        const type = receiverName(subscription, event.type);
        matches.push({ subscription: id, type, held: ports.isHeld(id) });
      } else others.push({ subscription: id, rule: match.rule, why: match.why });
      if ((matches.length + others.length) % SUBSCRIPTIONS_PER_STEP === 0) yield;
    }
    return { matches, others };
  }
}

const SUBSCRIPTIONS_PER_STEP = 32;

function invalid(detail: string, errors?: readonly { path: string; message: string }[]) {
  return {
    status: 422,
    title: "Unprocessable Content",
    detail,
    ...(errors ? { errors } : {}),
  } as const;
}
