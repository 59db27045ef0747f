/** A common mistake in making a signature, and how to fix it. */
export interface Mistake {
  /** A stable code for scripts, such as `strict-base64`. */
  readonly code: string;
  /** What was done, as a clause: `the body was pretty-printed before it was signed`. */
  readonly was: string;
  /** What to do instead, as an imperative: `sign exactly the bytes that are sent`. */
  readonly fix: string;
}

/** A value that results from these mistakes; the correct one has none. */
export interface Candidate<Value> {
  readonly mistakes: readonly Mistake[];
  readonly value: Value;
}

/** How many simultaneous mistakes are searched for. */
export const MAX_MISTAKES = 2;

/** The correct value. */
export function right<Value>(value: Value): Candidate<Value> {
  return { mistakes: [], value };
}

/** The value that results from one mistake. */
export function mistaken<Value>(mistake: Mistake, value: Value): Candidate<Value> {
  return { mistakes: [mistake], value };
}

/** What is signed or hashed, in pieces. Strings stand for their UTF-8 bytes. */
export type Pieces = readonly (string | Uint8Array)[];
