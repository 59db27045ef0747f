import { distance } from "fastest-levenshtein";
import { quoted } from "../domain/quoted.ts";

/** A longer list of names would not help. */
const MOST_LISTED = 10;

/** A fix that suggests the nearest known name. If none is near, it lists all names if there are few. */
export function suggestion(name: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  const near = nearest(name, names);
  if (near !== undefined) return `did you mean ${quoted(near)}?`;
  if (names.length === 0 || names.length > MOST_LISTED) return undefined;
  const list = names.map(quoted).join(", ");
  return names.length === 1 ? `there is only ${list}` : `there are ${list}`;
}

/** A fix that suggests the nearest known name, even if it isn't near. Undefined if none is known. */
export function nearestOf(name: string, known: readonly string[]): string | undefined {
  const near = nearest(name, known);
  if (near !== undefined) return `did you mean ${quoted(near)}?`;
  const [closest] = known.toSorted((a, b) => distance(name, a) - distance(name, b));
  return closest === undefined ? undefined : `the nearest it has is ${quoted(closest)}`;
}

/** The known name that was probably meant by a misspelled one. Undefined if none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // A name that differs only in case and punctuation is meant, however many characters differ.
  const sameLetters = known.find((candidate) => letters(candidate) === letters(name));
  if (sameLetters !== undefined && letters(name) !== "") return sameLetters;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    const far = distance(name, candidate);
    if (far < bestDistance && far < candidate.length) {
      best = candidate;
      bestDistance = far;
    }
  }
  return best;
}

function letters(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}
