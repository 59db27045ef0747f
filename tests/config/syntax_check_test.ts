import { assertEquals } from "@std/assert";
import { parseSource, readSource } from "../../src/config/source.ts";
import { checkSyntax } from "../../src/config/syntax_check.ts";
import { Turn } from "../../src/runtime/turn.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";

const turn = () => new Turn(new FakeClock());
const isValid = async (text: string) =>
  await checkSyntax(text.replace(/^\ufeff/, ""), turn()) !== undefined;

function parserIsContent(text: string): boolean {
  const { root, problems } = parseSource("config.json", text);
  return root !== undefined && problems.length === 0;
}

const TEXTS = [
  "",
  " ",
  "{}",
  "\ufeff{}",
  "[1,]",
  "[,1]",
  "[1,,2]",
  '{"a":1,}',
  '{"a":1 "b":2}',
  '{"a":1,"a":2}',
  '{"a":{"a":1}}',
  "{} {}",
  "// nothing",
  "{} // over",
  "{} /* never over",
  "{/* in */}",
  "{/ }",
  "[1}",
  "{]",
  '"\\u12"',
  '"\t"',
  "nul",
  "-",
  "[".repeat(150) + "]".repeat(150),
  "[".repeat(300) + "]".repeat(300),
];

Deno.test("checkSyntax(): accepts what the parser accepts", async () => {
  for (const text of TEXTS) assertEquals(await isValid(text), parserIsContent(text), text);
});

Deno.test("checkSyntax(): agrees with the parser on any text, spoiled at any place", async () => {
  const anySpoil = fc.tuple(
    fc.nat(),
    fc.nat({ max: 2 }),
    fc.constantFrom(...'{}[],:"/*\\ 1e-at\n', "//", "/*", "*/", '"a":', "null", "\ufeff"),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.json({ maxDepth: 4 }),
      fc.array(anySpoil, { maxLength: 3 }),
      async (json, spoils) => {
        let text = json;
        for (const [at, cut, put] of spoils) {
          const place = at % (text.length + 1);
          text = text.slice(0, place) + put + text.slice(place + cut);
        }
        assertEquals(await isValid(text), parserIsContent(text), text);
      },
    ),
    { numRuns: 3_000 },
  );
});

Deno.test("readSource(): in slices it reads what it reads at once, long values too", async () => {
  const long = Array.from({ length: 2_000 }, (_, i) => ({ id: `s${i}`, list: [i, [i]], o: {} }));
  const text = `\ufeff// A comment\n${JSON.stringify({ a: 1, long, b: { c: long }, d: "x" })}`;
  const { root } = await readSource("config.json", text, turn());
  assertEquals(root!.value(), parseSource("config.json", text).root!.value());
  assertEquals([...root!.at("long").eachElement()].map((place) => place.value()), long);
  assertEquals(root!.at("long", 1_999, "list").value(), [1_999, [1_999]]);
  assertEquals(
    root!.at("d").problem("no").column,
    parseSource("config.json", text).root!.at("d").problem("no").column,
  );
});
