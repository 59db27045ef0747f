import { parseInstant } from "../domain/instant.ts";
import { type JsonText, JsonTextError, membersOf } from "../domain/json_text.ts";
import {
  formProblem,
  type ParsedRequest,
  quoted,
  type ReceivedRequest,
  type RequestProblem,
} from "./verification.ts";

/** Parses the body as a JSON object, as every platform sends one. */
export function parseBody(
  request: ReceivedRequest,
  secret: string | undefined,
): { parsed: ParsedRequest } | { problem: RequestProblem } {
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
    if (members !== undefined) return { parsed: { ...request, text, members, secret } };
    return { problem: formProblem(`the body is ${quoted(text)}, expected a JSON object`) };
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    return { problem: formProblem(`the body is ${error.message}`) };
  }
}

/** Checks an object's keys and their order. */
export function orderProblem(
  found: readonly string[],
  { expected, optional, where }: {
    expected: readonly string[];
    /** The expected keys that may be missing. */
    optional: readonly string[];
    /** What to call the object in the problem. */
    where: string;
  },
): RequestProblem | undefined {
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

/** A member's JSON text for a problem, truncated if long. */
export function shown(value: JsonText | undefined): string {
  if (value === undefined) return "missing";
  return value.length > 80 ? `${value.slice(0, 79)}…` : value;
}

/** Checks for a timestamp in ISO 8601, in UTC, with a `Z`. */
export function isoProblem(name: string, value: JsonText | undefined): RequestProblem | undefined {
  const text = value?.startsWith('"') ? JSON.parse(value) as string : "";
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) && parseInstant(text) !== undefined) {
    return undefined;
  }
  return formProblem(`${name} is ${shown(value)}, expected ISO 8601 in UTC, with a Z`);
}

/** Milliseconds of the year 1973, seconds of the year 5138: smaller numbers are seconds. */
const LEAST_MILLISECONDS = 100_000_000_000;

/** Checks for a Unix timestamp as an integer. Its size shows the unit. */
export function unixProblem(
  name: string,
  value: JsonText | undefined,
  unit: "milliseconds" | "seconds",
): RequestProblem | undefined {
  const whole = value !== undefined && /^\d+$/.test(value);
  if (whole && (unit === "milliseconds") === (Number(value) >= LEAST_MILLISECONDS)) {
    return undefined;
  }
  return formProblem(`${name} is ${shown(value)}, expected a number of Unix ${unit}`);
}

/** Checks that a header is present with exactly this value. */
export function headerProblem(
  headers: Headers,
  name: string,
  expected: string,
): RequestProblem | undefined {
  const found = headers.get(name);
  if (found === expected) return undefined;
  return formProblem(`${name} is ${quoted(found)}, expected ${quoted(expected)}`);
}
