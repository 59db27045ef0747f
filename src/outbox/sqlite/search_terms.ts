import { decodePosition, type Position } from "../ids.ts";

/**
 * A text that somebody looks for, as LIKE takes it: the ways in which JSON as we store it may spell it.
 * LIKE ignores the case of ASCII letters; other letters are looked for as they are, small, capital, and
 * capital at the beginning of words.
 */
export function likePatterns(text: string): string[] {
  const spelled = new Set<string>();
  for (const spelling of jsonSpellings(text)) {
    spelled.add(spelling);
    if (IS_ASCII.test(spelling)) continue;
    for (const cased of [spelling.toLowerCase(), spelling.toUpperCase(), capitalized(spelling)]) {
      spelled.add(cased);
    }
  }
  return [...spelled].slice(0, MOST_PATTERNS)
    .map((spelling) => `%${spelling.replace(/[\\%_]/g, "\\$&")}%`);
}

/** As many as the statements take. */
export const MOST_PATTERNS = 8;

const IS_ASCII = /^[\0-\x7f]*$/;

/** The text as it stands within a JSON string, and, where it may be JSON itself, as that. */
function jsonSpellings(text: string): string[] {
  const withinString = JSON.stringify(text).slice(1, -1);
  if (withinString === text) return [text];
  // deno-lint-ignore no-control-regex
  const isPossible = (spelling: string) => !/[\0-\x1f]/.test(spelling);
  // What is stored has no control characters as they are.
  return [withinString, ...[compacted(text), ...unescaped(text)].filter(isPossible)];
}

/** Copied from where it stands indented, with space around colons and after commas and brackets. */
function compacted(text: string): string {
  return text.replace(/"\s*:\s+/g, '":').replace(/,\s+"/g, ',"')
    .replace(/([[{])\s+/g, "$1").replace(/\s+([\]}])/g, "$1");
}

/** Copied from a program that writes `\u00e9`: what is stored has the letter itself. */
function unescaped(text: string): string[] {
  try {
    return [JSON.stringify(JSON.parse(`"${text}"`)).slice(1, -1)];
  } catch {
    return [];
  }
}

function capitalized(text: string): string {
  return text.toLowerCase().replace(
    /(^|[^\p{L}])(\p{L})/gu,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  );
}

/** Where the deliveries stand whose ids begin with a text: from here, and before there. */
export interface Range {
  readonly from: Position;
  readonly before: Position;
}

/** Undefined where no id begins so. */
export function deliveriesNamed(text: string): Range | undefined {
  const digits = /^dlv_([0-9A-HJKMNP-TV-Z]{0,26})$/i.exec(text)?.[1]?.toUpperCase();
  if (digits === undefined) return undefined;
  const from = decodePosition(digits.padEnd(ID_DIGITS, "0"));
  if (!from) return undefined;
  if (digits.length > TIME_DIGITS) {
    const last = decodePosition(digits.padEnd(ID_DIGITS, "Z"));
    const seq = last ? last.seq + 1 : Number.MAX_SAFE_INTEGER;
    return { from, before: { createdAt: from.createdAt, seq } };
  }
  const last = decodePosition(digits.padEnd(TIME_DIGITS, "Z").padEnd(ID_DIGITS, "0"))!;
  return { from, before: { createdAt: last.createdAt + 1, seq: 0 } };
}

/** Of a delivery's id after its prefix: all of it, and what says when it was created. */
const ID_DIGITS = 26, TIME_DIGITS = 10;

/** The bytes that texts beginning with this one come before, in SQLite's order. */
export function endOfPrefix(prefix: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = new Uint8Array(prefix);
  // UTF-8 has no byte 255.
  end[end.length - 1]! += 1;
  return end;
}
