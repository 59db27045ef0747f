import { assertEquals } from "@std/assert";
import { BodyEncoder } from "../../src/dispatch/body_encoder.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";

Deno.test("body encoder: each body is its text's UTF-8, and stays so while others follow", () => {
  const piece = fc.oneof(anyText(), fc.constant("\ud800"));
  const text = fc.tuple(piece, fc.integer({ min: 0, max: 6_000 }))
    .map(([repeated, length]) => repeated.repeat(length / (repeated.length || 1)));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 12 }), (texts) => {
      const encoder = new BodyEncoder(), plain = new TextEncoder();
      const bodies = texts.map((text) => encoder.encode(text));
      for (const [i, body] of bodies.entries()) assertEquals(body, plain.encode(texts[i]!));
    }),
    { numRuns: 50 },
  );
});
