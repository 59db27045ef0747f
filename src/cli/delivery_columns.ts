import { A_MERE_SUCCESS } from "../domain/delivery.ts";
import { resultWords, rowReason } from "../domain/result_words.ts";
import type { Attempt, Delivery } from "./answers.ts";
import { colourOf } from "./paint.ts";
import type { Cell, Column } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { when } from "./when.ts";

/** How a list shows deliveries. A reason is worth more than a type, an age or a count. */
export function deliveryColumns(terminal: Terminal): Column<Delivery>[] {
  const columns: Column<Delivery>[] = [
    { heading: "DELIVERY", cell: ({ id }) => id },
    { heading: "STATE", cell: stateCell },
    { heading: "SUBSCRIPTION", cell: ({ subscription }) => subscription, shrinksTo: 8 },
    { heading: "TYPE", cell: ({ type }) => type, shrinksTo: 12, dropRank: 2 },
    { heading: "CREATED", cell: ({ createdAt }) => when(createdAt, terminal), named: true },
    {
      heading: "ATTEMPTS",
      cell: ({ attemptCount }) => String(attemptCount),
      dropRank: 1,
      named: true,
    },
    { heading: "NOTE", cell: (delivery) => noteOf(delivery, terminal), shrinksTo: 18 },
  ];
  if (terminal.columns !== undefined) return columns;
  return [...columns, { heading: "", cell: (delivery) => resultCell(delivery, terminal) }];
}

/** A delivery's state, in its colour. */
export function stateCell({ state }: { readonly state: string }): Cell {
  return { text: state, colour: colourOf(state) };
}

/** What its last attempt came to, in words; empty before the first. */
export function resultCell({ lastResult }: Delivery, { clock }: Terminal): string {
  return lastResult === undefined ? "" : resultWords(lastResult, clock.wall());
}

/**
 * What there is to say beside its state: on a terminal why it is so and what comes next, in a pipe when
 * the next attempt is, or why it ended.
 */
export function noteOf(delivery: Delivery, terminal: Terminal): string {
  const next = when(delivery.nextAttemptAt, terminal);
  if (terminal.columns === undefined) {
    if (delivery.held) return "held";
    const { reason = "" } = delivery;
    return next !== "" ? next : A_MERE_SUCCESS.test(reason) ? "" : reason;
  }
  const follows = delivery.held ? "held" : next === "" ? undefined : `next ${next}`;
  return [rowReason(delivery, terminal.clock.wall()), follows]
    .filter((part) => part !== undefined).join(", ");
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
