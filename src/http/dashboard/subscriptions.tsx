import type { Context } from "hono";
import type { Health } from "../../domain/health.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader } from "../../outbox/outbox.ts";
import { renderPage } from "./frame.tsx";
import { Empty } from "./parts.tsx";
import { SUBSCRIPTIONS, withQuery } from "./paths.ts";
import { glancesAt, subscriptionRows, worstFirst } from "./subscription_rows.tsx";
import type { DashboardEnv } from "./viewer.ts";
import { count } from "./words.ts";

export interface SubscriptionsPagePorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly health: (subscription: string) => Health;
}

const ROWS = 50;

/** All subscriptions, what needs a look first. */
export async function subscriptionsPage(
  { reader, registry, health }: SubscriptionsPagePorts,
  context: Context<DashboardEnv>,
) {
  const viewer = context.get("viewer");
  const wanted = (context.req.query("q") ?? "").trim();
  const from = Math.max(0, Math.floor(Number(context.req.query("from") ?? 0)) || 0);
  const glances = glancesAt(registry.all, { health, backlog: await reader.backlog() })
    .filter(({ id, description = "" }) =>
      `${id} ${description}`.toLowerCase().includes(wanted.toLowerCase())
    )
    .sort(worstFirst);
  const shown = glances.slice(from, from + ROWS);
  const page = (start: number) =>
    withQuery(SUBSCRIPTIONS, { q: wanted, from: start > 0 ? String(start) : undefined });
  return renderPage({
    title: "Subscriptions",
    section: SUBSCRIPTIONS,
    viewer,
    children: (
      <>
        <h1>Subscriptions</h1>
        <form
          class="filters"
          method="get"
          action={SUBSCRIPTIONS}
          role="search"
          aria-label="Subscriptions"
        >
          <label>
            Id or description
            <input name="q" type="search" value={wanted} data-key="/" />
          </label>
          <div class="buttons">
            <button type="submit">Show</button>
            <a href={SUBSCRIPTIONS}>All</a>
          </div>
        </form>
        {shown.length > 0
          ? await subscriptionRows(shown, { reader, viewer })
          : wanted === ""
          ? (
            <Empty command="bellhook init">
              The config has no subscriptions yet. Begin one, then reload.
            </Empty>
          )
          : <Empty>No subscription is called so.</Empty>}
        <nav class="pager" aria-label="More subscriptions">
          {from > 0 && <a href={page(from - ROWS)}>Before</a>}
          {from + ROWS < glances.length && <a href={page(from + ROWS)}>After</a>}
          <span class="muted">{count(glances.length)} in all</span>
        </nav>
      </>
    ),
  });
}
