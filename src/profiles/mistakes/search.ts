import { Buffer } from "node:buffer";
import { verify } from "node:crypto";
import type { BodyCandidate } from "./body.ts";
import type { Digest } from "./digest.ts";
import type { Key } from "./key.ts";
import { type Candidate, MAX_MISTAKES, type Mistake, type Pieces } from "./mistake.ts";
import type { Wrap } from "./text.ts";

/** The possible inputs of a signature; each list starts with the correct one. */
export interface Candidates {
  readonly keys: readonly Candidate<Key>[];
  readonly bodies: readonly BodyCandidate[];
  readonly texts: readonly Candidate<Wrap>[];
  readonly digests: readonly Candidate<Digest>[];
  /** The possible signatures in the header. */
  readonly readings: readonly Candidate<Uint8Array>[];
}

/** The result of a search. */
export interface SearchResult {
  /** The fewest mistakes that give the signature; empty if it is correct, undefined if none do. */
  readonly mistakes?: readonly Mistake[];
  /** Codes of the mistakes that were tried. */
  readonly tried: readonly string[];
  /** False if the body was too large to try everything. */
  readonly complete: boolean;
}

/**
 * Tries combinations of candidates until one reproduces the signature: those with the fewest mistakes
 * first, and among these the cheapest first.
 */
export function search(candidates: Candidates, most: number = MAX_MISTAKES): SearchResult {
  const tried = new Set<string>();
  const budget: Budget = { left: MAX_WORK_SINGLE };
  for (let count = 0; count <= most; count++) {
    if (count > 1) budget.left = Math.min(budget.left, MAX_WORK_COMBINED);
    for (const combination of combinations(candidates, count)) {
      const reading = reproduced(combination, { candidates, most, budget });
      for (const { code } of mistakesOf(combination)) tried.add(code);
      if (reading) {
        const mistakes = [...mistakesOf(combination), ...reading.mistakes];
        return { mistakes, tried: [...tried], complete: true };
      }
      // Correct signatures are always tried, however large the body.
      if (budget.left < 0 && count > 0) return { tried: [...tried], complete: false };
    }
  }
  return { tried: [...tried], complete: true };
}

/**
 * Limits in bytes hashed; serialised bytes cost more. Unlike a time limit, this gives the same result
 * every time. All single mistakes are tried for bodies up to about 300 KiB, in 0.1 s. Combinations of
 * mistakes are tried as far as the rest of the limit allows.
 */
const MAX_WORK_SINGLE = 192 * 1024 * 1024;
const MAX_WORK_COMBINED = 48 * 1024 * 1024;
const SERIALISING_COST = 12;
/** The fixed cost of one digest. */
const DIGEST_COST = 4 * 1024;

interface Combination {
  readonly body: BodyCandidate;
  readonly text: Candidate<Wrap>;
  readonly key: Candidate<Key>;
  readonly digest: Candidate<Digest>;
}

function* combinations(
  { keys, bodies, texts, digests }: Candidates,
  count: number,
): Generator<Combination> {
  for (const body of bodies) {
    const afterBody = count - body.mistakes.length;
    if (afterBody < 0) continue;
    for (const text of texts) {
      const afterText = afterBody - text.mistakes.length;
      if (afterText < 0) continue;
      for (const key of keys) {
        const afterKey = afterText - key.mistakes.length;
        if (afterKey < 0) continue;
        for (const digest of digests) {
          if (digest.mistakes.length !== afterKey) continue;
          if (key.mistakes.length > 0 && !digest.value.keyed) continue;
          yield { body, text, key, digest };
        }
      }
    }
  }
}

function mistakesOf({ body, text, key, digest }: Combination): readonly Mistake[] {
  return [body, text, key, digest].flatMap(({ mistakes }) => mistakes);
}

interface SearchState {
  readonly candidates: Candidates;
  readonly most: number;
  readonly budget: Budget;
}

/** The signature in the header that a combination reproduces with at most `most` mistakes. */
function reproduced(
  combination: Combination,
  state: SearchState,
): Candidate<Uint8Array> | undefined {
  const { candidates: { readings }, most, budget } = state;
  const { key: { value: key }, digest: { value: digest } } = combination;
  const length = key.kind === "hmac" ? digest.length : ED25519_LENGTH;
  const spare = most - mistakesOf(combination).length;
  const fitting = readings.filter(({ mistakes, value }) =>
    mistakes.length <= spare && value.length === length
  );
  if (fitting.length === 0) return undefined;
  const signed = signedBy(combination, budget);
  if (signed === undefined) return undefined;
  if (key.kind === "hmac") {
    const signature = Buffer.from(digest.compute(key.bytes, signed));
    return fitting.find(({ value }) => signature.equals(value));
  }
  if (combination.digest.mistakes.length > 0) return undefined;
  const bytes = Buffer.concat(signed.map((piece) => Buffer.from(piece)));
  return fitting.find(({ value }) => verify(null, bytes, key.publicKey, value));
}

const ED25519_LENGTH = 64;

/** The signed text of a combination. Its cost is subtracted from the budget. */
function signedBy({ body, text }: Combination, budget: Budget): Pieces | undefined {
  if (budget.last?.body !== body || budget.last.text !== text) {
    const isNew = !computed.has(body);
    const bytes = body.value();
    if (bytes === undefined) return undefined;
    computed.add(body);
    const signed = text.value(bytes);
    const size = signed?.reduce((sum, piece) => sum + piece.length, DIGEST_COST) ?? 0;
    // Only a piece longer than the body was serialised; the body itself is not copied.
    const isSerialised = signed?.some((piece) =>
      typeof piece === "string" && piece.length > bytes.length
    );
    budget.left -= (isNew ? SERIALISING_COST * bytes.length : 0) +
      (isSerialised ? SERIALISING_COST * bytes.length : 0);
    budget.last = { body, text, signed, size };
  }
  budget.left -= budget.last.size;
  return budget.last.signed;
}

interface Budget {
  left: number;
  /** The last signed text, for the next combination: consecutive ones often share it. */
  last?: {
    readonly body: BodyCandidate;
    readonly text: Candidate<Wrap>;
    readonly signed: Pieces | undefined;
    readonly size: number;
  };
}

/** Bodies whose bytes are already computed and cached. */
const computed = new WeakSet<BodyCandidate>();
