import { type JsonText, MAX_DEPTH } from "./json_text.ts";

/**
 * The members of an object in the JSON that most programs write: nothing escaped, no space between
 * tokens. Undefined for any other text, which may be JSON or none. Nearly all events come so, and
 * this takes less than half as long as the runtime's parser and the cut after it.
 */
export function plainMembersOf(text: string): [name: string, value: JsonText][] | undefined {
  if (text.charCodeAt(0) !== OPEN_BRACE || NOT_PLAIN.test(text)) return undefined;
  const members: [string, JsonText][] = [];
  if (text === "{}") return members;
  for (let at = 1;;) {
    const from = endOfName(text, at);
    const to = from === NOWHERE ? NOWHERE : endOfValue(text, from, 1);
    if (to === NOWHERE) return undefined;
    members.push([text.slice(at + 1, from - 2), text.slice(from, to)]);
    const code = text.charCodeAt(to);
    if (code === CLOSE_BRACE) return to + 1 === text.length ? members : undefined;
    if (code !== COMMA) return undefined;
    at = to + 1;
  }
}

/** Without a backslash, a string ends with the next quote. */
// deno-lint-ignore no-control-regex
const NOT_PLAIN = /[\\\x00-\x1f]/;

/** Where something would end that is not there. */
const NOWHERE = -1;

const QUOTE = 0x22, PLUS = 0x2b, COMMA = 0x2c, MINUS = 0x2d, DOT = 0x2e, ZERO = 0x30, NINE = 0x39;
const COLON = 0x3a, OPEN_BRACKET = 0x5b, CLOSE_BRACKET = 0x5d, SMALL_E = 0x65, SMALL_F = 0x66;
const SMALL_N = 0x6e, SMALL_T = 0x74, OPEN_BRACE = 0x7b, CLOSE_BRACE = 0x7d;
/** What tells a small letter from its capital. */
const CASE_BIT = 0x20;

function endOfValue(text: string, at: number, depth: number): number {
  switch (text.charCodeAt(at)) {
    case QUOTE:
      return endOfString(text, at);
    case OPEN_BRACE:
      return depth === MAX_DEPTH ? NOWHERE : endOfObject(text, at, depth + 1);
    case OPEN_BRACKET:
      return depth === MAX_DEPTH ? NOWHERE : endOfArray(text, at, depth + 1);
    case SMALL_T:
      return text.startsWith("true", at) ? at + 4 : NOWHERE;
    case SMALL_F:
      return text.startsWith("false", at) ? at + 5 : NOWHERE;
    case SMALL_N:
      return text.startsWith("null", at) ? at + 4 : NOWHERE;
    default:
      return endOfNumber(text, at);
  }
}

function endOfObject(text: string, start: number, depth: number): number {
  if (text.charCodeAt(start + 1) === CLOSE_BRACE) return start + 2;
  for (let at = start + 1;; at++) {
    at = endOfName(text, at);
    if (at !== NOWHERE) at = endOfValue(text, at, depth);
    if (at === NOWHERE) return NOWHERE;
    const code = text.charCodeAt(at);
    if (code === CLOSE_BRACE) return at + 1;
    if (code !== COMMA) return NOWHERE;
  }
}

function endOfArray(text: string, start: number, depth: number): number {
  if (text.charCodeAt(start + 1) === CLOSE_BRACKET) return start + 2;
  for (let at = start + 1;; at++) {
    at = endOfValue(text, at, depth);
    if (at === NOWHERE) return NOWHERE;
    const code = text.charCodeAt(at);
    if (code === CLOSE_BRACKET) return at + 1;
    if (code !== COMMA) return NOWHERE;
  }
}

/** Its colon included. */
function endOfName(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) return NOWHERE;
  const end = endOfString(text, start);
  return end !== NOWHERE && text.charCodeAt(end) === COLON ? end + 1 : NOWHERE;
}

function endOfString(text: string, start: number): number {
  const quote = text.indexOf('"', start + 1);
  return quote === -1 ? NOWHERE : quote + 1;
}

/** RFC 8259, section 6. */
function endOfNumber(text: string, start: number): number {
  const whole = text.charCodeAt(start) === MINUS ? start + 1 : start;
  let at = text.charCodeAt(whole) === ZERO ? whole + 1 : endOfDigits(text, whole);
  if (at !== NOWHERE && text.charCodeAt(at) === DOT) at = endOfDigits(text, at + 1);
  if (at === NOWHERE || (text.charCodeAt(at) | CASE_BIT) !== SMALL_E) return at;
  const sign = text.charCodeAt(at + 1);
  return endOfDigits(text, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
}

/** One at least. */
function endOfDigits(text: string, start: number): number {
  let at = start;
  for (let code = text.charCodeAt(at); code >= ZERO && code <= NINE;) {
    code = text.charCodeAt(++at);
  }
  return at === start ? NOWHERE : at;
}
