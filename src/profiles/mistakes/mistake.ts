/** Something that goes wrong between two sides of a signature, and how to fix it. */
export interface Mistake {
  /** Short and stable, for scripts: `strict-base64`. */
  readonly word: string;
  /** What was done, as a clause: `the body was pretty-printed before it was signed`. */
  readonly was: string;
  /** What to do instead, as an order: `sign the very bytes that are sent`. */
  readonly fix: string;
}

/** A value that one or more mistakes lead to; the right one has none. */
export interface Candidate<Value> {
  readonly mistakes: readonly Mistake[];
  readonly value: Value;
}

/** How many mistakes at once are looked for. */
export const MOST_MISTAKES = 2;

/** What is right. */
export function right<Value>(value: Value): Candidate<Value> {
  return { mistakes: [], value };
}

/** What one mistake leads to. */
export function mistaken<Value>(mistake: Mistake, value: Value): Candidate<Value> {
  return { mistakes: [mistake], value };
}

/** What is signed or hashed, in pieces: texts by their UTF-8. */
export type Pieces = readonly (string | Uint8Array)[];
