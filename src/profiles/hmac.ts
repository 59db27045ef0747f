import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** What is signed, in pieces: texts by their UTF-8, bytes as they are. */
export type Signed = readonly (string | Uint8Array)[];

/**
 * An HMAC (RFC 2104) made of its two hashes: the runtime's `createHmac` takes twice as long, for it
 * makes a stream of every one and pads the key anew.
 */
export function hmac(
  algorithm: string,
  key: Uint8Array,
  signed: Signed,
  encoding: "hex" | "base64",
): string {
  const { inner, outer } = paddedFor(algorithm, key);
  const hash = createHash(algorithm).update(inner);
  for (const piece of signed) hash.update(piece);
  return createHash(algorithm).update(outer).update(hash.digest()).digest(encoding);
}

/** A key as both hashes begin with it: filled up to a block, and XORed with a byte each. */
interface Padded {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
}

const padded = new WeakMap<Uint8Array, Map<string, Padded>>();

function paddedFor(algorithm: string, key: Uint8Array): Padded {
  let byAlgorithm = padded.get(key);
  if (!byAlgorithm) padded.set(key, byAlgorithm = new Map());
  let pads = byAlgorithm.get(algorithm);
  if (!pads) byAlgorithm.set(algorithm, pads = pad(algorithm, key));
  return pads;
}

function pad(algorithm: string, key: Uint8Array): Padded {
  const blockBytes = BLOCK_BYTES[algorithm];
  if (blockBytes === undefined) {
    throw new Error(`cannot sign: no block size known of "${algorithm}"`);
  }
  const short = key.length > blockBytes ? createHash(algorithm).update(key).digest() : key;
  const block = Buffer.alloc(blockBytes);
  block.set(short);
  return { inner: block.map((byte) => byte ^ 0x36), outer: block.map((byte) => byte ^ 0x5c) };
}

/** What the hashes take at a time (FIPS 180-4). */
const BLOCK_BYTES: Readonly<Record<string, number>> = {
  sha1: 64,
  sha256: 64,
  sha384: 128,
  sha512: 128,
};
