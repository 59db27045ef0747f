import { fc } from "./properties.ts";

/**
 * Any character there is: what fast-check calls "binary", in its order, but worked out for each. Its
 * own table of all of them takes a second to build, in every file that asks for it.
 */
export const anyCharacter: fc.Arbitrary<string> = fc.nat(0x10ffff - 0x800).map(
  (number) => String.fromCodePoint(number < 0xd800 ? number : number + 0x800),
  (character) => {
    const point = typeof character === "string" ? character.codePointAt(0) : undefined;
    if (point === undefined || String.fromCodePoint(point) !== character) {
      throw new TypeError("not a single character");
    }
    if (point >= 0xd800 && point < 0xe000) throw new TypeError("half a character");
    return point < 0xd800 ? point : point - 0x800;
  },
);

/** Text of any characters. */
export function anyText(
  constraints: Omit<fc.StringConstraints, "unit"> = {},
): fc.Arbitrary<string> {
  return fc.string({ ...constraints, unit: anyCharacter });
}
