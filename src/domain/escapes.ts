/**
 * How texts spell a character otherwise than by itself: percent-encoding, the backslashes of JSON and
 * of programming languages, HTML's references; also one within the other. Texts are bytes, one
 * character each, as `latin1` makes them.
 */

/** One way to read a place in a text: the bytes that are meant, and where the spelling ends. */
export interface Reading {
  /** Empty where nothing is meant, as by a line break within a long word. */
  readonly bytes: string;
  readonly end: number;
}

/** How often spellings may be spelled again. */
const MAX_NESTING = 2;
/** No spelling of one character is longer, however nested. */
export const LONGEST_SPELLING = 64;

const PERCENT = 0x25, AMPERSAND = 0x26, PLUS = 0x2b, BACKSLASH = 0x5c;
const TAB = 0x09, NEWLINE = 0x0a, RETURN = 0x0d, SPACE = 0x20;

/** What may be meant otherwise: 1 where a spelling begins, 2 where the character alone may be. */
const BEGINS = new Uint8Array(256);
for (const code of [PERCENT, AMPERSAND, BACKSLASH]) BEGINS[code] = 1;
for (const code of [PLUS, TAB, NEWLINE, RETURN]) BEGINS[code] = 2;

/** Whether a spelling may begin with this character. */
export function beginsSpelling(code: number): boolean {
  return BEGINS[code] !== 0;
}

/** Whether a text has any such character. */
export const HAS_SPELLING = /[%&+\\\t\n\r]/;

const NONE: readonly Reading[] = [];
/** More than any spelling is long. */
const LATELY = 128;

/**
 * Reads what is spelled in a text. What it read lately it does not read again: a hostile text may spell
 * nothing but spellings.
 */
