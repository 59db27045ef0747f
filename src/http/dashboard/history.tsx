import type { Context } from "hono";
import type { OutboxReader } from "../../outbox/reader.ts";
import { renderPage } from "./frame.tsx";
import { Empty, History } from "./parts.tsx";
import { HISTORY, OVERVIEW, withQuery } from "./paths.ts";
import type { DashboardEnv } from "./viewer.ts";

const ENTRIES = 100;

/** Who did what, and what befell whom, as far back as it is kept. */
export async function historyPage(
  { reader }: { readonly reader: OutboxReader },
  context: Context<DashboardEnv>,
) {
  const viewer = context.get("viewer");
  const { cursor, subscription: asked = "" } = context.req.query();
  const subscription = asked.trim() === "" ? undefined : asked.trim();
  const { items, next } = await reader.history({
    limit: ENTRIES,
    ...(cursor === undefined ? {} : { cursor }),
    ...(subscription === undefined ? {} : { subscription }),
  });
  return renderPage({
    title: "What happened",
    section: OVERVIEW,
    viewer,
    children: (
      <>
        <p class="crumbs">
          <a href={OVERVIEW}>Overview</a>
        </p>
        <h1>What happened</h1>
        <form
          class="filters"
          method="get"
          action={HISTORY}
          role="search"
          aria-label="What happened"
        >
          <label>
            Subscription
            <input name="subscription" value={subscription} data-key="/" />
          </label>
          <div class="buttons">
            <button type="submit">Show</button>
            <a href={HISTORY}>All</a>
          </div>
        </form>
        {items.length > 0
          ? <History entries={items} viewer={viewer} />
          : subscription === undefined
          ? <Empty>Nothing failed yet, and nobody did anything.</Empty>
          : <Empty>Nothing of a subscription that is called so.</Empty>}
        <nav class="pager" aria-label="More of what happened">
          {cursor !== undefined && <a href={withQuery(HISTORY, { subscription })}>Newest</a>}
          {next !== undefined && (
            <a href={withQuery(HISTORY, { subscription, cursor: next })}>Older</a>
          )}
        </nav>
      </>
    ),
  });
}
