import { Buffer } from "node:buffer";
import { verify } from "node:crypto";
import type { BodyCandidate } from "./body.ts";
import type { Digest } from "./digest.ts";
import type { Key } from "./key.ts";
import { type Candidate, type Mistake, MOST_MISTAKES, type Pieces } from "./mistake.ts";
import type { Wrap } from "./text.ts";

/** What a signature may come from, the right candidate first in each list. */
export interface Candidates {
  readonly keys: readonly Candidate<Key>[];
  readonly bodies: readonly BodyCandidate[];
  readonly texts: readonly Candidate<Wrap>[];
  readonly digests: readonly Candidate<Digest>[];
  /** What the header may be read to hold. */
  readonly readings: readonly Candidate<Uint8Array>[];
}

/** What came of a search: the fewest mistakes that give the signature, none where it is right. */
export interface SearchResult {
  readonly mistakes?: readonly Mistake[];
  /** Words of the mistakes that were tried. */
  readonly tried: readonly string[];
  /** False where the body was too large to try all. */
  readonly complete: boolean;
}

/**
 * Tries the candidates, fewest mistakes first and among equals the cheap ones first, until one
 * combination reproduces the signature.
 */
export function search(candidates: Candidates, most: number = MOST_MISTAKES): SearchResult {
  const tried = new Set<string>();
  const budget: Budget = { left: MOST_WORK_ALONE };
  for (let count = 0; count <= most; count++) {
    if (count > 1) budget.left = Math.min(budget.left, MOST_WORK_TOGETHER);
    for (const combination of combinations(candidates, count)) {
      const reading = reproduced(combination, { candidates, most, budget });
      for (const { word } of mistakesOf(combination)) tried.add(word);
      if (reading) {
        const mistakes = [...mistakesOf(combination), ...reading.mistakes];
        return { mistakes, tried: [...tried], complete: true };
      }
      // What is right is always tried, however large.
      if (budget.left < 0 && count > 0) return { tried: [...tried], complete: false };
    }
  }
  return { tried: [...tried], complete: true };
}

/**
 * Work in bytes hashed, with bytes written anew counted dearer. A bound in bytes, unlike one in time,
 * gives the same answer every time. One mistake at a time is looked for in full up to some 300 KiB,
 * in a tenth of a second; of several, what the rest allows.
 */
const MOST_WORK_ALONE = 192 * 1024 * 1024;
const MOST_WORK_TOGETHER = 48 * 1024 * 1024;
const COST_OF_WRITING = 12;
/** What a digest costs beside its bytes. */
const COST_OF_DIGEST = 4 * 1024;

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

interface World {
  readonly candidates: Candidates;
  readonly most: number;
  readonly budget: Budget;
}

/** The reading of the header that a combination gives, with no more mistakes than are allowed. */
function reproduced(combination: Combination, world: World): Candidate<Uint8Array> | undefined {
  const { candidates: { readings }, most, budget } = world;
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
    const computed = Buffer.from(digest.compute(key.bytes, signed));
    return fitting.find(({ value }) => computed.equals(value));
  }
  if (combination.digest.mistakes.length > 0) return undefined;
  const bytes = Buffer.concat(signed.map((piece) => Buffer.from(piece)));
  return fitting.find(({ value }) => verify(null, bytes, key.publicKey, value));
}

const ED25519_LENGTH = 64;

/** What a combination says was signed; what it costs to make comes off the budget. */
function signedBy({ body, text }: Combination, budget: Budget): Pieces | undefined {
  if (budget.last?.body !== body || budget.last.text !== text) {
    const fresh = !made.has(body);
    const bytes = body.value();
    if (bytes === undefined) return undefined;
    made.add(body);
    const signed = text.value(bytes);
    const size = signed?.reduce((sum, piece) => sum + piece.length, COST_OF_DIGEST) ?? 0;
    // A text of the body's own bytes costs nothing to put together.
    const written = signed?.some((piece) =>
      typeof piece === "string" && piece.length > bytes.length
    );
    budget.left -= (fresh ? COST_OF_WRITING * bytes.length : 0) +
      (written ? COST_OF_WRITING * bytes.length : 0);
    budget.last = { body, text, signed, size };
  }
  budget.left -= budget.last.size;
  return budget.last.signed;
}

interface Budget {
  left: number;
  /** The text last made: combinations that share it follow one another. */
  last?: {
    readonly body: BodyCandidate;
    readonly text: Candidate<Wrap>;
    readonly signed: Pieces | undefined;
    readonly size: number;
  };
}

/** Bodies that were written already; they are kept with their bytes. */
const made = new WeakSet<BodyCandidate>();
