// deno-lint-ignore-file jsx-key
import type { Context } from "hono";
import { type Attempt, type Headers, packingNote, responseOf } from "../../domain/attempt.ts";
import { curlOf, receiverTestOf } from "../../domain/curl.ts";
import { endReason, failedForGood } from "../../domain/delivery.ts";
import { diagnose } from "../../domain/diagnosis.ts";
import { type Health, healthState } from "../../domain/health.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { OutboxReader, StoredDelivery } from "../../outbox/reader.ts";
import { renderBody } from "../../profiles/render.ts";
import { ProblemError } from "../problem.ts";
import type { IsHeld } from "../views.ts";
import { EventDeliveries } from "./event_deliveries.tsx";
import { renderPage } from "./frame.tsx";
import { Neighbours, placeInList } from "./neighbours.tsx";
import { answerOf, LadderLine } from "./ladder_line.tsx";
import {
  ActionButton,
  Code,
  CopyButton,
  CopyId,
  Facts,
  History,
  Notice,
  Payload,
  State,
  When,
} from "./parts.tsx";
import { DELIVERIES, deliveryPath, eventPath, subscriptionPath } from "./paths.ts";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { heldBecause, length, shownState, visible } from "./words.ts";

export interface DeliveryPagePorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly isHeld: IsHeld;
  readonly health: (subscription: string) => Health;
}

const REFRESH_S = 5;
/** So many other deliveries of the event are shown. */
const OTHERS = 10;

/** One delivery: what is wrong with it, every attempt, and what can be done. */
export async function deliveryPage(ports: DeliveryPagePorts, context: Context<DashboardEnv>) {
  const { reader, registry, isHeld, health } = ports;
  const viewer = context.get("viewer");
  const id = context.req.param("id") ?? "";
  const delivery = await reader.delivery(id);
  if (!delivery) {
    throw new ProblemError({
      status: 404,
      title: "No such delivery",
      detail: `there is no delivery "${id}"; it may have been pruned`,
    });
  }
  const attempts = await reader.attempts(id);
  const { items: history } = await reader.history({ delivery: id, limit: 50 });
  const subscription = registry.find(delivery.subscription);
  const held = shownState(delivery, isHeld) === "held";
  const why = held
    ? heldBecause({
      state: subscription ? healthState(health(subscription.id), subscription.enabled) : "removed",
      health: health(delivery.subscription),
    })
    : undefined;
  const place = await placeInList(reader, { id, list: context.req.query("list"), viewer });
  const body = renderBody(delivery.format, delivery.event);
  const { items: ofEvent } = await reader.deliveries({
    eventId: delivery.event.sentAs ?? delivery.event.id,
    limit: OTHERS + 1,
  });
  const others = ofEvent.filter((other) => other.id !== id);
  return renderPage({
    title: `${delivery.type} to ${delivery.subscription}`,
    section: DELIVERIES,
    viewer,
    ...(delivery.state === "pending" ? { refreshS: REFRESH_S } : {}),
    children: (
      <div id="delivery" data-swap>
        <div class="crumbs">
          <a href={place?.list ?? DELIVERIES}>Deliveries</a>
          <Neighbours place={place} />
        </div>
        <h1>
          {visible(delivery.type)} to{" "}
          <a href={subscriptionPath(delivery.subscription)}>{visible(delivery.subscription)}</a>
        </h1>
        <Notice text={DONE[context.req.query("done") ?? ""]} />
        <div class="actions">
          <State state={shownState(delivery, isHeld)} />
          <ActionButton
            viewer={viewer}
            action={deliveryPath(id, "retry")}
            label={delivery.state === "pending" ? "Retry now" : "Send again"}
            kind="is-retry"
            back={deliveryPath(id)}
          />
          {delivery.state === "pending" && (
            <ActionButton
              viewer={viewer}
              action={deliveryPath(id, "cancel")}
              label="Cancel"
              kind="danger"
              asks="Cancel this delivery for good?"
              back={deliveryPath(id)}
            />
          )}
        </div>
        <Diagnosis delivery={delivery} last={attempts.at(-1)} heldBecause={why} viewer={viewer} />
        <DeliveryFacts delivery={delivery} viewer={viewer} />
        <h2>Ladder</h2>
        {attempts.length === 0 && delivery.state !== "pending"
          ? <p class="muted">It was never attempted.</p>
          : (
            <LadderLine
              delivery={delivery}
              attempts={attempts}
              ladder={subscription?.ladder}
              now={viewer.now}
              isHeld={held}
            />
          )}
        {attempts.length > 0 && <h2>Attempts</h2>}
        {attempts.toReversed().map((attempt, index) => (
          <AttemptDetails attempt={attempt} body={body} viewer={viewer} isOpen={index === 0} />
        ))}
        {attempts.length === 0 && (
          <>
            <h2>What is to be sent</h2>
            <Payload
              id="body"
              label="The body to be sent"
              text={body}
              size={byteLength(body)}
              viewer={viewer}
            />
          </>
        )}
        {others.length > 0 && (
          <>
            <h2>Other deliveries of this event</h2>
            <EventDeliveries deliveries={others} viewer={viewer} isHeld={isHeld} />
          </>
        )}
        {history.length > 0 && (
          <>
            <h2>What happened</h2>
            <History entries={history} viewer={viewer} of="delivery" />
          </>
        )}
      </div>
    ),
  });
}

