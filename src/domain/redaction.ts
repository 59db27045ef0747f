import { Buffer } from "node:buffer";
import type { Headers, Outcome, Response } from "./attempt.ts";
import { beginsSpelling, HAS_SPELLING, LONGEST_SPELLING, meantBy, Speller } from "./escapes.ts";
import { latin1 } from "./latin1.ts";
import { Secret } from "./secret.ts";
import type { Subscription } from "./subscription.ts";

/** What stands in a secret's place. */
export const REDACTED = "[redacted]";

/** A part of a secret that has fewer characters is too common a word to look for by itself. */
const LEAST_PART = 4;
/** What is shorter in an address is no token. */
const LEAST_TOKEN = 8;
/** Fewer characters at the end of what was cut off say nothing of a secret. */
const LEAST_BEGUN = 4;
/** How often Base64 and hex are looked into: a secret may have been encoded twice. */
const MAX_UNPACKING = 2;

/** Where in a text a form is looked for, and whether the text may end within it. */
interface Place {
  readonly at: number;
  readonly isCut: boolean;
  readonly speller: Speller;
  readonly met: MetPlaces;
}

/** Where in a text a secret stands. */
type Range = readonly [from: number, to: number];

/**
 * Takes secrets out of what comes from outside, in whatever spelling: as they are, or the parts of
 * them that are secret by themselves, escaped as JSON, HTML, addresses and programs do it, in Base64
 * or hex, and one within the other.
 */
export class Redactor {
  /** The secrets and their parts, as bytes. */
  readonly #plain: readonly string[];
  /** These, and their Base64 and hex, by the character that they begin with. */
  readonly #byFirst: string[][] = [];
  readonly #shortest: number;
  /** How long Base64 of any of them is at the least; hex is longer. */
  readonly #leastPacked: number;
  readonly #known = new WeakMap<Headers, Headers>();

