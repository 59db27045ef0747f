import { Hono } from "hono";
import { formatInstant, parseInstant } from "../domain/instant.ts";
import type { OutboxReader } from "../outbox/outbox.ts";
import { type AccessVariables, actorOf } from "./access.ts";
import { defined } from "./deliveries.ts";
import { type BodyPorts, jsonBody } from "./input.ts";
import type { Operations } from "./operations.ts";
import { ProblemError } from "./problem.ts";
import { replayRequest } from "./schemas.ts";

export interface ReplaysPorts extends BodyPorts {
  readonly reader: OutboxReader;
  readonly operations: Operations;
}

/** `/v1/replays`: finished deliveries sent again, at a pace, across restarts. */
export function replaysRoutes(ports: ReplaysPorts): Hono<{ Variables: AccessVariables }> {
  const { reader, operations, clock } = ports;
  const routes = new Hono<{ Variables: AccessVariables }>();

  routes.post("/", async (context) => {
    const { value: { dryRun, since, until, ...which } } = await jsonBody(
      context,
      replayRequest,
      ports,
    );
    const filter = {
      ...defined(which),
      since: parseInstant(since)!,
      // A publisher's clock may be ahead: what is since then is nothing yet.
      until: until === undefined
        ? Math.max(clock.wall(), parseInstant(since)!) + 1
        : parseInstant(until)!,
    };
    if (filter.until <= filter.since) {
      throw new ProblemError({
        status: 422,
        title: "Unprocessable Content",
        detail: "the body is not valid",
        errors: [{ path: "until", message: "must be later than since" }],
      });
    }
    if (dryRun) return context.json({ count: await reader.countReplay(filter) });
    return context.json({ id: await operations.startReplay(filter, actorOf(context)) }, 202);
  });

  routes.get("/:id", async (context) => {
    const id = context.req.param("id");
    const replay = await reader.replay(id);
    if (!replay) {
      throw new ProblemError({
        status: 404,
        title: "Not Found",
        detail: `there is no replay "${id}"`,
      });
    }
    const { createdAt, finishedAt } = replay;
    return context.json({
      id: replay.id,
      state: finishedAt === undefined ? "running" : "finished",
      total: replay.total,
      done: replay.done,
      createdAt: formatInstant(createdAt),
      ...(finishedAt === undefined ? {} : { finishedAt: formatInstant(finishedAt) }),
    });
  });

  return routes;
}
