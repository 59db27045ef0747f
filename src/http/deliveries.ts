import { type Context, Hono } from "hono";
import type { Steered } from "../domain/delivery.ts";
import { diagnose } from "../domain/diagnosis.ts";
import { parseInstant } from "../domain/instant.ts";
import type { OutboxReader, StoredDelivery } from "../outbox/reader.ts";
import { renderBody } from "../profiles/render.ts";
import { type AccessVariables, actorOf } from "./access.ts";
import { type BodyPorts, bodyText, query } from "./input.ts";
import type { Operations } from "./operations.ts";
import { ProblemError } from "./problem.ts";
import { deliveriesQuery } from "./schemas.ts";
import { attemptView, deliveryView, type IsHeld, searchedView } from "./views.ts";

export interface DeliveriesPorts extends BodyPorts {
  readonly reader: OutboxReader;
  readonly operations: Operations;
  readonly isHeld: IsHeld;
}

/** `/v1/deliveries`: deliveries and their attempts. */
export function deliveriesRoutes(ports: DeliveriesPorts): Hono<{ Variables: AccessVariables }> {
  const { reader, operations, isHeld } = ports;
  const routes = new Hono<{ Variables: AccessVariables }>();

  routes.get("/", async (context) => {
    const { event, since, until, ...filter } = query(context, deliveriesQuery);
    const page = await reader.deliveries({
      ...defined(filter),
      limit: filter.limit,
      ...(event === undefined ? {} : { eventId: event }),
      ...instants({ since, until }),
    });
    return context.json({
      items: page.items.map((delivery) => deliveryView(delivery, isHeld)),
      next: page.next ?? null,
      ...searchedView(page),
    });
  });

  routes.get("/:id", async (context) => {
    const delivery = await find(context);
    const body = renderBody(delivery.format, delivery.event);
    const attempts = (await reader.attempts(delivery.id)).map((attempt) =>
      attemptView(attempt, {
        body,
        diagnosis: diagnose(attempt.outcome, attempt.result === "success"),
      })
    );
    return context.json({ ...deliveryView(delivery, isHeld), attempts });
  });

  routes.post("/:id/retry", async (context) => {
    await bodyText(context, ports);
    const steered = await operations.retry(context.req.param("id"), actorOf(context));
    return await answer(context, steered, 202);
  });

  routes.post("/:id/cancel", async (context) => {
    await bodyText(context, ports);
    const steered = await operations.cancel(context.req.param("id"), actorOf(context));
    return await answer(context, steered, 200);
  });

  async function find(context: Context): Promise<StoredDelivery> {
    const delivery = await reader.delivery(context.req.param("id") ?? "");
    if (!delivery) throw new ProblemError(unknown(context));
    return delivery;
  }

  async function answer(context: Context, steered: Steered, status: 200 | 202) {
    if (steered.kind === "unknown") throw new ProblemError(unknown(context));
    if (steered.kind === "refused") {
      throw new ProblemError({ status: 409, title: "Conflict", detail: steered.why });
    }
    const delivery = await reader.delivery(steered.delivery);
    return context.json(deliveryView(delivery!, isHeld), status);
  }

  return routes;
}

function unknown(context: Context) {
  return {
    status: 404,
    title: "Not Found",
    detail: `there is no delivery "${context.req.param("id")}"; it may have been pruned`,
  } as const;
}

/** The parsed instants of a valid query. */
export function instants(
  { since, until }: { since?: string | undefined; until?: string | undefined },
) {
  return {
    ...(since === undefined ? {} : { since: parseInstant(since)! }),
    ...(until === undefined ? {} : { until: parseInstant(until)! }),
  };
}

/** The object without its undefined members. */
export function defined<T extends object>(
  value: T,
): { [name in keyof T]: Exclude<T[name], undefined> } {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as { [name in keyof T]: Exclude<T[name], undefined> };
}