export class Speller {
  readonly #text: string;
  /** By nesting and the end of the place's number. */
  readonly #lately: { readonly at: number; readonly readings: readonly Reading[] }[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** What may be meant at a place beside the character that stands there. */
  readingsAt(at: number, nesting = MAX_NESTING): readonly Reading[] {
    const code = this.#text.charCodeAt(at);
    const begins = BEGINS[code];
    if (begins !== 1) return begins === 2 ? aloneAt(this.#text, code, at) : NONE;
    const slot = nesting * LATELY + at % LATELY;
    const known = this.#lately[slot];
    if (known?.at === at) return known.readings;
    const readings = this.#read(code, at, nesting);
    this.#lately[slot] = { at, readings };
    return readings;
  }

  #read(code: number, at: number, nesting: number): readonly Reading[] {
    const source = new Source(this, this.#text, { at: at + 1, nesting: 0 });
    const plain = readSpelling(source, code);
    const isFinal = !source.metSpelling && (!plain || BEGINS[plain.bytes.charCodeAt(0)] !== 1);
    if (isFinal || nesting === 1) return plain ? meaningsOf(this.#text, plain) : NONE;
    const inner = this.readingsAt(at, nesting - 1);
    const found = [...inner];
    // The character that begins a spelling may be spelled itself, as in `%2541` and `&amp;quot;`.
    const begun = inner.filter(({ bytes }) => BEGINS[bytes.charCodeAt(0)] === 1)
      .map(({ bytes, end }) => ({ code: bytes.charCodeAt(0), end }));
    for (const { code: first, end } of [{ code, end: at + 1 }, ...begun]) {
      const rest = new Source(this, this.#text, { at: end, nesting: nesting - 1 });
      const spelled = readSpelling(rest, first);
      if (!spelled || found.some((known) => isSame(known, spelled))) continue;
      found.push(...meaningsOf(this.#text, spelled));
    }
    return found.length === 0 ? NONE : found;
  }
}

function isSame(one: Reading, other: Reading): boolean {
  return one.end === other.end && one.bytes === other.bytes;
}

/** In a form `+` is a space, and where lines are wrapped a break is nothing. */
function aloneAt(text: string, code: number, at: number): Reading[] {
  return code === PLUS ? [{ bytes: " ", end: at + 1 }] : skipping(text, at + 1);
}

/** What a text comes to, and where each character of it began. */
export interface Meant {
  readonly text: string;
  readonly starts: readonly number[];
}

/** A text without its line breaks, and one with all that is spelled read besides, where they differ. */
export function* meantBy(text: string): Generator<Meant> {
  if (/[\n\r]/.test(text)) {
    yield read(
      text,
      (at) => isBreak(text.charCodeAt(at)) ? { bytes: "", end: endOfSpace(text, at) } : undefined,
    );
  }
  if (!/[%&\\]/.test(text)) return;
  const speller = new Speller(text);
  yield read(text, (at) => {
    if (text.charCodeAt(at) === PLUS) return undefined;
    return speller.readingsAt(at).findLast(({ bytes }) => bytes.length < 2);
  });
}

function read(text: string, spelled: (at: number) => Reading | undefined): Meant {
  let meant = "";
  const starts: number[] = [];
  for (let at = 0; at < text.length;) {
    const { bytes, end } = (BEGINS[text.charCodeAt(at)] !== 0 && spelled(at)) ||
      { bytes: text.charAt(at), end: at + 1 };
    if (bytes !== "") {
      meant += bytes;
      starts.push(at);
    }
    at = end;
  }
  starts.push(text.length);
  return { text: meant, starts };
}

/** What a spelled character may mean: as above, where it is one of these. */
function meaningsOf(text: string, reading: Reading): Reading[] {
  if (!"\t\n\r +".includes(reading.bytes)) return [reading];
  const space = reading.bytes === "+" ? [{ bytes: " ", end: reading.end }] : [];
  return [reading, ...space, ...skipping(text, reading.end)];
}

/** Nothing is meant by a break, nor by the space after it, but that some of it may be the word's own. */
function skipping(text: string, at: number): Reading[] {
  const found: Reading[] = [{ bytes: "", end: at }];
  while (found.length < MOST_OWN_SPACE && (isSpace(text.charCodeAt(at)) || text[at] === "+")) {
    found.push({ bytes: "", end: ++at });
  }
  return found;
}

const MOST_OWN_SPACE = 8;

function endOfSpace(text: string, at: number): number {
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === TAB || code === NEWLINE || code === RETURN || code === SPACE;
}

function isBreak(code: number): boolean {
  return code === NEWLINE || code === RETURN;
}

function readSpelling(source: Source, code: number): Reading | undefined {
  switch (code) {
    case PERCENT:
      return source.takes("u") ? ofCodePoint(source.hex(4), source) : ofByte(source.hex(2), source);
    case BACKSLASH:
      return readBackslash(source);
    case AMPERSAND:
      return readReference(source);
  }
  return undefined;
}

/** Reads on in a text, each character as it stands or, below a nesting of 1, as it is spelled. */
class Source {
  at: number;
  /** Whether a spelling began anywhere in what was read. */
  metSpelling = false;
  readonly #speller: Speller;
  readonly #text: string;
  readonly #nesting: number;

  constructor(speller: Speller, text: string, { at, nesting }: { at: number; nesting: number }) {
    this.#speller = speller;
    this.#text = text;
    this.at = at;
    this.#nesting = nesting;
  }

  /** Empty at the end of the text. */
  next(): string {
    // Wherever lines are wrapped, that may be within a spelling.
    if (isBreak(this.#text.charCodeAt(this.at))) this.at = endOfSpace(this.#text, this.at);
    if (BEGINS[this.#text.charCodeAt(this.at)] === 1) {
      this.metSpelling = true;
      const spelled = this.#nesting > 0 ? this.#spelled() : undefined;
      if (spelled) {
        this.at = spelled.end;
        return spelled.bytes;
      }
    }
    return this.#text.charAt(this.at++);
  }

  #spelled(): Reading | undefined {
    return this.#speller.readingsAt(this.at, this.#nesting)
      .find(({ bytes }) => bytes.length === 1 && bytes !== " ");
  }

  /** Goes on only where this character follows. */
  takes(character: string): boolean {
    const from = this.at;
    if (this.next() === character) return true;
    this.at = from;
    return false;
  }

  /** As many hexadecimal digits, or `least` to `most`, as a number; undefined where they are not there. */
  hex(least: number, most = least): number | undefined {
    return this.number(16, least, most);
  }

  number(base: number, least: number, most: number): number | undefined {
    let value = 0;
    for (let count = 0; count < most; count++) {
      const from = this.at;
      const digit = digitOf(this.next());
      if (digit >= base) {
        this.at = from;
        return count < least ? undefined : value;
      }
      value = value * base + digit;
    }
    return value;
  }
}

function digitOf(character: string): number {
  const code = character.charCodeAt(0);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const small = code | 0x20;
  return small >= 0x61 && small <= 0x66 ? small - 0x57 : Infinity;
}

function ofByte(byte: number | undefined, { at }: Source): Reading | undefined {
  return byte === undefined ? undefined : { bytes: String.fromCharCode(byte & 0xff), end: at };
}

/** The UTF-8 of a code point. */
function ofCodePoint(point: number | undefined, { at }: Source): Reading | undefined {
  if (point === undefined || point > 0x10ffff) return undefined;
  if (point < 0x80) return { bytes: String.fromCharCode(point), end: at };
  const encoded = new TextEncoder().encode(String.fromCodePoint(point));
  return { bytes: String.fromCharCode(...encoded), end: at };
}

const NAMED_BY_LETTER: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["b", "\b"],
  ["f", "\f"],
  ["v", "\v"],
]);

function readBackslash(source: Source): Reading | undefined {
  const from = source.at;
  const kind = source.next();
  if (kind === "") return undefined;
  if (kind === "u") return readUnicode(source);
  if (kind === "U") return ofCodePoint(source.hex(8), source);
  if (kind === "x") return ofByte(source.hex(2), source);
  if (digitOf(kind) < 8) {
    source.at = from;
    return ofByte(source.number(8, 1, 3), source);
  }
  const bytes = NAMED_BY_LETTER.get(kind) ?? (/^[A-Za-z0-9]$/.test(kind) ? undefined : kind);
  return bytes === undefined ? undefined : { bytes, end: source.at };
}

/** `\u0041`, `\u{41}`, and two of the first for what is beyond them. */
function readUnicode(source: Source): Reading | undefined {
  if (source.takes("{")) {
    const point = source.hex(1, 6);
    return source.takes("}") ? ofCodePoint(point, source) : undefined;
  }
  const high = source.hex(4);
  if (high === undefined || high < 0xd800 || high > 0xdbff) return ofCodePoint(high, source);
  const low = source.takes("\\") && source.takes("u") ? source.hex(4) : undefined;
  if (low === undefined || low < 0xdc00 || low > 0xdfff) return undefined;
  return ofCodePoint(0x10000 + (high - 0xd800) * 0x400 + low - 0xdc00, source);
}

/** `&quot;`, `&#34;`, `&#x22;`; browsers ask for no semicolon. */
function readReference(source: Source): Reading | undefined {
  if (source.takes("#")) {
    const isHex = source.takes("x") || source.takes("X");
    const point = isHex ? source.hex(1, 8) : source.number(10, 1, 10);
    source.takes(";");
    return ofCodePoint(point, source);
  }
  let name = "";
  while (name.length < LONGEST_NAME) {
    const from = source.at;
    const letter = source.next();
    if (!isLetter(letter.charCodeAt(0))) {
      source.at = from;
      break;
    }
    name += letter;
  }
  const bytes = NAMED.get(name);
  if (bytes === undefined) return undefined;
  source.takes(";");
  return { bytes, end: source.at };
}

function isLetter(code: number): boolean {
  const small = code | 0x20;
  return small >= 0x61 && small <= 0x7a;
}

/** HTML's names of what ASCII has beside letters and digits. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ["Tab", "\t"],
  ["NewLine", "\n"],
  ...`excl ! quot " QUOT " num # dollar $ percnt % amp & AMP & apos ' lpar ( rpar ) ast *
    midast * plus + comma , period . sol / colon : semi ; lt < LT < equals = gt > GT > quest ?
    commat @ lsqb [ lbrack [ bsol \\ rsqb ] rbrack ] Hat ^ lowbar _ UnderBar _ grave \`
    DiacriticalGrave \` lcub { lbrace { verbar | vert | VerticalLine | rcub } rbrace }`
    .matchAll(/(\w+) (\S)/g).map(([, name, character]) => [name!, character!] as const),
]);
const LONGEST_NAME = 16;
