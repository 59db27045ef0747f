import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { newSecret } from "../../src/profiles/new_secret.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import type { Random } from "../../src/runtime/random.ts";

const counting: Random = {
  bytes: (length) => Uint8Array.from({ length }, (_, index) => index),
  ulid: () => "0".repeat(26),
};

Deno.test("secret: a Standard Webhooks profile gets whsec_ and 32 bytes", () => {
  for (const name of ["standard", "booking-experts"]) {
    assertEquals(newSecret(BUILT_IN.get(name)!, counting), {
      secret: "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    });
  }
});

Deno.test("secret: a profile with free-text secrets gets 32 bytes that are safe in a URL and a shell", () => {
  const { secret } = newSecret(BUILT_IN.get("roostsync")!, counting);
  assertMatch(secret, /^[A-Za-z0-9_-]{43}$/);
});

Deno.test("secret: an Ed25519 secret is seed and public key; the receiver gets the public key", () => {
  const pair = newSecret(BUILT_IN.get("standard")!, counting, { ed25519: true });
  const bytes = Buffer.from(pair.secret.slice("whsk_".length), "base64");
  assertEquals(bytes.length, 64);
  // RFC 8032's algorithm for the seed 00 01 … 1f, from another implementation (OpenSSL).
  const publicHex = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
  assertEquals(bytes.subarray(32).toString("hex"), publicHex);
  assertEquals(pair.publicKey, `whpk_${Buffer.from(publicHex, "hex").toString("base64")}`);
});

Deno.test("secret: a profile whose receivers support only HMAC gets no key pair", () => {
  assertThrows(
    () => newSecret(BUILT_IN.get("roostsync")!, counting, { ed25519: true }),
    Error,
    'cannot make an Ed25519 key for profile "roostsync"',
  );
});
