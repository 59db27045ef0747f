// deno-lint-ignore-file jsx-key
import type { Delivery } from "../../domain/delivery.ts";
import { resultWords, rowReason } from "../../domain/result_words.ts";
import type { IsHeld } from "../views.ts";
import { listedPath } from "./neighbours.tsx";
import { Cell, CopyId, Row, State, Table, When } from "./parts.tsx";
import { eventPath, subscriptionPath } from "./paths.ts";
import type { Viewer } from "./viewer.ts";
import { shownState, visible } from "./words.ts";

interface Shown {
  readonly viewer: Viewer;
  readonly isHeld: IsHeld;
}

/** Deliveries, a line each: what happened to it, and why. */
export function DeliveryTable(
  { deliveries, asked, viewer, isHeld }: Shown & {
    readonly deliveries: readonly Delivery[];
    /** What the list was asked for: a delivery's page leads on to its neighbours. */
    readonly asked: Readonly<Record<string, string>>;
  },
) {
  return (
    <Table
      label="Deliveries"
      id="deliveries"
      kind="dense"
      columns={[
        <span class="unseen">Select</span>,
        "Created",
        "Event type",
        "Event id",
        "Subscription",
        "State",
        "Result",
        "Attempts",
      ]}
    >
      {deliveries.map((delivery) => (
        <DeliveryRow
          delivery={delivery}
          path={listedPath(delivery.id, asked)}
          viewer={viewer}
          isHeld={isHeld}
        />
      ))}
    </Table>
  );
}

function DeliveryRow(
  { delivery, path, viewer, isHeld }: Shown & {
    readonly delivery: Delivery;
    readonly path: string;
  },
) {
  const { id, type, subscription, eventId, eventSentAs, attemptCount, createdAt } = delivery;
  return (
    <Row href={path} id={id}>
      <Cell label="Select" kind="select">
        <input type="checkbox" name="id" value={id} aria-label={`Select ${type} ${id}`} />
      </Cell>
      <Cell label="Created" kind="when">
        <When at={createdAt} now={viewer.now} />
      </Cell>
      <Cell label="Event type" kind="title">
        <a href={path} title={visible(type)}>{visible(type)}</a>
        {delivery.cause !== "event" && <span class="tag">{delivery.cause}</span>}
      </Cell>
      <Cell label="Event id">
        <span class="beside">
          <a class="id" href={eventPath(eventSentAs ?? eventId)} title={visible(eventId)}>
            {visible(inTheMiddle(eventId))}
          </a>
          <CopyId id={eventId} />
        </span>
      </Cell>
      <Cell label="Subscription">
        <a href={subscriptionPath(subscription)} title={visible(subscription)}>
          {visible(subscription)}
        </a>
      </Cell>
      <Cell label="State" kind="aside">
        <State state={shownState(delivery, isHeld)} />
      </Cell>
      <Cell label="Result" kind="detail">
        <Result delivery={delivery} viewer={viewer} isHeld={isHeld} />
      </Cell>
      <Cell label="Attempts" kind="number">{attemptCount}</Cell>
    </Row>
  );
}

/** What came of a delivery so far, and when it goes on. */
export function Result({ delivery, viewer, isHeld }: Shown & { readonly delivery: Delivery }) {
  const result = resultOf(delivery, { viewer, isHeld });
  return (
    <>
      <span title={result}>{result}</span> {nextOf(delivery, { viewer, isHeld })}
    </>
  );
}

function resultOf(delivery: Delivery, { viewer, isHeld }: Shown): string {
  const { state, lastResult } = delivery;
  const reason = rowReason(delivery, viewer.now) ??
    (state === "delivered" && lastResult ? resultWords(lastResult, viewer.now) : undefined);
  if (reason !== undefined) return visible(reason);
  return shownState(delivery, isHeld) === "held" ? "waits for its subscription" : "";
}

/** When it goes on, where it does. */
function nextOf(delivery: Delivery, { viewer, isHeld }: Shown) {
  const { state, dueAt } = delivery;
  if (state !== "pending" || dueAt === undefined) return null;
  if (shownState(delivery, isHeld) === "held") return null;
  return (
    <span class="muted">
      next <When at={dueAt} now={viewer.now} />
    </span>
  );
}

/** A long id without its middle: the ends tell ids apart. */
function inTheMiddle(id: string): string {
  const letters = [...id];
  return letters.length <= LONGEST_ID
    ? id
    : `${letters.slice(0, 8).join("")}…${letters.slice(-5).join("")}`;
}

const LONGEST_ID = 16;
