import { assertEquals } from "@std/assert";
import { compilePattern, patternsOverlap } from "../../src/domain/pattern.ts";
import { fc } from "../support/properties.ts";

const matches = (pattern: string, type: string) => compilePattern(pattern).matches(type);

/** What a pattern means, said with a regular expression. */
function asRegExp(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^]*");
  return new RegExp(`^${escaped}$`);
}

const pieces = fc.array(fc.constantFrom("a", "b", "ab", ".", "*", "**", "|"), { maxLength: 8 });
const patterns = pieces.map((parts) => parts.join(""));
const types = patterns.map((pattern) => pattern.replaceAll("*", ""));

Deno.test("pattern: * is any run of characters, all else is literal", () => {
  assertEquals(matches("*", ""), true);
  assertEquals(matches("booking.*", "booking."), true);
  assertEquals(matches("booking.*", "booking.created.late"), true);
  assertEquals(matches("booking.*", "bookingXcreated"), false);
  assertEquals(matches("*:created", "reservation:created"), true);
  assertEquals(matches("a*a", "a"), false);
  assertEquals(matches("a*b*c", "a-b-b-c"), true);
  assertEquals(matches("a*b*c", "acb"), false);
  assertEquals(matches("[a-z]+", "abc"), false);
  assertEquals(matches("Booking.*", "booking.created"), false);
});

Deno.test("pattern: agrees with the regular expression it stands for", () => {
  fc.assert(
    fc.property(patterns, types, (pattern, type) => {
      assertEquals(matches(pattern, type), asRegExp(pattern).test(type));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("pattern: a hostile one costs no more than its length times the type's", () => {
  assertEquals(matches("*a".repeat(5_000), "a".repeat(4_999) + "b"), false);
});

Deno.test("patternsOverlap(): holds whenever one text fits both, and only then", () => {
  fc.assert(
    fc.property(patterns, patterns, types, (a, b, type) => {
      if (matches(a, type) && matches(b, type)) assertEquals(patternsOverlap(a, b), true);
      assertEquals(patternsOverlap(a, b), patternsOverlap(b, a));
    }),
    { numRuns: 2_000 },
  );
  for (
    const [a, b, overlap] of [
      ["reservation:*", "*:*", true],
      ["reservation.*", "*:*", true],
      ["reservation.created", "*:*", false],
      ["x*", "*y", true],
      ["xa", "*y", false],
      ["", "*", true],
    ] as const
  ) assertEquals(patternsOverlap(a, b), overlap, `${a} ${b}`);
});
