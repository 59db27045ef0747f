import type { Context } from "hono";
import type { Config } from "../../config/config.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader, Page, StoredEvent } from "../../outbox/reader.ts";
import type { Clock } from "../../runtime/clock.ts";
import { SAMPLES } from "../../profiles/samples/samples.ts";
import { defined, instants } from "../deliveries.ts";
import { eventsQuery } from "../schemas.ts";
import { askedFor } from "./delivery_filter.ts";
import { forInput } from "./form_instants.ts";
import { renderPage } from "./frame.tsx";
import { searchedPage, Walk } from "./searching.tsx";
import { Cell, Empty, Payload, Row, Table, When } from "./parts.tsx";
import { eventPath, EVENTS, subscriptionPath, withQuery } from "./paths.ts";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { counted, visible } from "./words.ts";

export interface EventsPagePorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly config: () => Config;
  readonly clock: Clock;
}

/** What was posted, and the catalogue of what can be. */
export async function eventsPage(
  { reader, registry, config, clock }: EventsPagePorts,
  context: Context<DashboardEnv>,
) {
  const viewer = context.get("viewer");
  const { type, since, until, q, cursor, limit } = askedFor(context.req.query());
  const asked = defined({ type, since, until, q, cursor, limit });
  const checked = eventsQuery.safeParse(asked);
  const page: Page<StoredEvent> = checked.success
    ? await searchedPage((filter) => reader.events(filter), {
      ...readerFilter(checked.data),
      hidesData: viewer.hidesPayloads,
    }, { clock, stretch: context.req.query("stretch") })
    : { items: [] };
  const next = page.next === undefined
    ? undefined
    : withQuery(EVENTS, { ...asked, cursor: page.next });
  const size = checked.success ? checked.data.limit : 0;
  const isFiltered = [type, since, until, q].some((filter) => filter !== undefined);
  return renderPage({
    title: "Events",
    section: EVENTS,
    viewer,
    children: (
      <>
        <h1>Events</h1>
        <form class="filters" method="get" action={EVENTS} role="search" aria-label="Events">
          <label>
            Type
            <input name="type" value={type} />
          </label>
          <label>
            Id, type or text
            <input name="q" value={q} type="search" />
          </label>
          <label>
            Since
            <input name="since" type="datetime-local" step="1" value={forInput(since)} />
          </label>
          <label>
            Before
            <input name="until" type="datetime-local" step="1" value={forInput(until)} />
          </label>
          <div class="buttons">
            <button type="submit">Show</button>
            <a href={EVENTS}>All</a>
          </div>
        </form>
        {!checked.success &&
          checked.error.issues.map(({ path, message }) => (
            <p class="notice is-bad">
              {path.join(".")}: {visible(message)}
            </p>
          ))}
        <div id="found" data-found>
          {page.items.length > 0
            ? <EventTable events={page.items} viewer={viewer} />
            : next !== undefined
            ? <Empty>Nothing found yet; the search goes on below.</Empty>
            : isFiltered
            ? <Empty>No event fits.</Empty>
            : (
              <Empty command={`bellhook send booking.created --data '{"booking_id": "bk_1"}'`}>
                Nothing has been posted yet. Post an event:
              </Empty>
            )}
        </div>
        <Walk page={page} limit={size} more={next} what="events" viewer={viewer} />
        <nav class="pager" aria-label="More events">
          {cursor !== undefined && (
            <a href={withQuery(EVENTS, defined({ type, since, until, q }))}>Newest</a>
          )}
          {next !== undefined && page.items.length === size && <a href={next}>Older</a>}
        </nav>
        <h2 id="catalogue">Catalogue</h2>
        <Catalogue config={config()} subscriptions={[...registry.all]} viewer={viewer} />
      </>
    ),
  });
}

