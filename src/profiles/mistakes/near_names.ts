import { distance } from "fastest-levenshtein";
import type { Headers } from "../../domain/attempt.ts";
import { type Scheme, TRIO_PARTS } from "./scheme.ts";

/** Header names in a request that may be misspellings of a missing one; the nearest first. */
export function nearNames(headers: Headers, name: string, schemes: readonly Scheme[]): string[] {
  const others = new Set(
    [...schemes.map(({ rule }) => rule.header), ...TRIO_PARTS.values()]
      .map((other) => other.toLowerCase()),
  );
  const wanted = letters(name);
  const distances = headers.map(([given]) => given)
    .filter((given) => !others.has(given.toLowerCase()))
    .map((given): [string, number] => [given, distance(letters(given), wanted)]);
  const last = name.split("-").at(-1)!.toLowerCase();
  return distances
    .filter(([given, far]) => far <= wanted.length / 4 || given.toLowerCase().includes(last))
    .sort(([, a], [, b]) => a - b)
    .map(([given]) => given)
    .slice(0, 3);
}

/** A name without case, punctuation, and the prefixes `HTTP_` (CGI) and `X-`. */
function letters(name: string): string {
  return name.toLowerCase().replace(/^http_/, "").replace(/^x[-_]/, "").replace(/[^a-z0-9]/g, "");
}
