/**
 * JSON kept as text, so that what a publisher wrote is what a receiver parses: every number keeps
 * its digits, every object its key order. Values that are only passed on are never turned into
 * JavaScript values, which lose both.
 */

/** A valid JSON text without insignificant white space, its strings spelled as JSON.stringify does. */
export type JsonText = string;

/**
 * How deep a JSON text may nest, an event by itself or in a list; Ruby's parser, which many receivers
 * use, stops at 100. A body has its data as deep as the event had it.
 */
export const MAX_DEPTH = 100;

/** Thrown for a text that is no JSON, or nests deeper than MAX_DEPTH. */
export class JsonTextError extends Error {}

/** Checks a text and brings it into the compact form. Throws JsonTextError. */
export function compact(text: string): JsonText {
  assertJson(text);
  return compactValue(scanned(text), skipSpace(text, 0)).text;
}

/**
 * The members of a valid JSON object in their order; undefined where the text is no object. Throws
 * JsonTextError where it, not a member by itself, nests too deep.
 */
export function membersOf(text: string): [name: string, value: JsonText][] | undefined {
  let at = skipSpace(text, 0);
  if (text[at] !== "{") return undefined;
  const scan = scanned(text);
  const members: [string, JsonText][] = [];
  at = skipSpace(text, at + 1);
  while (text[at] !== "}") {
    const name = compactValue(scan, at);
    at = skipSpace(text, skipSpace(text, name.end) + 1);
    const value = compactValue(scan, at, { within: 1 });
    members.push([JSON.parse(name.text), value.text]);
    at = skipSpace(text, value.end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return members;
}

/** The elements of a valid JSON array; undefined where the text is no array. */
export function elementsOf(text: string): JsonText[] | undefined {
  let at = skipSpace(text, 0);
  if (text[at] !== "[") return undefined;
  const scan = scanned(text);
  const elements: JsonText[] = [];
  at = skipSpace(text, at + 1);
  while (text[at] !== "]") {
    const value = compactValue(scan, at);
    elements.push(value.text);
    at = skipSpace(text, value.end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return elements;
}

/** Throws JsonTextError with the parser's own words where a text is no JSON. */
export function assertJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new JsonTextError((error as Error).message);
  }
}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN_BRACE = 0x7b, CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b, CLOSE_BRACKET = 0x5d, COMMA = 0x2c;

/**
 * One value of a valid JSON text from `start` on, compacted, and where it ends. Where nothing in the
 * whole text is escaped, a string ends with the next quote, which is found much faster.
 */
function compactValue(
  { text, hasEscapes }: Scanned,
  start: number,
  /** In how many objects and arrays it stands. */
  { within } = { within: 0 },
): { text: JsonText; end: number } {
  let out = "";
  let depth = 0;
  let kept = start; // everything before it is in `out` already
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = hasEscapes ? endOfString(text, at) : endOfPlainString(text, at);
      if (end.escaped) {
        out += text.slice(kept, at) + JSON.stringify(JSON.parse(text.slice(at, end.at)));
        kept = end.at;
      }
      at = end.at - 1;
      if (depth === 0) {
        at++;
        break;
      }
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth + within > MAX_DEPTH) {
        throw new JsonTextError(`nested deeper than ${MAX_DEPTH} levels`);
      }
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth === 0) break;
      if (--depth === 0) {
        at++;
        break;
      }
    } else if (isSpace(code)) {
      if (depth === 0) break;
      out += text.slice(kept, at);
      kept = at + 1;
    } else if (code === COMMA && depth === 0) break;
  }
  return { text: out + text.slice(kept, at), end: at };
}

interface Scanned {
  readonly text: string;
  readonly hasEscapes: boolean;
}

function scanned(text: string): Scanned {
  return { text, hasEscapes: text.includes("\\") };
}

function endOfString(text: string, start: number): { at: number; escaped: boolean } {
  let escaped = false;
  for (let at = start + 1;; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) {
      escaped = true;
      at++;
    } else if (code === QUOTE) return { at: at + 1, escaped };
  }
}

function endOfPlainString(text: string, start: number): { at: number; escaped: boolean } {
  return { at: text.indexOf('"', start + 1) + 1, escaped: false };
}

