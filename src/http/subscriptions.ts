import { Hono } from "hono";
import type { Health } from "../domain/health.ts";
import { membersOf } from "../domain/json_text.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { OutboxReader } from "../outbox/reader.ts";
import { type AccessVariables, actorOf } from "./access.ts";
import { type BodyPorts, bodyText, jsonBody, query } from "./input.ts";
import { type NearSubscriptionPorts, noSuchSubscription } from "./near_subscription.ts";
import { type Operations, refusedTest } from "./operations.ts";
import { ProblemError } from "./problem.ts";
import { pageQuery, testRequest } from "./schemas.ts";
import { type Counts, subscriptionView } from "./views.ts";

export interface SubscriptionsPorts extends BodyPorts, NearSubscriptionPorts {
  readonly reader: OutboxReader;
  readonly operations: Operations;
  readonly health: (subscription: string) => Health;
  /** Finds a subscription, or a channel of `notify`, by id. */
  readonly subscription: (id: string) => Subscription | undefined;
}

/** `/v1/subscriptions`: the subscriptions and the health of their receivers. */
export function subscriptionsRoutes(
  ports: SubscriptionsPorts,
): Hono<{ Variables: AccessVariables }> {
  const { registry, reader, operations } = ports;
  const routes = new Hono<{ Variables: AccessVariables }>();

  routes.get("/", async (context) => {
    const { limit, cursor } = query(context, pageQuery);
    // One more than the page shows whether there is a next page.
    const ids = registry.idsAfter(cursor ?? "", limit + 1);
    const shown = ids.slice(0, limit);
    const counts = await reader.counts(shown);
    const items = shown.flatMap((id) => {
      // A reload may have removed it meanwhile.
      const subscription = registry.find(id);
      return subscription ? [view(subscription, counts)] : [];
    });
    const removed = [...await reader.pending()].filter(([id]) => !ports.subscription(id))
      .map(([id, pending]) => ({ id, pending }));
    return context.json({
      items,
      next: ids.length > limit ? ids[limit - 1]! : null,
      ...(removed.length > 0 ? { removed } : {}),
    });
  });

  routes.get("/:id", async (context) => {
    return context.json(await viewOf(context.req.param("id")));
  });

  routes.post("/:id/test", async (context) => {
    const { value, text } = await jsonBody(context, testRequest, ports);
    const data = value.data === undefined ? {} : { data: new Map(membersOf(text)!).get("data")! };
    const type = value.type === undefined ? {} : { type: value.type };
    const id = context.req.param("id");
    const tested = await operations.test(id, { ...type, ...data, by: actorOf(context) });
    if (!tested) throw await unknown(id);
    if (tested.kind === "refused") throw new ProblemError(refusedTest(tested.why));
    const { event, delivery } = tested;
    return context.json({ event, delivery }, 202);
  });

  for (const action of ["pause", "resume"] as const) {
    routes.post(`/:id/${action}`, async (context) => {
      await bodyText(context, ports);
      const id = context.req.param("id");
      if (!await operations[action](id, actorOf(context))) throw await unknown(id);
      return context.json(await viewOf(id));
    });
  }

  async function viewOf(id: string) {
    const subscription = ports.subscription(id);
    if (!subscription) throw await unknown(id);
    return view(subscription, await reader.counts([id]));
  }

  function view(subscription: Subscription, counts: ReadonlyMap<string, Counts>) {
    return subscriptionView(subscription, {
      health: ports.health(subscription.id),
      counts: counts.get(subscription.id) ?? NONE,
    });
  }

  async function unknown(id: string): Promise<ProblemError> {
    const detail = await noSuchSubscription(id, ports);
    return new ProblemError({ status: 404, title: "Not Found", detail });
  }

  return routes;
}

const NONE: Counts = { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 };
