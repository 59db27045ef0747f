import type { Condition } from "../domain/health.ts";
import type { Health } from "./answers.ts";
import { colourOf } from "./paint.ts";
import type { Cell } from "./table.ts";

/** What a subscription is called: "healthy" only if its receiver answers. */
export function conditionOf({ state, answering }: Health): Condition {
  return state === "healthy" && answering === false ? "not answering" : state;
}

/** The same, in its colour. */
export function conditionCell(health: Health): Cell {
  const text = conditionOf(health);
  return { text, colour: colourOf(text) };
}