function skipSpace(text: string, at: number): number {
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** A JSON number by its digits. */
export class NumberText {
  #decimal: Decimal | undefined;

  constructor(readonly text: string) {}

  /** Compares exactly: negative, zero or positive, as a sort wants it. */
  compare(other: NumberText): number {
    return compareDecimals(this.#digits(), other.#digits());
  }

  /** Worked out once: a number may be as long as a body, and be compared with all others in it. */
  #digits(): Decimal {
    return this.#decimal ??= decimalOf(this.text);
  }
}

/** A parsed JSON value whose numbers are NumberText. */
export type ExactValue = null | boolean | string | NumberText | ExactValue[] | ExactObject;
/** A parsed JSON object; read it with Object.hasOwn, for `__proto__` is a key like any other. */
export interface ExactObject {
  [name: string]: ExactValue;
}

/** Parses a valid JSON text, numbers kept as text. */
export function parseExact(text: JsonText): ExactValue {
  const keepDigits = (_name: string, value: unknown, context?: { source: string }) =>
    typeof value === "number" ? new NumberText(context!.source) : value;
  return JSON.parse(text, keepDigits as (name: string, value: unknown) => unknown);
}

/**
 * One spelling for equal scalars: `1.0`, `1` and `10e-1` become the same text, and so do two
 * spellings of a string; a number never equals a string.
 */
export function canonicalScalar(text: JsonText): string {
  const first = text.charCodeAt(0);
  if (first === QUOTE) return text.includes("\\") ? JSON.stringify(JSON.parse(text)) : text;
  if (first === 0x2d || (first >= 0x30 && first <= 0x39)) return canonicalNumber(text);
  return text;
}

function canonicalNumber(text: string): string {
  const { negative, digits, exponent } = decimalOf(text);
  return digits === "" ? "0" : `${negative ? "-" : ""}${digits}e${exponent}`;
}

/** A canonical scalar as people write it: `7e0` as `7`. */
export function plainScalar(canonical: string): string {
  const number = /^(-?)(\d+)e(-?\d+)$/.exec(canonical);
  if (!number) return canonical;
  const [, minus = "", digits = "", power] = number;
  const exponent = Number(power);
  if (Math.abs(exponent) > MAX_ZEROS) return canonical;
  if (exponent >= 0) return minus + digits + "0".repeat(exponent);
  const all = digits.padStart(1 - exponent, "0");
  return `${minus}${all.slice(0, exponent)}.${all.slice(exponent)}`;
}

const MAX_ZEROS = 30;

/** Compares two JSON numbers exactly: negative, zero or positive, as a sort wants it. */
export function compareNumbers(a: string, b: string): number {
  return compareDecimals(decimalOf(a), decimalOf(b));
}

function compareDecimals(left: Decimal, right: Decimal): number {
  const sign = signOf(left) - signOf(right);
  // However a zero is spelled.
  if (sign !== 0 || left.digits === "") return sign;
  const magnitude = compareMagnitudes(left, right);
  return left.negative ? -magnitude : magnitude;
}

interface Decimal {
  negative: boolean;
  /** Significant digits without zeros at either end; empty for zero. */
  digits: string;
  /** The power of ten of the last digit. */
  exponent: number;
}

function decimalOf(text: string): Decimal {
  return wholeOf(text) ?? decimalInFull(text);
}

/** Of a whole number written as such, as nearly all are: in a third of the time. */
function wholeOf(text: string): Decimal | undefined {
  const negative = text.charCodeAt(0) === MINUS;
  const from = negative ? 1 : 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < ZERO || code > NINE) return undefined;
  }
  let to = text.length;
  while (to > from && text.charCodeAt(to - 1) === ZERO) to--;
  return { negative, digits: text.slice(from, to), exponent: text.length - to };
}

const MINUS = 0x2d, ZERO = 0x30, NINE = 0x39;

function decimalInFull(text: string): Decimal {
  const [, minus, whole, fraction = "", power = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
    .exec(text)!;
  const all = whole! + fraction;
  // Not by /0+$/: that tries every run of zeros to its end, for seconds where a number is long.
  let from = 0, to = all.length;
  while (from < to && all.charCodeAt(from) === 0x30) from++;
  while (from < to && all.charCodeAt(to - 1) === 0x30) to--;
  const exponent = Number(power) - fraction.length + (all.length - to);
  return { negative: minus === "-", digits: all.slice(from, to), exponent };
}

function signOf(decimal: Decimal): number {
  return decimal.digits === "" ? 0 : decimal.negative ? -1 : 1;
}

function compareMagnitudes(a: Decimal, b: Decimal): number {
  const leading = (a.digits.length + a.exponent) - (b.digits.length + b.exponent);
  if (leading !== 0) return leading;
  // No zeros at their ends: where one is the other's beginning, it is the smaller.
  return a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0;
}
