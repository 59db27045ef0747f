import { type JsonText, JsonTextError } from "./json_text.ts";

/** Where in a JSON value something stands: the names and indexes that lead to it. */
export type Way = readonly (string | number)[];

/** What an escape of half a surrogate pair begins with; nearly no text has one. */
const MAY_BE_HALF = /\\u[dD][89A-Fa-f]/;

/**
 * Where a valid JSON text holds half a character first: a surrogate that is escaped without its partner,
 * as in `"\ud83d"`. JSON has a spelling for it and UTF-8 has none, so that one parser refuses it and the
 * next puts something else in its place. For a name, these are the steps to its object and the name.
 */
export function halfCharacterIn(text: JsonText): Way | undefined {
  if (!MAY_BE_HALF.test(text)) return undefined;
  /** Of each object and array that is open: the name, unknown before it was read, or the index. */
  const open: (string | number | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    const last = open.at(-1);
    if (character === "{") open.push(undefined);
    else if (character === "[") open.push(0);
    else if (character === "}" || character === "]") open.pop();
    else if (character === "," && open.length > 0) {
      open[open.length - 1] = typeof last === "number" ? last + 1 : undefined;
    } else if (character === '"') {
      const end = endOfString(text, at);
      const value: string = JSON.parse(text.slice(at, end));
      if (open.length > 0 && last === undefined) open[open.length - 1] = value;
      if (!value.isWellFormed()) return open.map((step) => step ?? "");
      at = end - 1;
    }
  }
  return undefined;
}

/** Says it to whoever wrote the text. */
export const HALF_CHARACTER =
  "holds half a character: a \\uD800 to \\uDFFF without its partner, which UTF-8 can't spell; " +
  "take it out, or cut texts between characters";

/** Throws JsonTextError with the place where a valid JSON text holds half a character. */
export function assertWholeCharacters(text: JsonText): void {
  const steps = halfCharacterIn(text);
  if (!steps) return;
  const place = steps.map((step) => `[${JSON.stringify(step)}]`).join("") || "it";
  throw new JsonTextError(`${place} ${HALF_CHARACTER}`);
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1;; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
}
