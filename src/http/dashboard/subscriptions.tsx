import type { Context } from "hono";
import type { Health } from "../../domain/health.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader } from "../../outbox/reader.ts";
import { renderPage } from "./frame.tsx";
import { Empty } from "./parts.tsx";
import { SUBSCRIPTIONS, withQuery } from "./paths.ts";
import { isFailing } from "./attention.tsx";
import { type Glance, glancesAt, subscriptionRows, worstFirst } from "./subscription_rows.tsx";
import type { DashboardEnv } from "./viewer.ts";
import { count } from "./words.ts";

export interface SubscriptionsPagePorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly health: (subscription: string) => Health;
}

const ROWS = 50;

/** Subscriptions by state, as the address names them. */
const PRESETS: readonly {
  readonly name: string;
  readonly title: string;
  readonly fits: (glance: Glance) => boolean;
}[] = [
  { name: "attention", title: "Need attention", fits: isFailing },
  {
    name: "held",
    title: "Held",
    fits: ({ state }) => state === "paused" || state === "disabled" || state === "removed",
  },
  { name: "healthy", title: "Healthy", fits: ({ state }) => state === "healthy" },
];

/** All subscriptions, what needs a look first. */
export async function subscriptionsPage(
  { reader, registry, health }: SubscriptionsPagePorts,
  context: Context<DashboardEnv>,
) {
  const viewer = context.get("viewer");
  const wanted = (context.req.query("q") ?? "").trim();
  const from = Math.max(0, Math.floor(Number(context.req.query("from") ?? 0)) || 0);
  const all = glancesAt(registry.all, { health, backlog: await reader.backlog() })
    .filter(({ id, description = "" }) =>
      `${id} ${description}`.toLowerCase().includes(wanted.toLowerCase())
    )
    .sort(worstFirst);
  const preset = PRESETS.find(({ name }) => name === context.req.query("state"));
  const glances = preset ? all.filter(preset.fits) : all;
  const shown = glances.slice(from, from + ROWS);
  const state = preset?.name;
  const page = (start: number) =>
    withQuery(SUBSCRIPTIONS, { q: wanted, state, from: start > 0 ? String(start) : undefined });
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
          {state !== undefined && <input type="hidden" name="state" value={state} />}
          <div class="buttons">
            <button type="submit">Show</button>
          </div>
        </form>
        <nav class="choices" aria-label="State">
          <a
            href={withQuery(SUBSCRIPTIONS, { q: wanted })}
            aria-current={state === undefined ? "true" : undefined}
          >
            All {count(all.length)}
          </a>
          {PRESETS.map(({ name, title, fits }) => (
            <a
              href={withQuery(SUBSCRIPTIONS, { q: wanted, state: name })}
              aria-current={state === name ? "true" : undefined}
            >
              {title} {count(all.filter(fits).length)}
            </a>
          ))}
        </nav>
        {shown.length > 0
          ? await subscriptionRows(shown, { reader, viewer })
          : wanted === "" && state === undefined
          ? (
            <Empty command="bellhook init">
              The config has no subscriptions yet. Begin one, then reload.
            </Empty>
          )
          : <Empty>No subscription matches.</Empty>}
        <nav class="pager" aria-label="More subscriptions">
          {from > 0 && <a href={page(from - ROWS)}>Before</a>}
          {from + ROWS < glances.length && <a href={page(from + ROWS)}>After</a>}
          <span class="muted">{count(glances.length)} in all</span>
        </nav>
      </>
    ),
  });
}
