import { Hono } from "hono";
import { formatInstant, type Instant, parseInstant } from "../domain/instant.ts";
import type { Replay } from "../outbox/outbox.ts";
import type { OutboxReader } from "../outbox/reader.ts";
import { type AccessVariables, actorOf } from "./access.ts";
import { defined } from "./deliveries.ts";
import { type BodyPorts, bodyText, jsonBody } from "./input.ts";
import type { Operations } from "./operations.ts";
import { ProblemError } from "./problem.ts";
import { replayRequest } from "./schemas.ts";

export interface ReplaysPorts extends BodyPorts {
  readonly reader: OutboxReader;
  readonly operations: Operations;
}

/** `/v1/replays`: sends, retries or cancels many deliveries; continues after a restart. */
export function replaysRoutes(ports: ReplaysPorts): Hono<{ Variables: AccessVariables }> {
  const { reader, operations, clock } = ports;
  const routes = new Hono<{ Variables: AccessVariables }>();

  routes.post("/", async (context) => {
    const { value: { dryRun, since, until, action, ...which } } = await jsonBody(
      context,
      replayRequest,
      ports,
    );
    const isCancel = action === "cancel";
    if (isCancel && (which.state ?? "pending") !== "pending") {
      throw new ProblemError({
        status: 422,
        title: "Unprocessable Content",
        detail: "the body is not valid",
        errors: [{
          path: "state",
          message: "must be pending: finished deliveries can't be cancelled",
        }],
      });
    }
    const filter = {
      ...defined(which),
      ...(isCancel ? { state: "pending" as const, action: "cancel" as const } : {}),
      since: parseInstant(since)!,
      // `since` may be in the future if the caller's clock is ahead; then nothing matches.
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

  routes.get("/:id", async (context) => context.json(await viewOf(context.req.param("id"))));

  routes.post("/:id/stop", async (context) => {
    await bodyText(context, ports);
    const id = context.req.param("id");
    await viewOf(id);
    await operations.stopReplay(id, actorOf(context));
    return context.json(await viewOf(id));
  });

  return routes;

  async function viewOf(id: string) {
    const replay = await reader.replay(id);
    if (replay) return replayView(replay, clock.wall());
    throw new ProblemError({
      status: 404,
      title: "Not Found",
      detail: `there is no replay "${id}"`,
    });
  }
}

/** The progress of a replay. */
function replayView(replay: Replay, now: Instant) {
  const { id, filter, state, total, done, createdAt, finishedAt } = replay;
  const seconds = Math.max(0, (finishedAt ?? now) - createdAt) / 1_000;
  return {
    id,
    action: filter.action ?? "send",
    state,
    total,
    done,
    ...(seconds > 0 && { perSecond: Math.round(done / seconds) }),
    createdAt: formatInstant(createdAt),
    ...(finishedAt === undefined ? {} : { finishedAt: formatInstant(finishedAt) }),
  };
}
