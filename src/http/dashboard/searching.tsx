import { formatInstant, type Instant } from "../../domain/instant.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader, Page, PageRequest, StoredEvent } from "../../outbox/reader.ts";
import type { Clock } from "../../runtime/clock.ts";
import { When } from "./parts.tsx";
import { DELIVERIES, eventPath, EVENTS, subscriptionPath, withQuery } from "./paths.ts";
import type { Viewer } from "./viewer.ts";
import { count, relative, visible } from "./words.ts";

/** One box that finds deliveries by whatever somebody has of them. It is on every page. */
export function SearchBox({ here }: { here: string }) {
  const { pathname, searchParams } = new URL(here, "http://daemon.invalid");
  const q = pathname === DELIVERIES || pathname === EVENTS ? searchParams.get("q") : null;
  return (
    <form class="search" method="get" action={DELIVERIES} role="search" aria-label="Everything">
      <label>
        <span class="unseen">Search</span>
        <input
          name="q"
          type="search"
          value={q ?? undefined}
          maxlength={200}
          placeholder="Id, subscription, type, text …"
          data-key="/"
        />
      </label>
    </form>
  );
}

/** So long may a page be waited for that looks through as much as it can. */
const STRETCH_MS = 2_500;

/** What a link says that asks for as much as that; our script goes in small steps instead. */
const STRETCH = { stretch: "long" } as const;

/** A page of a list, and where it is a search that somebody asked to go on, of a long stretch of it. */
export async function searchedPage<Item, Filter extends PageRequest>(
  read: (filter: Filter) => Promise<Page<Item>>,
  filter: Filter,
  { clock, stretch }: { clock: Clock; stretch: string | undefined },
): Promise<Page<Item>> {
  const endsAtMs = clock.monotonicMs() + (stretch === STRETCH.stretch ? STRETCH_MS : 0);
  let page = await read(filter);
  const items = [...page.items];
  while (
    page.next !== undefined && items.length < filter.limit && clock.monotonicMs() < endsAtMs
  ) {
    page = await read({ ...filter, limit: filter.limit - items.length, cursor: page.next });
    items.push(...page.items);
  }
  return { ...page, items };
}

/** How far back a search is, and the way on; our script walks it by itself. */
export function Walk(
  { page, limit, more, what, viewer }: {
    page: Page<unknown>;
    limit: number;
    /** The address of the page that goes on from there. */
    more: string | undefined;
    what: string;
    viewer: Viewer;
  },
) {
  const goesOn = more !== undefined && page.items.length < limit;
  const { searched } = page;
  return (
    <div id="walk" class="walk" data-walk data-limit={limit} hidden={!goesOn}>
      {goesOn && (
        <>
          {searched && (
            <>
              <progress max={searched.of} value={searched.rows} aria-label="Searched"></progress>
              <p>
                Searched {count(searched.rows)} of {count(searched.of)} {what}, back to{" "}
                <WhenExactly at={searched.backTo} now={viewer.now} />.
              </p>
            </>
          )}
          <a class="button" href={withStretch(more)} data-walk-next>Search older</a>
          <button type="button" class="quiet" data-walk-stop hidden>Stop</button>
        </>
      )}
    </div>
  );
}

function WhenExactly({ at, now }: { at: Instant; now: Instant }) {
  const exactly = formatInstant(at).slice(0, "2024-03-15T10:30".length).replace("T", " ");
  // What is long past is told as a day alone.
  if (exactly.startsWith(relative(at, now))) return <>{exactly}</>;
  return (
    <>
      {exactly} (<When at={at} now={now} />)
    </>
  );
}

function withStretch(path: string): string {
  return `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(STRETCH)}`;
}

/** So many subscriptions are named. */
const NAMED = 8;

export interface ShortcutPorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
}

/** What a text names without any search: subscriptions of the config, and an event. */
export async function shortcutsFor(
  q: string | undefined,
  { reader, registry }: ShortcutPorts,
): Promise<Shortcut | undefined> {
  if (q === undefined) return undefined;
  const wanted = q.toLowerCase(), subscriptions: string[] = [];
  for (const { id } of registry.all) {
    if (id.toLowerCase().includes(wanted)) subscriptions.push(id);
    if (subscriptions.length > NAMED) break;
  }
  return { q, subscriptions, event: await reader.event(q) };
}

interface Shortcut {
  readonly q: string;
  readonly subscriptions: readonly string[];
  readonly event: StoredEvent | undefined;
}

/** Links to what a text names, and what the search leaves out. */
export function Shortcuts(
  { found, viewer }: { found: Shortcut | undefined; viewer: Viewer },
) {
  if (!found) return null;
  const { q, subscriptions, event } = found;
  return (
    <div class="shortcuts">
      {event && (
        <p>
          Event <a href={eventPath(event.sentAs ?? event.id)}>{visible(event.id)}</a>,{" "}
          {visible(event.type)}, accepted <When at={event.acceptedAt} now={viewer.now} />
        </p>
      )}
      {subscriptions.length > 0 && (
        <p>
          {subscriptions.length === 1 ? "Subscription" : "Subscriptions"}{" "}
          {subscriptions.slice(0, NAMED).map((id, index) => (
            <>
              {index > 0 && ", "}
              <a href={subscriptionPath(id)}>{visible(id)}</a>
            </>
          ))}
          {subscriptions.length > NAMED && " …"}
        </p>
      )}
      <p class="muted">
        {viewer.hidesPayloads && "Payloads are hidden, so their text is not searched. "}
        Events that no subscription got are in the{" "}
        <a href={withQuery(EVENTS, { q })}>search through events</a>.
      </p>
    </div>
  );
}
