import { type JsonText, JsonTextError, membersOf } from "../domain/json_text.ts";
import { parseInstant } from "../domain/instant.ts";
import { formProblem, type Opened, type Problem, quoted } from "./verification.ts";
import type { ReceivedRequest } from "./verification.ts";

/** Reads the body as the JSON object that every platform's is, or says why it is none. */
export function openBody(
  request: ReceivedRequest,
  secret: string | undefined,
): { opened: Opened } | { problem: Problem } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(request.rawBody);
  } catch {
    return { problem: formProblem("the body is not UTF-8, expected a JSON object") };
  }
  try {
    JSON.parse(text);
  } catch {
    return { problem: formProblem(`the body is ${quoted(text)}, expected a JSON object`) };
  }
  try {
    const members = membersOf(text);
    if (members !== undefined) return { opened: { ...request, text, members, secret } };
    return { problem: formProblem(`the body is ${quoted(text)}, expected a JSON object`) };
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    return { problem: formProblem(`the body is ${error.message}`) };
  }
}

/** Holds the body's keys and their order against the page's. */
export function keysProblem(
  opened: Opened,
  expected: readonly string[],
  optional: readonly string[] = [],
): Problem | undefined {
  const found = opened.members.map(([name]) => name);
  return orderProblem(found, { expected, optional, where: "the body" });
}

/** As keysProblem, for any object. */
export function orderProblem(
  found: readonly string[],
  { expected, optional, where }: {
    expected: readonly string[];
    /** Those of them that may be missing. */
    optional: readonly string[];
    /** The object's name in the problem. */
    where: string;
  },
): Problem | undefined {
  const wanted = expected.filter((name) => found.includes(name) || !optional.includes(name));
  const same = found.length === wanted.length && wanted.every((name, at) => name === found[at]);
  if (same) return undefined;
  const inOrder = expected.map((name) => optional.includes(name) ? `${name} (optional)` : name);
  return formProblem(
    `${where} has the keys ${list(found)}, expected ${list(inOrder)}, in this order`,
  );
}

function list(names: readonly string[]): string {
  const some = names.slice(0, 20).map((name) => name.slice(0, 60));
  return names.length === 0 ? "(none)" : some.join(", ") + (names.length > 20 ? ", …" : "");
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

/** A member's JSON text as a problem shows it. */
export function shown(value: JsonText | undefined): string {
  if (value === undefined) return "missing";
  return value.length > 80 ? `${value.slice(0, 79)}…` : value;
}

function withArticle(kind: Kind): string {
  return kind === "null" ? kind : `${kind === "object" || kind === "array" ? "an" : "a"} ${kind}`;
}

/** A timestamp in ISO 8601, in UTC, with a `Z`. */
export function isoProblem(name: string, value: JsonText | undefined): Problem | undefined {
  const text = value?.startsWith('"') ? JSON.parse(value) as string : "";
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) && parseInstant(text) !== undefined) {
    return undefined;
  }
  return formProblem(`${name} is ${shown(value)}, expected ISO 8601 in UTC, with a Z`);
}

/** Milliseconds of the year 1973, seconds of the year 5138: what is less was meant as seconds. */
const LEAST_MILLISECONDS = 100_000_000_000;

/** A Unix timestamp as a whole number, told apart from the other unit by its size. */
export function unixProblem(
  name: string,
  value: JsonText | undefined,
  unit: "milliseconds" | "seconds",
): Problem | undefined {
  const whole = value !== undefined && /^\d+$/.test(value);
  if (whole && (unit === "milliseconds") === (Number(value) >= LEAST_MILLISECONDS)) {
    return undefined;
  }
  return formProblem(`${name} is ${shown(value)}, expected a number of Unix ${unit}`);
}

/** A header that must be there and read exactly so. */
export function headerProblem(
  headers: Headers,
  name: string,
  expected: string,
): Problem | undefined {
  const found = headers.get(name);
  if (found === expected) return undefined;
  return formProblem(`${name} is ${quoted(found)}, expected ${quoted(expected)}`);
}
