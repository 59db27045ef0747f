import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import type { Profile } from "../domain/profile.ts";
import type { Secret } from "../domain/secret.ts";

/** A key to sign with: bytes for an HMAC, or an Ed25519 private key. */
export type SigningKey =
  | { readonly kind: "hmac"; readonly bytes: Uint8Array }
  | { readonly kind: "ed25519"; readonly privateKey: KeyObject };

/**
 * The key for a secret. Free text is used as UTF-8 bytes; the Standard Webhooks forms are decoded.
 * Throws if the secret isn't in the form; the config is checked for that beforehand.
 */
export function signingKey(secret: Secret, form: Profile["secretForm"]): SigningKey {
  const text = secret.reveal();
  const standard = form === "text" ? undefined : standardKey(text);
  if (standard) return standard;
  if (form === "standard") {
    throw new Error("cannot sign: the secret is not a whsec_ or whsk_ secret");
  }
  return { kind: "hmac", bytes: Buffer.from(text, "utf8") };
}

/** The Ed25519 key pair for a seed of 32 bytes, in the Standard Webhooks format. */
export function ed25519Pair(seed: Uint8Array): { secret: string; publicKey: string } {
  const publicBytes = publicBytesOf(privateKeyOf(seed));
  return {
    // Seed followed by public key, as in the reference implementations.
    secret: `whsk_${Buffer.concat([seed, publicBytes]).toString("base64")}`,
    publicKey: `whpk_${publicBytes.toString("base64")}`,
  };
}

/** Undefined if the text isn't a Standard Webhooks secret. */
function standardKey(text: string): SigningKey | undefined {
  const bytes = base64Bytes(text.slice(text.indexOf("_") + 1));
  if (!bytes) return undefined;
  if (text.startsWith("whsec_")) {
    return bytes.length >= 24 && bytes.length <= 64 ? { kind: "hmac", bytes } : undefined;
  }
  if (!text.startsWith("whsk_") || (bytes.length !== 32 && bytes.length !== 64)) return undefined;
  // 64 bytes are the seed followed by the public key.
  return { kind: "ed25519", privateKey: privateKeyOf(bytes.subarray(0, 32)) };
}

function base64Bytes(text: string): Buffer | undefined {
  const digits = /^([A-Za-z0-9+/]*)={0,2}$/.exec(text)?.[1];
  return digits === undefined || digits.length % 4 === 1 ? undefined : Buffer.from(text, "base64");
}

/** The bytes before the seed in the DER encoding of PKCS #8 (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

function privateKeyOf(seed: Uint8Array): KeyObject {
  const key = Buffer.concat([PKCS8_PREFIX, seed]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function publicBytesOf(privateKey: KeyObject): Buffer {
  return Buffer.from(createPublicKey(privateKey).export({ format: "der", type: "spki" }))
    .subarray(-32);
}
