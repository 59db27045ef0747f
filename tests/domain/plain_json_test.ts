import { assert, assertEquals } from "@std/assert";
import { MAX_DEPTH, membersOf } from "../../src/domain/json_text.ts";
import { plainMembersOf } from "../../src/domain/plain_json.ts";
import { fc } from "../support/properties.ts";

const objects = fc.dictionary(fc.string(), fc.jsonValue());

Deno.test("plainMembersOf(): what JSON.stringify writes without an escape, cut as membersOf() does", () => {
  fc.assert(
    fc.property(objects, (object) => {
      const text = JSON.stringify(object);
      assertEquals(plainMembersOf(text), text.includes("\\") ? undefined : membersOf(text));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("plainMembersOf(): takes no text that JSON.parse refuses, and cuts none otherwise", () => {
  let taken = 0, refused = 0;
  const slips = fc.array(
    fc.record({
      // Of the whole text.
      place: fc.double({ min: 0, max: 1, noNaN: true }),
      removed: fc.nat(2),
      put: fc.array(fc.constantFrom(...'{}[],:"-+.eE01tfn \\\t', "true", "null", "-0"), {
        maxLength: 2,
      }),
    }),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(objects, slips, (object, slips) => {
      let text = JSON.stringify(object);
      for (const { place, removed, put } of slips) {
        const at = Math.floor(place * text.length);
        text = text.slice(0, at) + put.join("") + text.slice(at + removed);
      }
      const members = plainMembersOf(text);
      if (members === undefined) return void refused++;
      taken++;
      JSON.parse(text);
      assertEquals<unknown>(members, membersOf(text));
    }),
    { numRuns: 10_000 },
  );
  assert(taken > 50 && refused > 50, `${taken} taken, ${refused} refused`);
});

Deno.test("plainMembersOf(): numbers as RFC 8259 has them", () => {
  for (const number of ["0", "-0", "10", "1.50", "-0.0", "1e3", "1E+3", "0e-10", "9".repeat(400)]) {
    assertEquals(plainMembersOf(`{"a":${number}}`), [["a", number]]);
  }
  for (const none of ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "NaN", "1a", "--1"]) {
    assertEquals(plainMembersOf(`{"a":${none}}`), undefined);
  }
});

Deno.test("plainMembersOf(): leaves to others what is spaced, escaped, cut off or nests too deep", () => {
  for (const other of ['{"a": 1}', ' {"a":1}', '{"a":1}\n', '{"a":"\\n"}', "[]", '"a"', "", "{"]) {
    assertEquals(plainMembersOf(other), undefined);
  }
  const whole = '{"a":{"b":[true,false,null,"x"]},"c":-1.5e3}';
  for (let length = 0; length < whole.length; length++) {
    assertEquals(plainMembersOf(whole.slice(0, length)), undefined);
    assertEquals(plainMembersOf(whole + whole.slice(0, length + 1)), undefined);
  }
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assertEquals(plainMembersOf(`{"a":${nested(MAX_DEPTH - 1)}}`), [["a", nested(MAX_DEPTH - 1)]]);
  assertEquals(plainMembersOf(`{"a":${nested(MAX_DEPTH)}}`), undefined);
});
