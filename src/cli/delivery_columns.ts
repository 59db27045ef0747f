import { A_MERE_SUCCESS } from "../domain/delivery.ts";
import type { Attempt, Delivery } from "./answers.ts";
import { colourOf } from "./paint.ts";
import type { Cell, Column } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { when } from "./when.ts";

/** How a list shows deliveries. */
export function deliveryColumns(terminal: Terminal): Column<Delivery>[] {
  return [
    { heading: "DELIVERY", cell: ({ id }) => id },
    { heading: "STATE", cell: stateCell },
    { heading: "SUBSCRIPTION", cell: ({ subscription }) => subscription, shrinksTo: 12 },
    { heading: "TYPE", cell: ({ type }) => type, shrinksTo: 12 },
    { heading: "CREATED", cell: ({ createdAt }) => when(createdAt, terminal), named: true },
    {
      heading: "ATTEMPTS",
      cell: ({ attemptCount }) => String(attemptCount),
      droppable: true,
      named: true,
    },
    {
      heading: "NOTE",
      cell: (delivery) => noteOf(delivery, terminal),
      shrinksTo: 12,
      droppable: true,
    },
  ];
}

/** A delivery's state, in its colour. */
export function stateCell({ state }: { readonly state: string }): Cell {
  return { text: state, colour: colourOf(state) };
}

/** What there is to say beside its state: what comes next, or why it ended. */
export function noteOf(delivery: Delivery, terminal: Terminal): string {
  if (delivery.held) return "held";
  const next = when(delivery.nextAttemptAt, terminal);
  const { reason = "" } = delivery;
  if (next === "") return A_MERE_SUCCESS.test(reason) ? "" : reason;
  return terminal.columns === undefined ? next : `next ${next}`;
}

/** What came of an attempt, in short: `503`, or `timeout: no answer within 5 s`. */
export function resultOf({ status, error }: Attempt): string {
  if (error === undefined) return String(status);
  return `${status === undefined ? "" : `${status}, `}${error.kind}: ${error.message}`;
}

/** Shorter still: `503`, `timeout`, or `200, reset` where an answer broke off. */
export function answerOf({ status, error }: Attempt): string {
  return [status, error?.kind].filter((part) => part !== undefined).join(", ");
}
