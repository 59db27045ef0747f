import { assert, assertEquals } from "@std/assert";
import { DataPaths, EventValues, type ValuesAtPath } from "../../src/domain/event_values.ts";
import {
  canonicalScalar,
  compact,
  compareNumbers,
  type ExactValue,
  NumberText,
  parseExact,
} from "../../src/domain/json_text.ts";
import { matches } from "../../src/domain/subscription.ts";
import { SubscriptionIndex } from "../../src/ingest/subscription_index.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { cpuMs } from "../support/cpu_time.ts";
import { fc } from "../support/properties.ts";

/** Few names, so that paths meet, stand twice, and look like what JavaScript has already. */
const NAMES = ["a", "b", "a b", "__proto__", "constructor", "é\\n", '"'];
const PATHS = NAMES.flatMap((one) => [one, ...NAMES.map((other) => `${one}.${other}`), "a.b.a"]);
const OPERANDS = ["0", "1", "1.0", "10e-1", "-2", '"a"', '"ab"', '"\\n"', "null", "true"];

const scalar = fc.constantFrom(...OPERANDS, '"a\\u0062"', "1e400", "12", '"b\\"c"');
const json = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }).map((all) => `[${all.join(" ,")}]`),
    fc.array(fc.tuple(fc.constantFrom(...NAMES), tie("value")), { maxLength: 4 })
      .map((all) => `{${all.map(([name, value]) => `${JSON.stringify(name)}: ${value}`)}}`),
  ),
})).value.map(compact);

/** As slowly as can be: by parsing all of it, and walking down for each path. */
function valuesAt(value: ExactValue, path: readonly string[]): ExactValue[] {
  if (Array.isArray(value)) return value.flatMap((element) => valuesAt(element, path));
  if (path.length === 0) return [value];
  if (value === null || typeof value !== "object" || value instanceof NumberText) return [];
  const [name, ...rest] = path as [string, ...string[]];
  return Object.hasOwn(value, name) ? valuesAt(value[name]!, rest) : [];
}

function toldSlowly(values: readonly ExactValue[]) {
  const strings = values.filter((value) => typeof value === "string");
  const numbers = values.filter((value) => value instanceof NumberText);
  const scalars = values.map((value) =>
    value instanceof NumberText
      ? canonicalScalar(value.text)
      : typeof value === "object" && value !== null
      ? undefined
      : JSON.stringify(value)
  );
  return {
    isEmpty: values.length === 0,
    has: OPERANDS.map((text) => scalars.includes(canonicalScalar(text))),
    prefix: ["", "a", "b", "ab"].map((text) => strings.some((value) => value.startsWith(text))),
    suffix: ["", "a", "b", "c"].map((text) => strings.some((value) => value.endsWith(text))),
    texts: ["a", "aa"].map((text) => [
      strings.some((value) => value > text),
      strings.some((value) => value >= text),
      strings.some((value) => value < text),
      strings.some((value) => value <= text),
    ]),
    numbers: ["1", "11"].map((text) => [
      numbers.some((value) => compareNumbers(value.text, text) > 0),
      numbers.some((value) => compareNumbers(value.text, text) >= 0),
      numbers.some((value) => compareNumbers(value.text, text) < 0),
      numbers.some((value) => compareNumbers(value.text, text) <= 0),
    ]),
  };
}

function told(values: ValuesAtPath): ReturnType<typeof toldSlowly> {
  const compared = (operand: string | NumberText) =>
    ([">", ">=", "<", "<="] as const).map((operator) => values.compares(operator, operand));
  return {
    isEmpty: values.isEmpty,
    has: OPERANDS.map((text) => values.has(canonicalScalar(text))),
    prefix: ["", "a", "b", "ab"].map((text) => values.hasPrefix(text)),
    suffix: ["", "a", "b", "c"].map((text) => values.hasSuffix(text)),
    texts: ["a", "aa"].map(compared),
    numbers: ["1", "11"].map((text) => compared(new NumberText(text))),
  };
}

