import type { Context } from "hono";
import type { Delivery } from "../../domain/delivery.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader, Page } from "../../outbox/reader.ts";
import type { Clock } from "../../runtime/clock.ts";
import { sayWhatIsWrong } from "../input.ts";
import { deliveriesQuery } from "../schemas.ts";
import type { IsHeld } from "../views.ts";
import { bulkOf } from "./bulk.tsx";
import { askedFor, readerFilter } from "./delivery_filter.ts";
import { Filters } from "./delivery_filters.tsx";
import { DeliveryTable } from "./delivery_rows.tsx";
import { renderPage } from "./frame.tsx";
import { Hidden } from "./hidden.tsx";
import { searchedPage, Shortcuts, shortcutsFor, Walk } from "./searching.tsx";
import { Empty, Notice } from "./parts.tsx";
import { DELIVERIES, deliveriesPath, withQuery } from "./paths.ts";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { counted, visible } from "./words.ts";

export interface DeliveriesPagePorts {
  readonly clock: Clock;
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly isHeld: IsHeld;
}

/** A list of deliveries: what is asked for stands in the address, to be passed on. */
export async function deliveriesPage(ports: DeliveriesPagePorts, context: Context<DashboardEnv>) {
  const { reader, registry, isHeld, clock } = ports;
  const viewer = context.get("viewer");
  const asked = askedFor(context.req.query());
  const checked = deliveriesQuery.safeParse(asked, { error: sayWhatIsWrong });
  const page: Page<Delivery> = checked.success
    ? await searchedPage((filter) => reader.deliveries(filter), {
      ...readerFilter(checked.data),
      hidesData: viewer.hidesPayloads,
    }, { clock, stretch: context.req.query("stretch") })
    : { items: [] };
  const shortcuts = await shortcutsFor(checked.success ? checked.data.q : undefined, ports);
  const problems = checked.success ? [] : checked.error.issues;
  const { cursor: _, limit: __, ...rest } = asked;
  const { until: ___, ...newest } = rest;
  const next = page.next === undefined
    ? undefined
    : deliveriesPath({ ...asked, cursor: page.next });
  const isFiltered = Object.keys(rest).length > 0;
  const limit = checked.success ? checked.data.limit : 0, isFull = page.items.length === limit;
  return renderPage({
    title: "Deliveries",
    section: DELIVERIES,
    viewer,
    children: (
      <>
        <div class="heading">
          <h1>Deliveries</h1>
          <LiveTail
            asked={asked}
            isLive={asked.cursor === undefined && asked.until === undefined &&
              asked.q === undefined && page.searched === undefined}
          />
        </div>
        <Notice
          text={doneText(context.req.query())}
          isBad={context.req.query("refused") !== undefined}
        />
        <Filters
          asked={asked}
          subscriptions={[...registry.all].map(({ id }) => id).slice(0, 500)}
          isOpen={problems.length > 0}
        />
        {problems.map(({ path, message }) => (
          <p class="notice is-bad">
            {path.join(".")}: {visible(message)}
          </p>
        ))}
        <Shortcuts found={shortcuts} viewer={viewer} />
        <div id="list" data-swap data-found>
          {page.items.length === 0
            ? <NothingFound isFiltered={isFiltered} next={next} />
            : <List deliveries={page.items} asked={asked} viewer={viewer} isHeld={isHeld} />}
          <nav class="pager" aria-label="More deliveries">
            {(asked.cursor !== undefined || asked.until !== undefined) && (
              <a href={deliveriesPath(newest)}>Newest</a>
            )}
            {next !== undefined && isFull && <a href={next}>Older</a>}
          </nav>
        </div>
        <Walk page={page} limit={limit} more={next} what="deliveries" viewer={viewer} />
      </>
    ),
  });
}

/** New ones are counted as they come, by our script; without it there is nothing to see here. */
function LiveTail({ asked, isLive }: { asked: Record<string, string>; isLive: boolean }) {
  if (!isLive) return null;
  const { cursor: _, limit: __, ...filter } = asked;
  return (
    <div
      class="live needs-script"
      data-live={withQuery(`${DELIVERIES}/live`, filter)}
      hidden
    >
      <span class="muted" data-live-state role="status">connecting …</span>
      <button type="button" data-live-show hidden></button>
      <button type="button" class="quiet" data-live-toggle aria-pressed="true">Pause</button>
    </div>
  );
}

function NothingFound({ isFiltered, next }: { isFiltered: boolean; next: string | undefined }) {
  if (next !== undefined) return <Empty>Nothing found yet; the search goes on below.</Empty>;
  if (isFiltered) {
    return (
      <Empty>
        No delivery fits. <a href={DELIVERIES}>Show all</a>
      </Empty>
    );
  }
  return (
    <Empty command={`bellhook send booking.created --data '{"booking_id": "bk_1"}'`}>
      Nothing has been delivered yet. Post an event:
    </Empty>
  );
}

function List(
  { deliveries, asked, viewer, isHeld }: {
    deliveries: readonly Delivery[];
    asked: Readonly<Record<string, string>>;
    viewer: Viewer;
    isHeld: IsHeld;
  },
) {
  const bulk = bulkOf(asked);
  return (
    <form method="post" action={`${DELIVERIES}/retry`}>
      <Hidden viewer={viewer} />
      <div class="selection">
        <label class="needs-script" hidden>
          <input type="checkbox" data-selects-all /> Select all
        </label>
        <button type="submit" class="quiet">Retry selected</button>
        <button
          type="submit"
          class="danger"
          formaction={`${DELIVERIES}/cancel`}
          data-asks="Cancel the selected deliveries for good?"
        >
          Cancel selected
        </button>
        <span class="muted" data-selected role="status"></span>
        {bulk !== undefined && <a href={bulk}>All that match …</a>}
      </div>
      <DeliveryTable deliveries={deliveries} asked={asked} viewer={viewer} isHeld={isHeld} />
    </form>
  );
}

/** What an action on several deliveries did, out of the address it came back by. */
function doneText(query: Readonly<Record<string, string>>): string | undefined {
  const { done, count = "0", refused } = query;
  const verb = done === "retry" ? "retried" : done === "cancel" ? "cancelled" : undefined;
  if (verb === undefined || !/^\d{1,4}$/.test(count)) return undefined;
  if (count === "0" && refused === undefined) return "Nothing was selected.";
  const told = `${counted(Number(count), "delivery", "deliveries")} ${verb}.`;
  return refused !== undefined && /^\d{1,4}$/.test(refused)
    ? `${told} ${counted(Number(refused), "delivery", "deliveries")} could not be: ` +
      "held by a paused or disabled subscription, or final already."
    : told;
}
