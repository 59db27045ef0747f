import { Hono } from "hono";
import { formatInstant } from "../domain/instant.ts";
import type { OutboxReader, RememberedEntry } from "../outbox/reader.ts";
import type { AccessVariables } from "./access.ts";
import { defined } from "./deliveries.ts";
import { query } from "./input.ts";
import { historyQuery } from "./schemas.ts";

/** `GET /v1/history`: operators' actions, and what happened to subscriptions and deliveries. */
export function historyRoutes(
  { reader }: { reader: OutboxReader },
): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.get("/", async (context) => {
    const { limit, ...filter } = query(context, historyQuery);
    const page = await reader.history({ ...defined(filter), limit });
    return context.json({ items: page.items.map(entryView), next: page.next ?? null });
  });
  return routes;
}

function entryView({ at, seq: _, ...entry }: RememberedEntry) {
  return { at: formatInstant(at), ...entry };
}