Deno.test("event values: one walk tells of all paths what walking down for each would", () => {
  fc.assert(
    fc.property(json, fc.subarray(PATHS), (data, paths) => {
      const values = new EventValues(anEvent({ data }), () => new DataPaths(paths));
      const parsed = parseExact(data);
      for (const path of paths) {
        assertEquals(told(values.at(path)), toldSlowly(valuesAt(parsed, path.split("."))), path);
      }
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("event values: of a name that stands twice the last counts, at any depth", () => {
  const data = '{"a":{"b":[1,2]},"c":0,"a":{"b":3,"b":[{"x":1},4]},"b":9}';
  const values = new EventValues(anEvent({ data }), () => new DataPaths(["a.b", "a", "b", "c"]));
  const shown = ["a.b", "a", "b", "c"].map((path) => values.at(path).shown());
  assertEquals(shown, ["an object, 4", "an object", "9", "0"]);
});

Deno.test("event values: what is shown of a value stays short, however long it is", () => {
  const long = JSON.stringify("x".repeat(100_000));
  const condition = { path: "v", anyOf: [{ kind: "equals" as const, value: "1e0" }] };
  const byData = matches(
    aSubscription({ match: [condition] }),
    anEvent({ data: `{"v":[${Array(9).fill(long)}]}` }),
  );
  const byScope = matches(
    aSubscription({ scope: new Map([["v", ["1e0"]]]) }),
    anEvent({ scope: new Map([["v", long]]) }),
  );
  for (const match of [byData, byScope]) assert(!match.matches && match.why.length < 600);
});

// Each took from half a minute to hours when every subscription walked the data for itself.
const COUNT = 10_000;
/** For a machine that is slow. */
const LONGEST_MS = 10_000;
const numbers = Array.from({ length: 40_000 }, (_, i) => 100_000 - i);
const giant = `1${"0".repeat(100_000)}1`;
const HUGE = {
  "a list of objects": `{"items":[${Array(30_000).fill('{"v":1}')}]}`,
  "a list of numbers": `{"items":{"v":[${numbers}]}}`,
  "numbers that are nearly one giant": `{"items":{"v":[${giant}${",1e100001".repeat(12_000)}]}}`,
  "a list of texts": `{"items":{"v":[${numbers.map((n) => `"x${n}"`)}]}}`,
  "lists in lists": `{"items":${"[".repeat(90)}{"v":2}${"]".repeat(90)}}`,
  "one name again and again": `{${
    Array(8).fill(`"items":{"v":[${Array(15_000).fill(1)}],"w":0}`)
  }}`,
  "one long text": `{"items":{"v":"${"x".repeat(250_000)}"}}`,
};

for (const [name, data] of Object.entries(HUGE)) {
  Deno.test(`event values: ${COUNT} subscriptions ask about ${name} as fast as about anything`, () => {
    const operand = new NumberText(giant);
    const index = SubscriptionIndex.of(Array.from({ length: COUNT }, (_, i) =>
      aSubscription({
        id: `sub-${i}`,
        match: [{
          path: i % 10 === 9 ? `items.${i}` : "items.v",
          anyOf: [
            { kind: "equals", value: `"${i}"` },
            { kind: "operators", operators: [{ name: "prefix", operand: `y${i}` }] },
            { kind: "operators", operators: [{ name: "suffix", operand: `y${i}` }] },
            {
              kind: "operators",
              operators: [{ name: ">", operand }, { name: "<", operand: "a" }],
            },
          ],
        }],
      })));
    const startedMs = cpuMs();
    assertEquals(index.matching(anEvent({ data })), []);
    const tookMs = cpuMs() - startedMs;
    assert(tookMs < LONGEST_MS, `it took ${tookMs} ms`);
  });
}

Deno.test("event values: a long value of a scope is looked at once, not by every subscription", () => {
  const value = `1${"0".repeat(200_000)}1`;
  const subscriptions = Array.from(
    { length: COUNT },
    (_, i) => aSubscription({ id: `sub-${i}`, scope: new Map([["a", [`${i}e0`]]]) }),
  );
  const { match } = SubscriptionIndex.of(subscriptions)
    .ask(anEvent({ scope: new Map([["a", value]]) }));
  const startedMs = cpuMs();
  for (const subscription of subscriptions) assert(!match(subscription).matches);
  const tookMs = cpuMs() - startedMs;
  assert(tookMs < LONGEST_MS, `it took ${tookMs} ms`);
});