const DONE: Readonly<Record<string, string>> = {
  hastened: "The next attempt was put forward.",
  again: "It was sent again; this is the new delivery.",
  cancelled: "It was cancelled.",
  tested: "The test event is on its way.",
};

function Diagnosis(
  { delivery, last, heldBecause, viewer }: {
    delivery: StoredDelivery;
    last: Attempt | undefined;
    heldBecause: string | undefined;
    viewer: Viewer;
  },
) {
  const { state, dueAt, attemptCount } = delivery;
  const reason = endReason(delivery);
  const meaning = last && diagnose(last.outcome, last.result === "success");
  return (
    <div class={`diagnosis is-${state}`}>
      {heldBecause !== undefined && (
        <p>
          <strong>Held:</strong> {visible(heldBecause)}
        </p>
      )}
      {state === "delivered" && (
        <p>
          <strong>Delivered</strong> by attempt {attemptCount}
          {reason !== undefined && `: ${visible(reason)}`}.
        </p>
      )}
      {(state === "exhausted" || state === "cancelled") && (
        <p>
          <strong>{failedForGood(delivery) ? "Failed for good" : "Cancelled"}:</strong>{" "}
          {visible(reason ?? "")}
        </p>
      )}
      {state === "pending" && heldBecause === undefined && dueAt !== undefined && (
        <p>
          <strong>{attemptCount === 0 ? "Waiting" : "To be tried again"}:</strong> attempt{" "}
          {attemptCount + 1} is due <When at={dueAt} now={viewer.now} />
        </p>
      )}
      {state !== "delivered" && meaning !== undefined && (
        <p>
          <strong>Diagnosis:</strong> {visible(meaning)}
        </p>
      )}
    </div>
  );
}

function DeliveryFacts({ delivery, viewer }: { delivery: StoredDelivery; viewer: Viewer }) {
  const { id, event, cause, createdAt, finishedAt, redeliveryOf } = delivery;
  return (
    <Facts
      facts={[
        [
          "Delivery",
          <>
            <code>{id}</code> <CopyId id={id} />
          </>,
        ],
        [
          "Event",
          <>
            <a href={eventPath(event.sentAs ?? event.id)}>{visible(event.id)}</a>{" "}
            <CopyId id={event.id} />
          </>,
        ],
        ["Sent as", event.sentAs],
        ["Because of", CAUSES[cause]],
        ["Created", <When at={createdAt} now={viewer.now} />],
        [
          "Finished",
          finishedAt === undefined ? undefined : (
            <>
              <When at={finishedAt} now={viewer.now} />, after {length(finishedAt - createdAt)}
            </>
          ),
        ],
        [
          "Sends again",
          redeliveryOf === undefined
            ? undefined
            : <a href={deliveryPath(redeliveryOf)}>{redeliveryOf}</a>,
        ],
      ]}
    />
  );
}

