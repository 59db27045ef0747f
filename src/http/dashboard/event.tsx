// deno-lint-ignore-file jsx-key
import type { Context } from "hono";
import { formatInstant } from "../../domain/instant.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { Namesake, OutboxReader } from "../../outbox/reader.ts";
import { ProblemError } from "../problem.ts";
import { type IsHeld } from "../views.ts";
import { EventDeliveries } from "./event_deliveries.tsx";
import { renderPage } from "./frame.tsx";
import { Cell, Code, CopyId, Empty, Facts, Payload, Row, Table, When } from "./parts.tsx";
import { eventPath, EVENTS, subscriptionPath } from "./paths.ts";
import type { DashboardEnv } from "./viewer.ts";
import { count, visible } from "./words.ts";

export interface EventPagePorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly isHeld: IsHeld;
}

/** So many subscriptions are told why not. */
const EXPLAINED = 200;

/** One event: whom it went to, and why not to the others. */
export async function eventPage(
  { reader, registry, isHeld }: EventPagePorts,
  context: Context<DashboardEnv>,
) {
  const viewer = context.get("viewer");
  const asked = context.req.param("id") ?? "";
  const event = await reader.event(asked);
  if (!event) {
    throw new ProblemError({
      status: 404,
      title: "No such event",
      detail: `there is no event "${asked}"; it may have been pruned`,
    });
  }
  const deliveries = await reader.deliveriesOf(asked);
  const reached = new Set(deliveries.map(({ subscription }) => subscription));
  const others = registry.explain(event).filter(({ subscription }) =>
    !reached.has(subscription.id)
  );
  const isTest = deliveries.some(({ cause }) => cause === "test");
  const { id, sentAs, sameId = [], type, occurredAt, acceptedAt, data, metadata, scope } = event;
  return renderPage({
    title: `${type} ${id}`,
    section: EVENTS,
    viewer,
    children: (
      <>
        <p class="crumbs">
          <a href={EVENTS}>Events</a>
        </p>
        <h1>{visible(type)}</h1>
        <Facts
          facts={[
            [
              "Event",
              <>
                <a href={eventPath(sentAs ?? id)}>{visible(id)}</a> <CopyId id={id} />
              </>,
            ],
            ["Sent as", sentAs],
            ["Happened", <When at={occurredAt} now={viewer.now} />],
            ["Accepted", <When at={acceptedAt} now={viewer.now} />],
            ["Publisher", event.publisher === undefined ? "–" : visible(event.publisher)],
            ["Same id", sameId.length === 0 ? undefined : <SameId id={id} events={sameId} />],
          ]}
        />
        <h2>Data</h2>
        <Payload
          id="data"
          label="The event's data"
          text={data}
          size={new TextEncoder().encode(data).length}
          viewer={viewer}
        />
        {scope.size > 0 && (
          <>
            <h3>Scope</h3>
            <Code
              label="The event's scope"
              text={[...scope].map(([name, value]) => `${name}: ${value}`).join("\n")}
            />
          </>
        )}
        {metadata !== undefined && (
          <>
            <h3>Metadata</h3>
            <Payload
              id="metadata"
              label="The event's metadata"
              text={metadata}
              size={new TextEncoder().encode(metadata).length}
              viewer={viewer}
            />
          </>
        )}
        <h2>Who got it</h2>
        {deliveries.length === 0
          ? (
            <Empty command="bellhook match EVENT.json">
              Nobody: no subscription wanted it when it came. Try what would match:
            </Empty>
          )
          : <EventDeliveries deliveries={deliveries} viewer={viewer} isHeld={isHeld} />}
        <h2>Who did not, and why</h2>
        <p class="muted">
          By the config of now; that of {formatInstant(acceptedAt)} may have been another.
        </p>
        {others.length === 0
          ? <p>There is no other subscription.</p>
          : (
            <Table label="Who did not get it" columns={["Subscription", "Rule", "Why"]}>
              {others.slice(0, EXPLAINED).map(({ subscription, match }) => (
                <Row href={subscriptionPath(subscription.id)}>
                  <Cell label="Subscription" kind="title">
                    <a href={subscriptionPath(subscription.id)}>{visible(subscription.id)}</a>
                  </Cell>
                  <Cell label="Rule">{match.matches ? "" : match.rule}</Cell>
                  <Cell label="Why">
                    {!match.matches
                      ? match.rule === "match" && viewer.hidesPayloads
                        ? "its data does not meet the condition; payloads are hidden"
                        : visible(match.why)
                      : isTest
                      ? "a test goes to the subscription that is tested, and to no other"
                      : "it would get it now: it was added or changed since"}
                  </Cell>
                </Row>
              ))}
            </Table>
          )}
        {others.length > EXPLAINED && (
          <p class="muted">… and {count(others.length - EXPLAINED)} more</p>
        )}
      </>
    ),
  });
}

/** Events of the same id: from another publisher, or a CloudEvent's other source. */
function SameId({ id, events }: { id: string; events: readonly Namesake[] }) {
  return (
    <>
      {events.map(({ publisher, source, sentAs }) => (
        <div>
          <a href={eventPath(sentAs ?? id)}>
            {visible([publisher ?? "no publisher", source].filter(Boolean).join(" "))}
          </a>
        </div>
      ))}
    </>
  );
}
