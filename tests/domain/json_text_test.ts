import { assertEquals, assertThrows } from "@std/assert";
import {
  canonicalScalar,
  compact,
  compareNumbers,
  elementsOf,
  JsonTextError,
  MAX_DEPTH,
  membersOf,
  plainScalar,
} from "../../src/domain/json_text.ts";
import { anyCharacter } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";

Deno.test("compact(): numbers keep their digits, keys their order, strings their value", () => {
  const text = ` { "z" : 9007199254740993 ,\n "10":1.10, "2": [1e3, -0.0 ,12345678901234567890],
    "s": "a\\u00e9\\/\\ud83d\\ude00 b\\"", "__proto__": {} } `;
  assertEquals(
    compact(text),
    `{"z":9007199254740993,"10":1.10,"2":[1e3,-0.0,12345678901234567890],` +
      `"s":"aé/😀 b\\"","__proto__":{}}`,
  );
});

Deno.test("compact(): equals JSON.stringify for whatever JSON.stringify can write", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: anyCharacter }), fc.nat(4), (value, indent) => {
      assertEquals(compact(JSON.stringify(value, null, indent)), JSON.stringify(value));
    }),
    { numRuns: 500 },
  );
});

Deno.test("compact(): a scalar alone is a text as well", () => {
  for (const text of ["0", ' "a" ', "null", " true", "-1.50"]) {
    assertEquals(compact(text), text.trim());
  }
});

Deno.test("compact(): what is no JSON, or nests too deep, is refused", () => {
  for (const text of ["", "{", '{"a":1,}', "01", "NaN", "'a'", "\u00a01", '"\t"']) {
    assertThrows(() => compact(text), JsonTextError);
  }
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assertEquals(compact(nested(MAX_DEPTH)), nested(MAX_DEPTH));
  assertThrows(() => compact(nested(MAX_DEPTH + 1)), JsonTextError, "nested deeper");
  assertThrows(() => compact(nested(100_000)), JsonTextError, "nested deeper");
  const inAnObject = (depth: number) => `{"a": ${nested(depth - 1)}}`;
  assertEquals(membersOf(inAnObject(MAX_DEPTH)), [["a", nested(MAX_DEPTH - 1)]]);
  assertThrows(() => membersOf(inAnObject(MAX_DEPTH + 1)), JsonTextError, "nested deeper");
  assertEquals(elementsOf(`[${inAnObject(MAX_DEPTH)}]`)!.length, 1);
  assertThrows(() => elementsOf(`[${inAnObject(MAX_DEPTH + 1)}]`), JsonTextError, "nested deeper");
});

Deno.test("membersOf() and elementsOf(): cut a text into the texts of its parts", () => {
  assertEquals(membersOf(' { "a" : [ 1 , {"b":2} ] , "a\\"" : "x, }" , "c":1.0}'), [
    ["a", '[1,{"b":2}]'],
    ['a"', '"x, }"'],
    ["c", "1.0"],
  ]);
  assertEquals(elementsOf(' [ 1 , "]" , [ ] , {} ] '), ["1", '"]"', "[]", "{}"]);
  assertEquals([membersOf("[]"), elementsOf("{}"), membersOf("{}"), elementsOf(" [ ] ")], [
    undefined,
    undefined,
    [],
    [],
  ]);
});

Deno.test("membersOf(): put together again, the parts are the compact whole", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
      const text = JSON.stringify(object, null, 2);
      const members = membersOf(text)!.map(([name, value]) => `${JSON.stringify(name)}:${value}`);
      assertEquals(`{${members.join(",")}}`, compact(text));
    }),
    { numRuns: 300 },
  );
});

Deno.test("canonicalScalar(): equal values have one spelling, different ones never", () => {
  for (const same of [["1", "1.0", "10e-1", "0.1e1", "1E0"], ["0", "-0", "0.000", "0e9"]]) {
    assertEquals(new Set(same.map(canonicalScalar)).size, 1);
  }
  for (
    const [a, b] of [["1", '"1"'], ["9007199254740993", "9007199254740992"], ["1e400", "1e401"]]
  ) {
    assertEquals(canonicalScalar(a!) === canonicalScalar(b!), false);
  }
  assertEquals(canonicalScalar('"\\u0061"'), '"a"');
});

Deno.test("compareNumbers(): orders as numbers are ordered, exactly", () => {
  const ordered = ["-1e3", "-2.5", "-2.49", "0", "1e-9", "0.5", "1", "9007199254740992"];
  ordered.push("9007199254740993", "1e400", "2e400");
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) {
      assertEquals(Math.sign(compareNumbers(a, b)), Math.sign(i - j), `${a} and ${b}`);
    }
  }
});

Deno.test("compareNumbers(): a zero is one, however it is spelled", () => {
  const zeros = ["0", "-0", "0.0", "0e5", "0.000e-7"];
  for (const a of zeros) for (const b of zeros) assertEquals(compareNumbers(a, b), 0, `${a} ${b}`);
});

Deno.test("compareNumbers(): agrees with JavaScript wherever that is exact", () => {
  const doubles = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(doubles, doubles, (a, b) => {
      assertEquals(
        Math.sign(compareNumbers(JSON.stringify(a), JSON.stringify(b))),
        Math.sign(a - b) || 0,
      );
    }),
    { numRuns: 500 },
  );
});

Deno.test("plainScalar(): any number as people write it, of the same value", () => {
  assertEquals(
    ["7", "1e3", "1.10", "0.001", "-5", '"7"', "null"].map((text) =>
      plainScalar(canonicalScalar(text))
    ),
    ["7", "1000", "1.1", "0.001", "-5", '"7"', "null"],
  );
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
    const canonical = canonicalScalar(JSON.stringify(number));
    assertEquals(canonicalScalar(plainScalar(canonical)), canonical);
  }));
});
