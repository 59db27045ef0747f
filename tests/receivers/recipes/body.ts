import type { JsonText } from "../../../src/domain/json_text.ts";
import { orderProblem, shown } from "../../../src/receivers/body.ts";
export {
  headerProblem,
  isoProblem,
  parseBody,
  shown,
  unixProblem,
} from "../../../src/receivers/body.ts";
import {
  formProblem,
  type ParsedRequest,
  type RequestProblem,
} from "../../../src/receivers/verification.ts";

/** Checks the body's keys and their order. */
export function keysProblem(
  parsed: ParsedRequest,
  expected: readonly string[],
  optional: readonly string[] = [],
): RequestProblem | undefined {
  const found = parsed.members.map(([name]) => name);
  return orderProblem(found, { expected, optional, where: "the body" });
}

/** The type of a JSON value. */
export type Kind = "string" | "number" | "object" | "array" | "null" | "boolean";

/** Checks the type of a member. */
export function kindProblem(
  parsed: ParsedRequest,
  name: string,
  kinds: readonly Kind[],
): RequestProblem | undefined {
  const value = memberOf(parsed, name);
  if (value !== undefined && kinds.includes(kindOf(value))) return undefined;
  return formProblem(`${name} is ${shown(value)}, expected ${kinds.map(withArticle).join(" or ")}`);
}

/** The JSON text of a member, or undefined. */
export function memberOf(parsed: ParsedRequest, name: string): JsonText | undefined {
  return parsed.members.find(([known]) => known === name)?.[1];
}

/** The text of a member that is a string, or undefined. */
export function stringOf(parsed: ParsedRequest, name: string): string | undefined {
  const value = memberOf(parsed, name);
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
