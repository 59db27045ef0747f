import { assertEquals, assertThrows } from "@std/assert";
import { createHmac } from "node:crypto";
import { hmac } from "../../src/profiles/hmac.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";

Deno.test("hmac(): equals the runtime's HMAC for every hash, key length and split of the text", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(fc.property(
    fc.constantFrom("sha1", "sha256", "sha384", "sha512"),
    bytes,
    fc.array(fc.oneof(anyText(), bytes), { maxLength: 4 }),
    fc.constantFrom("hex" as const, "base64" as const),
    (algorithm, key, signed, encoding) => {
      const runtimes = createHmac(algorithm, key);
      for (const piece of signed) runtimes.update(piece);
      const expected = runtimes.digest(encoding);
      assertEquals(hmac(algorithm, key, signed, encoding), expected);
      // With the cached padded key.
      assertEquals(hmac(algorithm, key, signed, encoding), expected);
    },
  ));
});

Deno.test("hmac(): one key serves several hashes", () => {
  const key = new Uint8Array(32).fill(7);
  for (const algorithm of ["sha256", "sha512", "sha1", "sha256"]) {
    const expected = createHmac(algorithm, key).update("text").digest("hex");
    assertEquals(hmac(algorithm, key, ["text"], "hex"), expected);
  }
});

Deno.test("hmac(): throws for a hash with an unknown block size", () => {
  assertThrows(() => hmac("md5", new Uint8Array(1), [], "hex"), Error, "block size");
});