  constructor(secrets: readonly string[]) {
    const plain = new Set(secrets.flatMap(partsOf).flatMap(bytesOf));
    this.#plain = [...plain].sort((a, b) => b.length - a.length);
    for (const form of new Set([...plain].flatMap((bytes) => [bytes, ...packedForms(bytes)]))) {
      (this.#byFirst[form.charCodeAt(0)] ??= []).push(form);
    }
    this.#shortest = Math.min(...this.#plain.map(({ length }) => length));
    this.#leastPacked = Math.ceil(Math.max(LEAST_PART, this.#shortest) * 4 / 3);
  }

  /** What came of an attempt, without them. */
  outcome(outcome: Outcome): Outcome {
    if (this.#plain.length === 0) return outcome;
    if (outcome.kind === "answered") return this.#response(outcome);
    const message = this.text(outcome.error.message);
    const response = outcome.response && this.#response(outcome.response);
    if (message === outcome.error.message && response === outcome.response) return outcome;
    return { ...outcome, error: { ...outcome.error, message }, ...(response && { response }) };
  }

  #response<Kept extends Response>(response: Kept): Kept {
    const headers = this.headers(response.headers);
    const body = this.bytes(response.body, { isCut: response.truncated });
    return headers === response.headers && body === response.body
      ? response
      : { ...response, headers, body };
  }

  /** A text without them; where it may end within one, `isCut`. */
  text(text: string, { isCut = false } = {}): string {
    // Each character is three bytes at the most.
    if (text.length * 3 < this.#shortest && !isCut) return text;
    // deno-lint-ignore no-control-regex
    if (/^[\x00-\xff]*$/.test(text)) return this.#without(text, isCut);
    const bytes = Buffer.from(text).toString("latin1");
    const rest = this.#without(bytes, isCut);
    return rest === bytes ? text : Buffer.from(rest, "latin1").toString();
  }

  /** A body without them; the rest stays as it is, byte for byte. */
  bytes(body: Uint8Array, { isCut = false } = {}): Uint8Array {
    if (body.length < this.#shortest && !isCut) return body;
    const text = latin1(body);
    const rest = this.#without(text, isCut);
    return rest === text ? body : new Uint8Array(Buffer.from(rest, "latin1"));
  }

  /** Headers without them, also where one was split over several lines. */
  headers(headers: Headers): Headers {
    // Most heads are known, and the same array each time.
    let clean = this.#known.get(headers);
    if (!clean) this.#known.set(headers, clean = this.#headers(headers));
    return clean;
  }

  #headers(headers: Headers): Headers {
    const ranges = this.#findSplit(headers.map(([, value]) => value).join(""));
    let from = 0;
    let isClean = true;
    const clean = headers.map(([name, value]) => {
      const own = ranges.map(([a, b]) => [a - from, b - from] as const)
        .filter(([a, b]) => a < value.length && b > 0);
      from += value.length;
      const header = [this.text(name), this.text(cutOut(value, own))] as const;
      if (header[0] !== name || header[1] !== value) isClean = false;
      return header;
    });
    return isClean ? headers : clean;
  }

  /** What is split over several lines, as it is, in any spelling, or in Base64 or hex. */
  #findSplit(values: string): Range[] {
    const found = this.#find(values, false, 0);
    for (const [from, to] of this.#runsIn(values, PACKED, false)) {
      const run = values.slice(from, to);
      const within: Range[] = [];
      for (const forms of this.#byFirst) {
        for (const form of forms ?? []) findPlain(run, form, within);
      }
      for (const [a, b] of within) found.push([from + a, from + b]);
    }
    return found;
  }

  #without(text: string, isCut: boolean): string {
    return cutOut(text, this.#find(text, isCut));
  }

  #find(text: string, isCut: boolean, unpacking = MAX_UNPACKING): Range[] {
    if (text.length < (isCut ? LEAST_BEGUN : this.#shortest)) return [];
    const found: Range[] = [];
    const hasSpelling = HAS_SPELLING.test(text);
    if (isCut || hasSpelling) this.#findSpelled(text, isCut, found);
    else for (const plain of this.#plain) findPlain(text, plain, found);
    if (unpacking === 0) return found;
    this.#findPacked(text, isCut, { found, unpacking });
    if (hasSpelling) this.#findWrapped(text, isCut, { found, unpacking });
    return found;
  }

  #findSpelled(text: string, isCut: boolean, found: Range[]): void {
    const speller = new Speller(text);
    const met = new MetPlaces(text);
    const space = this.#byFirst[SPACE];
    for (let at = 0, rowEnd = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (at >= rowEnd && SIGNS[code]) {
        rowEnd = endOfRow(text, at, SIGNS);
        // Nothing but its own signs can be meant, until something else comes near.
        if (rowEnd - at > LONGEST_SPELLING && !this.#mayBeginWithAny(text.slice(at, rowEnd))) {
          at = rowEnd - LONGEST_SPELLING;
        }
      }
      let end = this.#endOfAny(this.#byFirst[code], text, { at, isCut, speller, met });
      if (beginsSpelling(code) && (!BLANK[code] || space)) {
        for (const { bytes } of speller.readingsAt(at)) {
          const forms = bytes === "" ? undefined : this.#byFirst[bytes.charCodeAt(0)];
          end = Math.max(end, this.#endOfAny(forms, text, { at, isCut, speller, met }));
        }
      }
      if (end > at) found.push([at, end]);
    }
  }

  /** Whether any form begins with one of these signs, or with what it may mean. */
  #mayBeginWithAny(signs: string): boolean {
    const isThere = new Uint8Array(256);
    for (let at = 0; at < signs.length; at++) isThere[signs.charCodeAt(at)] = 1;
    if (isThere[PLUS]) isThere[SPACE] = 1;
    return this.#byFirst.some((_, code) => isThere[code]);
  }

  #endOfAny(
    forms: readonly string[] | undefined,
    text: string,
    place: Place,
  ): number {
    let longest = -1;
    for (const form of forms ?? []) {
      longest = Math.max(longest, endOf(form, text, place));
    }
    return longest;
  }

  /** Looks into what may be Base64 or hex, from each of the places where a byte may begin. */
  #findPacked(
    text: string,
    isCut: boolean,
    { found, unpacking }: { found: Range[]; unpacking: number },
  ): void {
    for (const [from, to] of this.#runsIn(text, PACKED, isCut)) {
      const isOpen = isCut && to === text.length;
      for (const { digits, digitsOfByte, shift } of unpackings(text.slice(from, to))) {
        const bytes = Buffer.from(digits, digitsOfByte === 2 ? "hex" : "base64").toString("latin1");
        for (const [a, b] of this.#find(bytes, isOpen, unpacking - 1)) {
          let end = Math.min(to, from + shift + Math.ceil(b * digitsOfByte));
          while (end >= to && text.charAt(end) === "=") end++;
          found.push([from + shift + Math.floor(a * digitsOfByte), end]);
        }
      }
    }
  }

