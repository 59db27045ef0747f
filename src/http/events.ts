import { Hono } from "hono";
import type { OutboxReader } from "../outbox/reader.ts";
import type { AccessVariables } from "./access.ts";
import { defined, instants } from "./deliveries.ts";
import { query } from "./input.ts";
import { ProblemError } from "./problem.ts";
import { eventQuery, eventsQuery } from "./schemas.ts";
import { deliveryView, eventText, type IsHeld, searchedView } from "./views.ts";

/** `GET /v1/events`: the accepted events. */
export function eventsRoutes(
  { reader, isHeld }: { reader: OutboxReader; isHeld: IsHeld },
): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();

  routes.get("/", async (context) => {
    const { since, until, ...filter } = query(context, eventsQuery);
    const page = await reader.events({
      ...defined(filter),
      limit: filter.limit,
      ...instants({ since, until }),
    });
    const items = page.items.map((event) => eventText(event)).join(",");
    // Concatenated as text, because events contain JSON exactly as it was posted.
    const rest = JSON.stringify({ next: page.next ?? null, ...searchedView(page) }).slice(1);
    return context.body(`{"items":[${items}],${rest}`, 200, JSON_TYPE);
  });

  routes.get("/:id", async (context) => {
    const id = context.req.param("id");
    const { publisher } = query(context, eventQuery);
    const event = await reader.event(id, publisher);
    if (!event) {
      const whose = publisher === undefined ? "" : ` of publisher "${publisher}"`;
      throw new ProblemError({
        status: 404,
        title: "Not Found",
        detail: `there is no event "${id}"${whose}; it may have been pruned`,
      });
    }
    const deliveries = await reader.deliveriesOf(id, publisher);
    const more = {
      ...(event.sameId ? { sameId: event.sameId } : {}),
      deliveries: deliveries.map((one) => deliveryView(one, isHeld)),
    };
    return context.body(eventText(event, more), 200, JSON_TYPE);
  });

  return routes;
}

const JSON_TYPE = { "content-type": "application/json" };
