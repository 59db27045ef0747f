import { monotonicFactory } from "ulid";
import type { Instant } from "../domain/instant.ts";

/** The only source of chance. Tests seed one of their own. */
export interface Random {
  bytes(length: number): Uint8Array;
  /** A ULID for that instant; later ones of the same millisecond sort after earlier ones. */
  ulid(at: Instant): string;
}

export function systemRandom(): Random {
  const bytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const next = monotonicFactory(fractions());
  return { bytes, ulid: (at) => next(at) };
}

/**
 * Random numbers in [0, 1), drawn by the block, for a draw costs a call into the runtime. Their 32 bits
 * are more than the 5 that a character of an id shows.
 */
function fractions(): () => number {
  const block = new Uint32Array(256);
  let left = 0;
  return () => {
    if (left === 0) {
      crypto.getRandomValues(block);
      left = block.length;
    }
    return block[--left]! / 2 ** 32;
  };
}
