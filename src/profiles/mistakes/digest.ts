import { createHash, createHmac } from "node:crypto";
import type { SignatureRule } from "../../domain/profile.ts";
import { type Candidate, type Mistake, mistaken, type Pieces, right } from "./mistake.ts";

/** One way to compute a digest of a text with a key. */
export interface Digest {
  /** In bytes. */
  readonly length: number;
  /** Whether it depends on the key. */
  readonly keyed: boolean;
  compute(key: Uint8Array, signed: Pieces): Uint8Array;
}

/** The possible ways to compute the digest, the correct one first. */
export function digestsOf(algorithm: SignatureRule["algorithm"]): Candidate<Digest>[] {
  const found: Candidate<Digest>[] = [right(hmac(algorithm))];
  const others = Object.keys(LENGTHS).filter((name) => name !== algorithm);
  for (const other of others) found.push(mistaken(wrong(other, algorithm), hmac(other)));
  for (const [mistake, make] of WITHOUT_HMAC) {
    found.push(mistaken(mistake, make(algorithm)));
  }
  for (const other of others) {
    for (const [mistake, make] of WITHOUT_HMAC) {
      found.push({ mistakes: [wrong(other, algorithm), mistake], value: make(other) });
    }
  }
  return found;
}

/** The length of each algorithm's digest, in bytes. */
const LENGTHS: { readonly [algorithm: string]: number } = {
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

/** All possible lengths of a digest, in bytes. */
export const DIGEST_LENGTHS: ReadonlySet<number> = new Set(Object.values(LENGTHS));

/** An algorithm's usual name: `SHA-256`. */
export function algorithmName(algorithm: string): string {
  return algorithm.toUpperCase().replace(/^SHA/, "SHA-");
}

function wrong(algorithm: string, expected: string): Mistake {
  return {
    code: "wrong-algorithm",
    was: `it was made with ${algorithmName(algorithm)}`,
    fix: `use ${algorithmName(expected)}`,
  };
}

const PLAIN_HASH: Mistake = {
  code: "plain-hash",
  was: "it is a plain hash of secret and text, not an HMAC",
  fix: "use the HMAC function, with the secret as its key",
};

const HASH_WITHOUT_SECRET: Mistake = {
  code: "hash-without-secret",
  was: "it is a plain hash of the text, without the secret",
  fix: "use the HMAC function, with the secret as its key",
};

const SWAPPED: Mistake = {
  code: "key-and-text-swapped",
  was: "the text was given as the key, and the secret as the text",
  fix: "swap the arguments: the secret is the key",
};

const WITHOUT_HMAC: readonly (readonly [Mistake, (algorithm: string) => Digest])[] = [
  [PLAIN_HASH, (algorithm) => hash(algorithm, (key, signed) => [key, ...signed])],
  [PLAIN_HASH, (algorithm) => hash(algorithm, (key, signed) => [...signed, key])],
  [HASH_WITHOUT_SECRET, (algorithm) => ({
    ...hash(algorithm, (_key, signed) => signed),
    keyed: false,
  })],
  [SWAPPED, (algorithm) => ({
    length: LENGTHS[algorithm]!,
    keyed: true,
    compute: (key, signed) =>
      createHmac(algorithm, Buffer.concat(signed.map((piece) => Buffer.from(piece))))
        .update(key).digest(),
  })],
];

function hmac(algorithm: string): Digest {
  return {
    length: LENGTHS[algorithm]!,
    keyed: true,
    compute(key, signed) {
      const hmac = createHmac(algorithm, key);
      for (const piece of signed) hmac.update(piece);
      return hmac.digest();
    },
  };
}

function hash(
  algorithm: string,
  pieces: (key: Uint8Array, signed: Pieces) => Pieces,
): Digest {
  return {
    length: LENGTHS[algorithm]!,
    keyed: true,
    compute(key, signed) {
      const hash = createHash(algorithm);
      for (const piece of pieces(key, signed)) hash.update(piece);
      return hash.digest();
    },
  };
}
