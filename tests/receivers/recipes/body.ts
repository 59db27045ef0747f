import type { JsonText } from "../../../src/domain/json_text.ts";
import { orderProblem, shown } from "../../../src/receivers/body.ts";
export {
  headerProblem,
  isoProblem,
  openBody,
  shown,
  unixProblem,
} from "../../../src/receivers/body.ts";
import { formProblem, type Opened, type Problem } from "../../../src/receivers/verification.ts";

/** Holds the body's keys and their order against the page's. */
export function keysProblem(
  opened: Opened,
  expected: readonly string[],
  optional: readonly string[] = [],
): Problem | undefined {
  const found = opened.members.map(([name]) => name);
  return orderProblem(found, { expected, optional, where: "the body" });
}

/** What a JSON value is, in the words of the platforms' pages. */
export type Kind = "string" | "number" | "object" | "array" | "null" | "boolean";

/** Whether a member is one of these kinds of value. */
export function kindProblem(
  opened: Opened,
  name: string,
  kinds: readonly Kind[],
): Problem | undefined {
  const value = memberOf(opened, name);
  if (value !== undefined && kinds.includes(kindOf(value))) return undefined;
  return formProblem(`${name} is ${shown(value)}, expected ${kinds.map(withArticle).join(" or ")}`);
}

/** The JSON text of a member, or undefined. */
export function memberOf(opened: Opened, name: string): JsonText | undefined {
  return opened.members.find(([known]) => known === name)?.[1];
}

/** The text of a member that is a string, or undefined. */
export function stringOf(opened: Opened, name: string): string | undefined {
  const value = memberOf(opened, name);
  return value?.startsWith('"') ? JSON.parse(value) : undefined;
}

export function kindOf(value: JsonText): Kind {
  switch (value[0]) {
    case '"':
      return "string";
    case "{":
      return "object";
    case "[":
      return "array";
    case "n":
      return "null";
    case "t":
    case "f":
      return "boolean";
    default:
      return "number";
  }
}

function withArticle(kind: Kind): string {
  return kind === "null" ? kind : `${kind === "object" || kind === "array" ? "an" : "a"} ${kind}`;
}
