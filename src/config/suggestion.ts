import { distance } from "fastest-levenshtein";
import { quoted } from "../domain/quoted.ts";

/** More names than this are no help in a line of text. */
const MOST_LISTED = 10;

/** A fix that names the nearest of the known names, or else all of them where they are few. */
export function suggestion(name: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  const near = nearest(name, names);
  if (near !== undefined) return `did you mean ${quoted(near)}?`;
  if (names.length === 0 || names.length > MOST_LISTED) return undefined;
  const list = names.map(quoted).join(", ");
  return names.length === 1 ? `there is only ${list}` : `there are ${list}`;
}

/** A fix that names the nearest of the known names, however far it is; undefined where none is known. */
export function nearestOf(name: string, known: readonly string[]): string | undefined {
  const near = nearest(name, known);
  if (near !== undefined) return `did you mean ${quoted(near)}?`;
  const [closest] = known.toSorted((a, b) => distance(name, a) - distance(name, b));
  return closest === undefined ? undefined : `the nearest it has is ${quoted(closest)}`;
}

/** The known name that a slip of the pen is likely to have meant; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // What differs in nothing but case and punctuation is meant, however many characters that is.
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