  /** The same in what is Base64 in lines, or has its own characters spelled otherwise. */
  #findWrapped(
    text: string,
    isCut: boolean,
    { found, unpacking }: { found: Range[]; unpacking: number },
  ): void {
    for (const [from, to] of this.#runsIn(text, WRAPPED, isCut)) {
      // Where there are none, none can be meant.
      if (!HAS_PACKED.test(text.slice(from, to))) continue;
      for (const meant of meantBy(text.slice(from, to))) {
        const within: Range[] = [];
        const isOpen = isCut && to === text.length;
        this.#findPacked(meant.text, isOpen, { found: within, unpacking });
        for (const [a, b] of within) found.push([from + meant.starts[a]!, from + meant.starts[b]!]);
      }
    }
  }

  /** Where characters of a kind stand in a row that is long enough. */
  *#runsIn(text: string, kind: Uint8Array, isCut: boolean): Generator<Range> {
    const least = this.#leastPacked;
    let open = 0;
    // Not character by character: none is that long in most texts.
    for (let at = least - 1; at < text.length;) {
      let from = at, to = at;
      while (from > open && kind[text.charCodeAt(from - 1)]) from--;
      while (to < text.length && kind[text.charCodeAt(to)]) to++;
      if (to - from >= least) yield [from, to];
      open = to;
      at = to + least;
    }
    if (!isCut) return;
    // The last may have been longer before it was cut off.
    let from = text.length;
    while (from > open && kind[text.charCodeAt(from - 1)]) from--;
    if (text.length - from >= LEAST_LAST && from >= open) yield [from, text.length];
  }
}

/** By their codes, the characters of a kind. */
function kindOf(characters: RegExp): Uint8Array {
  return Uint8Array.from(
    { length: 256 },
    (_, code) => characters.test(String.fromCharCode(code)) ? 1 : 0,
  );
}

/** Base64, in both alphabets, and hex. */
const PACKED = kindOf(/[A-Za-z0-9+/_-]/);
const HAS_PACKED = /[A-Za-z0-9+/_-]/;
/** The same with line breaks, and whatever else its characters may be spelled with. */
const WRAPPED = kindOf(/[A-Za-z0-9+/_\-%&\\#;{}\t\n\r ]/);
/** Without letters, digits and space no code and no name of a character can be spelled. */
const SIGNS = kindOf(/[^A-Za-z0-9\t\n\r ]/);
/** What means nothing, or a space. */
const BLANK = kindOf(/[+\t\n\r]/);
const PLUS = 0x2b, SPACE = 0x20;
/** Fewer digits are less than LEAST_BEGUN bytes. */
const LEAST_LAST = 6;

/** Takes out what a subscription's receiver may know: what signs, and what is sent along. */
export const redactorOf = remembered(({ secret, previousSecret, headers }) =>
  [secret, previousSecret?.secret, ...headers.map(([, value]) => value)]
    .filter((value) => value instanceof Secret).map((value) => value.reveal())
);

/** Takes out what in a subscription's address may be a token: notices are read by many. */
export const addressRedactorOf = remembered(({ url }) =>
  [...URL.parse(url)?.searchParams.values() ?? []].filter(({ length }) => length >= LEAST_TOKEN)
);

/** A redactor for each subscription, which costs a thousand times as much to make as to use. */
function remembered(
  secretsOf: (subscription: Subscription) => string[],
): (subscription: Subscription) => Redactor {
  const redactors = new WeakMap<Subscription, Redactor>();
  return (subscription) => {
    let redactor = redactors.get(subscription);
    if (!redactor) redactors.set(subscription, redactor = new Redactor(secretsOf(subscription)));
    return redactor;
  };
}

/** A secret, and what of it is one by itself: a token without its scheme, a password, a key's bytes. */
function partsOf(secret: string): string[] {
  const parts = secret === "" ? [] : [secret];
  const add = (part: string | undefined) => {
    if (part !== undefined && part.length >= LEAST_PART) parts.push(part);
  };
  const [, scheme, credentials] = /^([A-Za-z][\w.-]*) +(\S.*)$/.exec(secret) ?? [];
  add(credentials);
  if (scheme?.toLowerCase() === "basic") {
    const pair = base64Text(credentials!);
    add(pair);
    add(pair?.slice(pair.indexOf(":") + 1));
  }
  // As in `token="…"` and `session=…; other=…`.
  for (const [, value] of (credentials ?? secret).matchAll(/[\w.-]+="?([^\s",;]{8,})/g)) add(value);
  const key = /^wh(?:sec|sk)_(.+)$/s.exec(secret)?.[1];
  add(key);
  add(key && base64Text(key));
  return parts;
}

/** What Base64 stands for, as a text of bytes where it is no UTF-8. */
function base64Text(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return undefined;
  return Buffer.from(base64, "base64").toString("latin1");
}

