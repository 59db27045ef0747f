import type { Instant } from "../domain/instant.ts";

/** Where a row stands in the order of all: by creation, then by number. */
export interface Position {
  readonly createdAt: Instant;
  readonly seq: number;
}

/**
 * The public id of a delivery: `dlv_` and 26 characters in a ULID's alphabet, ten of them the
 * millisecond of its creation and sixteen its number. It sorts by age and needs no index.
 */
export function deliveryId(position: Position): string {
  return DELIVERY + encodePosition(position);
}

/** What an id says; undefined where the text is none. Its row must have been created just then. */
export function parseDeliveryId(id: string): Position | undefined {
  return parseId(id, DELIVERY);
}

/** The public id of a replay: `rpl_` and 26 characters, made like a delivery's. */
export function replayId(position: Position): string {
  return REPLAY + encodePosition(position);
}

/** What an id says; undefined where the text is none. Its row must have been created just then. */
export function parseReplayId(id: string): Position | undefined {
  return parseId(id, REPLAY);
}

function parseId(id: string, prefix: string): Position | undefined {
  return id.startsWith(prefix) ? decodePosition(id.slice(prefix.length)) : undefined;
}

/** 26 characters that sort as positions do. */
export function encodePosition({ createdAt, seq }: Position): string {
  const thirtyTwo = Math.floor(seq / 32);
  if (createdAt !== last.createdAt || thirtyTwo !== last.thirtyTwo) {
    last = { createdAt, thirtyTwo, head: base32(createdAt, 10) + base32(thirtyTwo, 15) };
  }
  return last.head + ALPHABET[seq % 32];
}

/** All but the last character, which numbers that follow each other share: spelling it took 1 µs. */
let last = { createdAt: NaN, thirtyTwo: NaN, head: "" };

/** The position that encodePosition wrote so; undefined where it wrote no such text. */
export function decodePosition(text: string): Position | undefined {
  if (text.length !== 26) return undefined;
  const createdAt = unbase32(text.slice(0, 10)), seq = unbase32(text.slice(10));
  return Number.isSafeInteger(createdAt) && Number.isSafeInteger(seq)
    ? { createdAt, seq }
    : undefined;
}

const DELIVERY = "dlv_", REPLAY = "rpl_";
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's: no I, L, O, U

function base32(value: number, length: number): string {
  let text = "";
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) text = ALPHABET[rest % 32] + text;
  return text.padStart(length, "0");
}

/** NaN where a character is not of the alphabet. */
function unbase32(text: string): number {
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    value = value * 32 + (DIGITS[text.charCodeAt(i)] ?? NaN);
  }
  return value;
}

/** The digit that each character stands for, by its code; NaN for the others. */
const DIGITS: readonly number[] = Array.from({ length: 128 }, (_, code) => {
  const digit = ALPHABET.indexOf(String.fromCharCode(code));
  return digit < 0 ? NaN : digit;
});
