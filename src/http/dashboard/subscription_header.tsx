import { diagnoseResult } from "../../domain/diagnosis.ts";
import type { Condition, Health } from "../../domain/health.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Backlog } from "../../outbox/reader.ts";
import { bulkOf } from "./bulk.tsx";
import type { Failing } from "./failing.ts";
import { ActionButton, State, When } from "./parts.tsx";
import { deliveriesPath, deliveryPath, receiverPath, subscriptionPath } from "./paths.ts";
import type { Viewer } from "./viewer.ts";
import { count, counted, heldBecause, visible } from "./words.ts";

export interface SubscriptionStanding {
  readonly id: string;
  /** Undefined where the config no longer has it. */
  readonly subscription: Subscription | undefined;
  readonly state: Condition | "removed";
  readonly health: Health;
  readonly backlog: Backlog | undefined;
  readonly failing: Failing | undefined;
}

/** The state of a subscription, its reason, and what can be done about it first. */
export function SubscriptionHeader(
  { standing, viewer }: { standing: SubscriptionStanding; viewer: Viewer },
) {
  const { id, subscription, state } = standing;
  return (
    <>
      <div class="actions">
        <State state={state} />
        <FittingAction standing={standing} viewer={viewer} />
        {subscription && state !== "disabled" && state !== "paused" && (
          <ActionButton
            viewer={viewer}
            action={subscriptionPath(id, "pause")}
            label="Pause"
            kind="quiet"
            back={subscriptionPath(id)}
          />
        )}
        <a href={deliveriesPath({ subscription: id })}>Its deliveries</a>
        {subscription && <a href={receiverPath(id)}>The page for its receiver</a>}
      </div>
      <Reason standing={standing} viewer={viewer} />
    </>
  );
}

/** The one action that fits its state; each says how much it is about before it runs. */
function FittingAction(
  { standing: { id, subscription, state, backlog }, viewer }: {
    standing: SubscriptionStanding;
    viewer: Viewer;
  },
) {
  if (state === "paused") {
    return (
      <ActionButton
        viewer={viewer}
        action={subscriptionPath(id, "resume")}
        label="Resume"
        back={subscriptionPath(id)}
      />
    );
  }
  const waiting = backlog?.pending ?? 0;
  const all = bulkOf({ subscription: id, state: "pending" });
  if (waiting > 0 && all !== undefined && state !== "disabled") {
    return (
      <a class="button" href={all}>
        {state === "removed"
          ? `Cancel the ${count(waiting)} waiting …`
          : `Retry all ${count(waiting)} waiting …`}
      </a>
    );
  }
  return subscription ? <a class="button" href="#test">Send a test event</a> : null;
}

function Reason(
  { standing: { state, health, failing }, viewer }: {
    standing: SubscriptionStanding;
    viewer: Viewer;
  },
) {
  const held = heldBecause({ state, health });
  if (held !== undefined) {
    return (
      <div class="diagnosis is-held">
        <p>
          <strong>Its deliveries are held:</strong> {visible(held)}
        </p>
      </div>
    );
  }
  if (failing) {
    return (
      <div class="diagnosis is-exhausted">
        <p>
          <strong>It is failing:</strong> {visible(failing.meaning ?? "")}{" "}
          (<a href={deliveryPath(failing.delivery)}>the delivery</a>)
        </p>
      </div>
    );
  }
  if (state !== "not answering") return null;
  return (
    <div class="diagnosis is-exhausted">
      <p>
        <strong>It is not answering:</strong>{" "}
        {counted(health.consecutiveFailures, "failed attempt")} in a row
        {health.failuresSince !== undefined && (
          <>
            {" "}since <When at={health.failuresSince} now={viewer.now} />
          </>
        )}. {health.lastResult && visible(diagnoseResult(health.lastResult))}
      </p>
    </div>
  );
}
