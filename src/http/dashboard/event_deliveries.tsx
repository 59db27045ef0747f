import type { Delivery } from "../../domain/delivery.ts";
import type { IsHeld } from "../views.ts";
import { Result } from "./delivery_rows.tsx";
import { Cell, Row, State, Table } from "./parts.tsx";
import { deliveryPath, subscriptionPath } from "./paths.ts";
import type { Viewer } from "./viewer.ts";
import { shownState, visible } from "./words.ts";

/** The deliveries of one event, each to a subscription. */
export function EventDeliveries(
  { deliveries, viewer, isHeld }: {
    deliveries: readonly Delivery[];
    viewer: Viewer;
    isHeld: IsHeld;
  },
) {
  return (
    <Table
      label="Deliveries of the event"
      columns={["Subscription", "State", "Attempts", "Result", "More"]}
    >
      {deliveries.map((delivery) => (
        <Row href={deliveryPath(delivery.id)} id={delivery.id}>
          <Cell label="Subscription" kind="title">
            <a href={subscriptionPath(delivery.subscription)}>{visible(delivery.subscription)}</a>
            {delivery.cause !== "event" && <span class="tag">{delivery.cause}</span>}
          </Cell>
          <Cell label="State">
            <State state={shownState(delivery, isHeld)} />
          </Cell>
          <Cell label="Attempts" kind="number">{delivery.attemptCount}</Cell>
          <Cell label="Result">
            <Result delivery={delivery} viewer={viewer} isHeld={isHeld} />
          </Cell>
          <Cell label="More">
            <a href={deliveryPath(delivery.id)}>the delivery</a>
          </Cell>
        </Row>
      ))}
    </Table>
  );
}
