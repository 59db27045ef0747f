// deno-lint-ignore-file jsx-key
import type { Context } from "hono";
import * as z from "zod";
import type { Delivery } from "../../domain/delivery.ts";
import { bulkOf } from "./bulk.tsx";
import { formatInstant, parseInstant } from "../../domain/instant.ts";
import { rowReason } from "../../domain/result_words.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader, Page } from "../../outbox/outbox.ts";
import type { Clock } from "../../runtime/clock.ts";
import { defined, instants } from "../deliveries.ts";
import { sayWhatIsWrong } from "../input.ts";
import { deliveriesQuery } from "../schemas.ts";
import type { IsHeld } from "../views.ts";
import { Hidden, renderPage } from "./frame.tsx";
import { searchedPage, Shortcuts, shortcutsFor, Walk } from "./searching.tsx";
import { Cell, Empty, Notice, Row, State, Table, When } from "./parts.tsx";
import {
  DELIVERIES,
  deliveriesPath,
  deliveryPath,
  eventPath,
  subscriptionPath,
  withQuery,
} from "./paths.ts";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { counted, shownState, visible } from "./words.ts";

export interface DeliveriesPagePorts {
  readonly clock: Clock;
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly isHeld: IsHeld;
}

/** The API's filter, as a form sends it: what is empty is not asked for. */
export type Filter = z.output<typeof deliveriesQuery>;

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
            : <List deliveries={page.items} viewer={viewer} isHeld={isHeld} bulk={bulkOf(asked)} />}
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

/** What the address asks for, without what is empty, and with instants as forms write them. */
export function askedFor(query: Readonly<Record<string, string>>): Record<string, string> {
  const known = new Set(Object.keys(deliveriesQuery.shape));
  return Object.fromEntries(
    Object.entries(query)
      .map(([name, value]) => [name, value.trim()] as const)
      .filter(([name, value]) => known.has(name) && value !== "")
      .map(([name, value]) => [name, name === "since" || name === "until" ? inUtc(value) : value]),
  );
}

/** What `<input type="datetime-local">` sends, taken as UTC: all instants on the pages are. */
export function inUtc(text: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text)
    ? `${text}:00Z`
    : /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$/.test(text)
    ? `${text}Z`
    : text;
}

export function readerFilter({ event, since, until, ...filter }: Filter) {
  return {
    ...defined(filter),
    limit: filter.limit,
    ...(event === undefined ? {} : { eventId: event }),
    ...instants({ since, until }),
  };
}

const STATES = ["pending", "delivered", "failed", "exhausted", "cancelled"] as const;

function Filters(
  { asked, subscriptions }: {
    asked: Record<string, string>;
    subscriptions: readonly string[];
  },
) {
  return (
    <form class="filters" method="get" action={DELIVERIES} role="search" aria-label="Deliveries">
      <label>
        State
        <select name="state">
          <option value="">any</option>
          {STATES.map((state) => (
            <option value={state} selected={asked.state === state}>{state}</option>
          ))}
        </select>
      </label>
      <label>
        Subscription
        <input name="subscription" value={asked.subscription} list="subscription-ids" />
      </label>
      <datalist id="subscription-ids">
        {subscriptions.map((id) => <option value={id}></option>)}
      </datalist>
      <label>
        Event type
        <input name="type" value={asked.type} />
      </label>
      <label>
        Event id
        <input name="event" value={asked.event} />
      </label>
      <label>
        Last answer
        <input name="status" value={asked.status} inputmode="numeric" placeholder="503" size={5} />
      </label>
      <label>
        Id, name or text
        <input name="q" value={asked.q} type="search" />
      </label>
      <label>
        Since
        <input name="since" type="datetime-local" step="1" value={forInput(asked.since)} />
      </label>
      <label>
        Jump to
        <input name="until" type="datetime-local" step="1" value={forInput(asked.until)} />
      </label>
      <div class="buttons">
        <button type="submit">Show</button>
        <a href={DELIVERIES}>All</a>
      </div>
    </form>
  );
}

/** An instant as `<input type="datetime-local">` takes it. */
export function forInput(text: string | undefined): string | undefined {
  const at = text === undefined ? undefined : parseInstant(text);
  return at === undefined ? undefined : formatInstant(at).replace("Z", "");
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
  { deliveries, viewer, isHeld, bulk }: {
    deliveries: readonly Delivery[];
    viewer: Viewer;
    isHeld: IsHeld;
    /** Where all that match can be acted on. */
    bulk: string | undefined;
  },
) {
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
      <Table
        label="Deliveries"
        id="deliveries"
        columns={[
          <span class="unseen">Select</span>,
          "Created",
          "Event",
          "Subscription",
          "State",
          "Attempts",
          "What came of it",
        ]}
      >
        {deliveries.map((delivery) => (
          <DeliveryRow delivery={delivery} viewer={viewer} isHeld={isHeld} />
        ))}
      </Table>
    </form>
  );
}

function DeliveryRow(
  { delivery, viewer, isHeld }: { delivery: Delivery; viewer: Viewer; isHeld: IsHeld },
) {
  const { id, type, subscription, eventId, eventSentAs, attemptCount, createdAt } = delivery;
  return (
    <Row href={deliveryPath(id)} id={id}>
      <Cell label="Select">
        <input type="checkbox" name="id" value={id} aria-label={`Select ${type} ${id}`} />
      </Cell>
      <Cell label="Created">
        <When at={createdAt} now={viewer.now} />
      </Cell>
      <Cell label="Event" kind="title">
        <a href={deliveryPath(id)}>{visible(type)}</a>
        {delivery.cause !== "event" && <span class="tag">{delivery.cause}</span>}
        <div class="muted">
          <a href={eventPath(eventSentAs ?? eventId)}>{visible(eventId)}</a>
        </div>
      </Cell>
      <Cell label="Subscription">
        <a href={subscriptionPath(subscription)}>{visible(subscription)}</a>
      </Cell>
      <Cell label="State">
        <State state={shownState(delivery, isHeld)} />
      </Cell>
      <Cell label="Attempts" kind="number">{attemptCount}</Cell>
      <Cell label="What came of it">{upshot(delivery, { viewer, isHeld })}</Cell>
    </Row>
  );
}

/** Where a delivery stands, in a few words. */
export function upshot(
  delivery: Delivery,
  { viewer, isHeld }: { viewer: Viewer; isHeld: IsHeld },
) {
  const { state, dueAt, finishedAt } = delivery;
  const reason = rowReason(delivery, viewer.now);
  const why = reason === undefined ? "" : <div>{visible(reason)}</div>;
  if (state !== "pending") {
    return (
      <>
        {why}
        {finishedAt !== undefined && (
          <div class="muted">
            <When at={finishedAt} now={viewer.now} />
          </div>
        )}
      </>
    );
  }
  return (
    <>
      {why}
      {shownState(delivery, isHeld) === "held"
        ? "waits for its subscription"
        : dueAt !== undefined && (
          <>
            due <When at={dueAt} now={viewer.now} />
          </>
        )}
    </>
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
