import { distance } from "fastest-levenshtein";
import type { Headers } from "../../domain/attempt.ts";
import { type Scheme, TRIO_PARTS } from "./scheme.ts";

/** Names in a request that may have been meant for one that is missing. */
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

/** A name as CGI, env files and typing errors leave it: without case, punctuation and prefix. */
function letters(name: string): string {
  return name.toLowerCase().replace(/^http_/, "").replace(/^x[-_]/, "").replace(/[^a-z0-9]/g, "");
}
