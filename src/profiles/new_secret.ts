import { Buffer } from "node:buffer";
import type { Profile } from "../domain/profile.ts";
import type { Random } from "../runtime/random.ts";
import { ed25519Pair } from "./signing_key.ts";

/**
 * Creates a random secret in the profile's form. With `ed25519`, creates a key pair instead; its
 * public key is for the receiver. Throws an Error if the profile can't sign with a key pair.
 */
export function newSecret(
  profile: Profile,
  random: Random,
  { ed25519 = false }: { ed25519?: boolean } = {},
): { secret: string; publicKey?: string } {
  const bytes = random.bytes(32);
  if (ed25519) {
    if (profile.secretForm === "text" || profile.signature) {
      throw new Error(
        `cannot make an Ed25519 key for profile "${profile.name}": its receivers know HMAC only; ` +
          "ask for a secret without --ed25519",
      );
    }
    return ed25519Pair(bytes);
  }
  return profile.secretForm === "text"
    ? { secret: Buffer.from(bytes).toString("base64url") }
    : { secret: `whsec_${Buffer.from(bytes).toString("base64")}` };
}
