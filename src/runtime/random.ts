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
  // A 32-bit fraction a character is more than the 5 bits that a character shows.
  const next = monotonicFactory(() => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32);
  return { bytes, ulid: (at) => next(at) };
}
