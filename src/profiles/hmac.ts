import { Buffer } from "node:buffer";
import { createHash, hash } from "node:crypto";

/** What is signed, in pieces. Strings stand for their UTF-8 bytes. */
export type Signed = readonly (string | Uint8Array)[];

/**
 * An HMAC (RFC 2104), computed from its two hashes. The runtime's `createHmac` takes five times as
 * long: it creates a stream and pads the key each time. Digests pass through hex, because creating a
 * Buffer takes longer than the hash.
 */
export function hmac(
  algorithm: string,
  key: Uint8Array,
  signed: Signed,
  encoding: "hex" | "base64",
): string {
  const { inner, outer, digest } = paddedFor(algorithm, key);
  const begun = createHash(algorithm).update(inner);
  for (const piece of signed) begun.update(piece);
  digest.setFromHex(begun.digest("hex"));
  const digits = hash(algorithm, outer, "hex");
  if (encoding === "hex") return digits;
  digest.setFromHex(digits);
  return digest.toBase64();
}

/** The key blocks that the two hashes start with: the key padded to a block, then XORed. */
interface Padded {
  readonly inner: Uint8Array;
  /** The outer key block, followed by space for the inner digest. */
  readonly outer: Uint8Array;
  readonly digest: Uint8Array;
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
    throw new Error(`cannot sign: the block size of "${algorithm}" is unknown`);
  }
  const short = key.length > blockBytes ? hash(algorithm, key, "buffer") : key;
  const block = Buffer.alloc(blockBytes);
  block.set(short);
  const outer = new Uint8Array(blockBytes + hash(algorithm, "", "hex").length / 2);
  outer.set(block.map((byte) => byte ^ 0x5c));
  return {
    inner: block.map((byte) => byte ^ 0x36),
    outer,
    digest: outer.subarray(blockBytes),
  };
}

/** The block size of each hash (FIPS 180-4). */
const BLOCK_BYTES: Readonly<Record<string, number>> = {
  sha1: 64,
  sha256: 64,
  sha384: 128,
  sha512: 128,
};