function readerFilter(
  { since, until, ...filter }: {
    limit: number;
    cursor?: string | undefined;
    type?: string | undefined;
    q?: string | undefined;
    since?: string | undefined;
    until?: string | undefined;
  },
) {
  return { ...defined(filter), limit: filter.limit, ...instants({ since, until }) };
}

function EventTable({ events, viewer }: { events: readonly StoredEvent[]; viewer: Viewer }) {
  return (
    <Table
      label="Events"
      id="events"
      kind="dense"
      columns={["Accepted", "Event type", "Event id", "Publisher"]}
    >
      {events.map(({ id, sentAs, type, acceptedAt, publisher }) => (
        <Row href={eventPath(sentAs ?? id)}>
          <Cell label="Accepted" kind="when">
            <When at={acceptedAt} now={viewer.now} />
          </Cell>
          <Cell label="Event type" kind="title">{visible(type)}</Cell>
          <Cell label="Event id" kind="detail">
            <a href={eventPath(sentAs ?? id)} title={visible(id)}>{visible(id)}</a>
          </Cell>
          <Cell label="Publisher" kind="aside">
            {publisher === undefined ? "–" : visible(publisher)}
          </Cell>
        </Row>
      ))}
    </Table>
  );
}

/** What one type of event is, as far as the config, or a profile's platform, says. */
interface CatalogueEntry {
  readonly type: string;
  readonly description?: string;
  readonly example?: string;
}

/** So many that want a type are named. */
const NAMED = 8;

function Catalogue(
  { config, subscriptions, viewer }: {
    config: Config;
    subscriptions: readonly Subscription[];
    viewer: Viewer;
  },
) {
  const { eventTypes } = config;
  const entries = eventTypes
    ? [...eventTypes].map(([type, entry]): CatalogueEntry => ({ type, ...entry }))
    : samplesOf(subscriptions);
  return (
    <>
      {!eventTypes && (
        <p class="muted">
          The config declares no{" "}
          <code>eventTypes</code>, so every type is taken. These are the examples of the profiles in
          use.
        </p>
      )}
      {entries.length === 0 && (
        <Empty>
          Declare what you publish in the config's{" "}
          <code>eventTypes</code>: a description and an example for each type. An undeclared type is
          then refused.
        </Empty>
      )}
      {entries.map((entry, index) => (
        <details class="entry" data-key={`type-${entry.type}`}>
          <summary>
            <code>{visible(entry.type)}</code> {visible(entry.description ?? "")}
          </summary>
          <Wanting type={entry.type} subscriptions={subscriptions} />
          {entry.example === undefined ? <p class="muted">No example.</p> : (
            <Payload
              id={`example-${index}`}
              label={`Example of ${entry.type}`}
              text={entry.example}
              size={new TextEncoder().encode(entry.example).length}
              viewer={viewer}
            />
          )}
          <p>
            <a href={withQuery(EVENTS, { type: entry.type })}>Those that were posted</a>
          </p>
        </details>
      ))}
    </>
  );
}

function samplesOf(subscriptions: readonly Subscription[]): CatalogueEntry[] {
  const profiles = new Set(subscriptions.map(({ profile }) => profile.name));
  const entries = [...profiles].flatMap((name) => SAMPLES.get(name) ?? [])
    .map(({ type, data }): [string, CatalogueEntry] => [type, { type, example: data }]);
  return [...new Map(entries).values()];
}

function Wanting(
  { type, subscriptions }: { type: string; subscriptions: readonly Subscription[] },
) {
  const wanting = subscriptions.filter(({ events }) =>
    events.some((pattern) => pattern.matches(type))
  );
  if (wanting.length === 0) return <p>No subscription wants it.</p>;
  return (
    <p>
      {counted(wanting.length, "subscription wants", "subscriptions want")} it by its type:{" "}
      {wanting.slice(0, NAMED).map(({ id }, index) => (
        <>
          {index > 0 && ", "}
          <a href={subscriptionPath(id)}>{visible(id)}</a>
        </>
      ))}
      {wanting.length > NAMED && " …"}
    </p>
  );
}
