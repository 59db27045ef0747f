import { decodePosition, type Position } from "../ids.ts";
import { spellingsOf } from "../spellings.ts";

/** A text that somebody looks for, as LIKE takes it. */
export function likePatterns(text: string): string[] {
  return spellingsOf(text).map((spelling) => `%${spelling.replace(/[\\%_]/g, "\\$&")}%`);
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