const CAUSES: Readonly<Record<StoredDelivery["cause"], string>> = {
  event: "an event that matched",
  test: "a test that an operator asked for",
  redelivery: "an earlier delivery, sent again",
  notice: "a notice to operators",
};

function AttemptDetails(
  { attempt, body, viewer, isOpen }: {
    attempt: Attempt;
    body: string;
    viewer: Viewer;
    isOpen: boolean;
  },
) {
  const { number, startedAt, result, outcome, url, requestHeaders } = attempt;
  const response = responseOf(outcome);
  const note = response && packingNote(response);
  const key = `attempt-${number}`;
  const curl = curlOf({ url, headers: requestHeaders, body });
  return (
    <details class="attempt" id={key} data-key={key} open={isOpen}>
      <summary>
        <strong>Attempt {number}</strong>
        <span class={result === "success" ? "is-good" : "is-bad"}>
          {result === "success" ? "✓" : "✕"} {answerOf(attempt)}
        </span>
        <When at={startedAt} now={viewer.now} />
        {outcome.remoteAddress !== undefined && (
          <span class="muted">{visible(outcome.remoteAddress)}</span>
        )}
      </summary>
      <div class="halves">
        <section aria-label={`Request of attempt ${number}`}>
          <h3>Request</h3>
          <p>
            <code>POST {visible(url)}</code>
          </p>
          <HeaderTable headers={requestHeaders} label={`Request headers of attempt ${number}`} />
          <Payload
            id={`${key}-request`}
            label={`Request body of attempt ${number}`}
            text={body}
            size={byteLength(body)}
            viewer={viewer}
          />
          {!viewer.hidesPayloads && (
            <details data-key={`${key}-curl`}>
              <summary>As curl</summary>
              <p class="muted">Redacted headers have to be filled in.</p>
              <CopyButton from={`${key}-curl`} what="Copy" />
              <Code id={`${key}-curl`} text={curl} label={`Attempt ${number} as a curl command`} />
            </details>
          )}
          {!viewer.hidesPayloads && (
            <details data-key={`${key}-test`}>
              <summary>As a test for the receiver</summary>
              <p class="muted">
                It fails until the receiver answers 2xx. Redacted headers have to be filled in.
              </p>
              <CopyButton from={`${key}-test`} what="Copy" />
              <Code
                id={`${key}-test`}
                text={receiverTestOf({ url, headers: requestHeaders, body })}
                label={`Attempt ${number} as a test of the receiver`}
              />
            </details>
          )}
        </section>
        <section aria-label={`Response to attempt ${number}`}>
          <h3>Response</h3>
          {outcome.kind === "failed" && (
            <p>
              {response ? "Broken off" : "None"}: <strong>{outcome.error.kind}</strong>,{" "}
              {visible(outcome.error.message)}
            </p>
          )}
          {response && (
            <>
              <p>
                <code>{response.status}</code> after {length(attempt.durationMs)}
              </p>
              <HeaderTable
                headers={response.headers}
                label={`Response headers of attempt ${number}`}
              />
              {note && <p class="muted">Note: {visible(note)}.</p>}
              <Payload
                id={`${key}-response`}
                label={`Response body of attempt ${number}`}
                text={new TextDecoder().decode(response.body)}
                size={response.body.length}
                truncated={response.truncated}
                viewer={viewer}
              />
            </>
          )}
        </section>
      </div>
    </details>
  );
}

function HeaderTable({ headers, label }: { headers: Headers; label: string }) {
  if (headers.length === 0) return <p class="muted">No headers.</p>;
  return (
    <table class="headers" aria-label={label}>
      <tbody>
        {headers.map(([name, value]) => (
          <tr>
            <th scope="row">{visible(name)}</th>
            <td>{visible(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