/** A text's bytes on the wire, one character each: in UTF-8, and in Latin-1 where it fits. */
function bytesOf(text: string): string[] {
  const utf8 = Buffer.from(text).toString("latin1");
  // deno-lint-ignore no-control-regex
  return utf8 !== text && /^[\x00-\xff]*$/.test(text) ? [utf8, text] : [utf8];
}

/** Bytes in hex and in Base64, wherever in a larger text they begin, without what depends on that. */
function packedForms(bytes: string): string[] {
  const hex = Buffer.from(bytes, "latin1").toString("hex");
  const forms = [hex, hex.toUpperCase()];
  for (const shift of [0, 1, 2]) {
    const base64 = Buffer.from("\0".repeat(shift) + bytes, "latin1").toString("base64url");
    const isWhole = (bytes.length + shift) % 3 === 0;
    const own = base64.slice(shift && shift + 1, isWhole ? undefined : -1);
    forms.push(own, own.replaceAll("-", "+").replaceAll("_", "/"));
  }
  return forms.filter(({ length }) => length >= LEAST_PART);
}

/** What a run of digits may have been made of; a byte takes so many of them. */
function* unpackings(run: string) {
  for (const shift of [0, 1, 2, 3]) {
    yield { digits: run.slice(shift), digitsOfByte: 4 / 3, shift };
  }
  for (const { 0: hex, index } of run.matchAll(/[0-9A-Fa-f]{8,}/g)) {
    for (const odd of [0, 1]) {
      yield { digits: hex.slice(odd), digitsOfByte: 2, shift: index + odd };
    }
  }
}

function findPlain(text: string, plain: string, found: Range[]): void {
  for (let at = text.indexOf(plain); at >= 0; at = text.indexOf(plain, at + plain.length)) {
    found.push([at, at + plain.length]);
  }
}

function endOfRow(text: string, from: number, kind: Uint8Array): number {
  let to = from;
  while (to < text.length && kind[text.charCodeAt(to)]) to++;
  return to;
}

/**
 * From where it was looked already how a form goes on, from whatever beginning: that one reaches as
 * far. Without it a text of nothing but spelled line breaks is read again from each of them.
 */
class MetPlaces {
  readonly #length: number;
  readonly #byForm = new Map<string, Set<number>>();

  constructor({ length }: string) {
    this.#length = length;
  }

  /** Whether it is the first time that so much of a form was read, up to this place. */
  isNew(form: string, read: number, at: number): boolean {
    let met = this.#byForm.get(form);
    if (!met) this.#byForm.set(form, met = new Set());
    const { size } = met;
    return met.add(read * (this.#length + 1) + at).size > size;
  }
}

/** Where a form that begins at a place ends, each of its bytes in any spelling; -1 where none does. */
function endOf(
  form: string,
  text: string,
  { at: start, isCut, speller, met }: Place,
): number {
  const ahead: [read: number, at: number][] = [[0, start]];
  let longest = -1;
  for (let place = ahead.pop(); place; place = ahead.pop()) {
    let [read, at] = place;
    for (;;) {
      if (read === form.length || (isCut && at === text.length && read >= LEAST_BEGUN)) {
        longest = Math.max(longest, at);
        break;
      }
      if (at >= text.length) break;
      const code = text.charCodeAt(at);
      const isLiteral = code === form.charCodeAt(read);
      if (beginsSpelling(code)) {
        if (!met.isNew(form, read, at)) break;
        for (const { bytes, end } of speller.readingsAt(at)) {
          if (read + bytes.length > 0 && form.startsWith(bytes, read)) {
            ahead.push([read + bytes.length, end]);
          }
        }
        if (isCut && read >= LEAST_BEGUN && text.length - at < LONGEST_SPELLING) {
          if (isBegun(text.slice(at))) longest = text.length;
        }
      }
      if (!isLiteral) break;
      read++;
      at++;
    }
  }
  return longest;
}

/** Whether a text may be the beginning of one character's spelling. */
function isBegun(text: string): boolean {
  return /^[%&\\][\w#{&%\\;]*$/.test(text);
}

/** A text with what stands in these ranges replaced. */
function cutOut(text: string, ranges: readonly Range[]): string {
  if (ranges.length === 0) return text;
  let out = "";
  let kept = 0;
  let last = -Infinity;
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    // What overlaps is one secret in two forms.
    if (from >= last) out += text.slice(kept, Math.max(0, from)) + REDACTED;
    last = Math.max(last, to);
    kept = Math.max(kept, to);
  }
  return out + text.slice(kept);
}
