import { assertEquals } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import { matches } from "../../src/domain/subscription.ts";
import { Registry } from "../../src/ingest/registry.ts";
import { SubscriptionIndex } from "../../src/ingest/subscription_index.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { fc } from "../support/properties.ts";

const NAMES = ["venue", "account", "__proto__"];
/** Some are two spellings of one value. */
const VALUES = ["1", "1.0", '"1"', '"a"', '"\\u0061"', "null", "true"];

const text = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 4 });
const pattern = fc.array(fc.oneof(text, fc.constant("*")), { minLength: 1, maxLength: 3 })
  .map((pieces) => compilePattern(pieces.join("")));
const scope = fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 3 });

// In canonical form, as in a loaded config.
const condition = fc.array(fc.constantFrom('"1"', '"a"', "1e0", "null", "true"), { maxLength: 3 });
const conditions = scope.chain((names) =>
  fc.tuple(...names.map(() => condition)).map((all) =>
    new Map(names.map((name, i) => [name, all[i]!]))
  )
);
const subscriptions = fc.array(
  fc.record({ events: fc.array(pattern, { minLength: 1, maxLength: 3 }), scope: conditions }),
  { maxLength: 12 },
).map((all) => all.map((one, i) => aSubscription({ id: `sub-${i}`, ...one })));

const events = fc.array(
  fc.record({
    type: text,
    scope: scope.chain((names) =>
      fc.tuple(...names.map(() => fc.constantFrom(...VALUES))).map((all) =>
        new Map(names.map((name, i) => [name, all[i]!]))
      )
    ),
  }),
  { minLength: 1, maxLength: 6 },
).map((all) => all.map(anEvent));

Deno.test("subscription index: finds the same subscriptions, in the same order, as checking each", () => {
  fc.assert(
    fc.property(subscriptions, events, (subscriptions, events) => {
      const index = SubscriptionIndex.of(subscriptions);
      for (const event of events) {
        const walked = subscriptions.filter((one) => matches(one, event).matches);
        assertEquals(index.matching(event).map(({ id }) => id), walked.map(({ id }) => id));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("subscription index: still finds subscriptions after more types than its cache holds", () => {
  const registry = new Registry([
    aSubscription({ id: "all" }),
    aSubscription({ id: "odd", events: [compilePattern("*1"), compilePattern("*3")] }),
  ]);
  for (let i = 0; i < 30_000; i++) {
    const ids = registry.matching(anEvent({ type: `type.${i}` })).map(({ id }) => id);
    assertEquals(ids.length, i % 10 === 1 || i % 10 === 3 ? 2 : 1, `type.${i}`);
  }
});

Deno.test("subscription index: of 5 000 customers' subscriptions, only the event's customer's is checked", () => {
  let asked = 0;
  const index = SubscriptionIndex.of(Array.from({ length: 5_000 }, (_, i) => {
    const subscription = aSubscription({
      id: `customer-${i}`,
      scope: new Map([["region", ['"eu"']], ["customer", [`"c${i}"`]]]),
    });
    return Object.defineProperty(subscription, "match", {
      get() {
        asked++;
        return [];
      },
    });
  }));
  const scope = new Map([["region", '"eu"'], ["customer", '"c4711"']]);
  assertEquals(index.matching(anEvent({ scope })).map(({ id }) => id), ["customer-4711"]);
  assertEquals(asked, 1);
});
