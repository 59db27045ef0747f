import { assert, assertEquals } from "@std/assert";
import { canonicalScalar, NumberText } from "../../src/domain/json_text.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { type DataCondition, matches, type Operator } from "../../src/domain/subscription.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { rawProfile } from "../../src/profiles/raw_profile.ts";
import { resolveProfile } from "../../src/profiles/resolve_profile.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { fc } from "../support/properties.ts";

type Overrides = Parameters<typeof aSubscription>[0];

function ruleFor(subscription: Overrides, event: Parameters<typeof anEvent>[0]): string {
  const match = matches(aSubscription(subscription), anEvent(event));
  return match.matches ? "matches" : match.rule;
}

const equals = (...texts: string[]) =>
  texts.map((text) => ({ kind: "equals" as const, value: canonicalScalar(text) }));
const operators = (...list: Operator[]) => [{ kind: "operators" as const, operators: list }];
const n = (text: string) => new NumberText(text);

function meets(data: string, ...match: DataCondition[]): boolean {
  return ruleFor({ match }, { data }) === "matches";
}

Deno.test("matches(): one of the patterns has to fit the publisher's name", () => {
  const events = ["booking.*", "payment.received"].map(compilePattern);
  const rename = new Map([["order.created", "booking.created"]]);
  assertEquals(ruleFor({ events, rename }, { type: "booking.created" }), "matches");
  assertEquals(ruleFor({ events, rename }, { type: "payment.received" }), "matches");
  assertEquals(ruleFor({ events, rename }, { type: "order.created" }), "events");
});

Deno.test("matches(): every scope key must equal the event's, a list means any of", () => {
  const scope = new Map([["venue_id", ['"v1"', '"v2"']], ["tier", [canonicalScalar("10")]]]);
  const of = (venue: string, tier: string) => ({
    scope: new Map([["venue_id", venue], ["tier", tier]]),
  });
  assertEquals(ruleFor({ scope }, of('"v1"', "10")), "matches");
  assertEquals(ruleFor({ scope }, of('"v2"', "1e1")), "matches");
  assertEquals(ruleFor({ scope }, of('"v3"', "10")), "scope");
  assertEquals(ruleFor({ scope }, of('"v1"', '"10"')), "scope");
  assertEquals(ruleFor({ scope }, { scope: new Map([["venue_id", '"v1"']]) }), "scope");
});

Deno.test("matches(): scope numbers beyond 2^53 are told apart", () => {
  const scope = new Map([["account_id", [canonicalScalar("9007199254740993")]]]);
  const of = (id: string) => ({ scope: new Map([["account_id", id]]) });
  assertEquals(ruleFor({ scope }, of("9007199254740993")), "matches");
  assertEquals(ruleFor({ scope }, of("9007199254740992")), "scope");
});

Deno.test("matches(): conditions look at the data, any of a list, all of the paths", () => {
  const status = { path: "status", anyOf: equals('"CONFIRMED"', '"PAID"') };
  const total = { path: "total", anyOf: operators({ name: ">=", operand: n("1000") }) };
  assertEquals(meets('{"status":"CONFIRMED","total":1000}', status, total), true);
  assertEquals(meets('{"status":"PAID","total":1e4}', status, total), true);
  assertEquals(meets('{"status":"CONFIRMED","total":999.99}', status, total), false);
  assertEquals(meets('{"status":"confirmed","total":2000}', status, total), false);
  assertEquals(meets('{"status":"PAID"}', status, total), false);
  assertEquals(meets('{"status":"PAID","total":"2000"}', status, total), false);
});

Deno.test("matches(): dotted paths go down objects, and through every element of a list", () => {
  const room = { path: "booking.rooms.type", anyOf: equals('"suite"') };
  assertEquals(meets('{"booking":{"rooms":[{"type":"single"},{"type":"suite"}]}}', room), true);
  assertEquals(meets('{"booking":{"rooms":[]}}', room), false);
  assertEquals(meets('{"booking":null}', room), false);
  assertEquals(meets("[1]", room), false);
  assertEquals(meets('"suite"', room), false);
});

Deno.test("matches(): every operator says what its name says", () => {
  const test = (data: string, ...list: Operator[]) =>
    meets(data, { path: "v", anyOf: operators(...list) });
  assertEquals(
    test('{"v":5}', { name: ">", operand: n("4") }, { name: "<=", operand: n("5") }),
    true,
  );
  assertEquals(
    test('{"v":5}', { name: ">", operand: n("4") }, { name: "<", operand: n("5") }),
    false,
  );
  assertEquals(test('{"v":"2024-05"}', { name: ">=", operand: "2024-04" }), true);
  assertEquals(test('{"v":"a"}', { name: "!=", operand: '"b"' }), true);
  assertEquals(test('{"v":"b"}', { name: "!=", operand: '"b"' }), false);
  assertEquals(test("{}", { name: "!=", operand: '"b"' }), true);
  assertEquals(test("{}", { name: "exists", operand: false }), true);
  assertEquals(test('{"v":null}', { name: "exists", operand: true }), true);
  assertEquals(test('{"v":"direct-web"}', { name: "prefix", operand: "direct" }), true);
  assertEquals(test('{"v":"direct-web"}', { name: "suffix", operand: "direct" }), false);
});

Deno.test("matches(): __proto__ and constructor are keys like any other", () => {
  const path = (path: string) => ({ path, anyOf: operators({ name: "exists", operand: true }) });
  assertEquals(meets("{}", path("constructor")), false);
  assertEquals(meets("{}", path("__proto__.toString")), false);
  assertEquals(meets('{"__proto__":{"x":1}}', path("__proto__.x")), true);
});

Deno.test("matches(): a profile's catalogue knows the receiver's names", () => {
  const profile = BUILT_IN.get("bookingsync")!;
  const rename = new Map([["booking.cancelled", "booking_destroyed"]]);
  const scope = new Map([["account_id", "1"]]);
  assertEquals(ruleFor({ profile, rename }, { type: "booking_created", scope }), "matches");
  assertEquals(ruleFor({ profile, rename }, { type: "booking.cancelled", scope }), "matches");
  assertEquals(ruleFor({ profile, rename }, { type: "booking.created" }), "catalogue");
});

Deno.test("matches(): Booking Experts asks for permission and for an administration's status", () => {
  const subscription = { profile: BUILT_IN.get("booking-experts")!, permissions: ["reservation"] };
  const scope = (context: string, status?: string) =>
    new Map([
      ["context", JSON.stringify(context)],
      ...(status === undefined ? [] : [["administration_status", JSON.stringify(status)] as const]),
    ]);
  const rule = (type: string, ...of: Parameters<typeof scope>) =>
    ruleFor(subscription, { type, scope: scope(...of) });
  assertEquals(rule("reservation:created", "administration", "Production"), "matches");
  assertEquals(rule("reservation|created", "administration", "Test"), "matches");
  assertEquals(rule("reservation:created", "administration", "Setup"), "admission");
  assertEquals(rule("reservation:created", "administration"), "admission");
  assertEquals(rule("reservation:created", "organization"), "matches");
  assertEquals(rule("reservation:created", "global"), "matches");
  assertEquals(rule("category:updated", "global"), "admission");
  assertEquals(rule("reservation.created", "global"), "catalogue");
});

Deno.test("matches(): what a platform's body always has is no delivery without it, and match says so", () => {
  const scopes: [profile: string, type: string, name: string, good: string, bad: string[]][] = [
    ["bookingsync", "booking_created", "account_id", "7", ["null"]],
    ["roostsync", "booking.created", "property_id", '"p1"', ["null"]],
    ["bookingshake", "contact.created", "venue_id", '"v1"', ["null"]],
    [
      "booking-experts",
      "reservation:created",
      "context",
      '"organization"',
      ["null", '"Organization"', '"account"', '""', "1", "true"],
    ],
  ];
  for (const [name, type, key, good, bad] of scopes) {
    const subscription = { profile: BUILT_IN.get(name)!, permissions: ["reservation"] };
    const found = (scope: ReadonlyMap<string, string>) =>
      matches(aSubscription(subscription), anEvent({ type, scope }));
    assertEquals(found(new Map([[key, good]])).matches, true, name);
    for (const scope of [new Map<string, string>(), ...bad.map((one) => new Map([[key, one]]))]) {
      const match = found(scope);
      assert(!match.matches);
      assertEquals(match.rule, "admission");
      assert(match.why.includes(`scope.${key}`), match.why);
    }
  }
});

Deno.test("matches(): users' profiles refuse as well: by whenMissing and oneOf, nested ones too", () => {
  const words = rawProfile.parse({
    body: {
      who: { members: { tenant: { from: "scope.tenant", whenMissing: "refuse" } } },
      plan: { from: "scope.plan", oneOf: ["gold", 2] },
      meta: { from: "metadata", whenMissing: "refuse" },
    },
  });
  const profile = resolveProfile("own", words, undefined);
  const rule = (scope: [string, string][], metadata?: string) =>
    ruleFor({ profile }, { scope: new Map(scope), ...(metadata && { metadata }) });
  assertEquals(rule([["tenant", "1"], ["plan", '"gold"']], "{}"), "matches");
  assertEquals(rule([["tenant", "1"], ["plan", "2.0"]], "{}"), "matches");
  assertEquals(rule([["tenant", "1"], ["plan", '"gold"']]), "admission");
  assertEquals(rule([["plan", '"gold"']], "{}"), "admission");
  assertEquals(rule([["tenant", "1"], ["plan", '"2"']], "{}"), "admission");
  assertEquals(rule([["tenant", "1"]], "{}"), "admission");
});

Deno.test("matches(): * in a scope is any value, as long as there is one", () => {
  const scope = new Map([["venue_id", ['"*"']]]);
  const rule = (value?: string) =>
    ruleFor({ scope }, { scope: new Map(value === undefined ? [] : [["venue_id", value]]) });
  assertEquals(["1", '"v"', "false", '""', '"*"'].map(rule), Array(5).fill("matches"));
  assertEquals([undefined, "null"].map(rule), ["scope", "scope"]);
});

Deno.test("matches(): an equal literal always meets its own condition, whatever the value", () => {
  const scalars = fc.oneof(
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  );
  fc.assert(
    fc.property(scalars, scalars, (a, b) => {
      const condition = { path: "v", anyOf: equals(JSON.stringify(a)) };
      assertEquals(meets(`{"v":${JSON.stringify(a)}}`, condition), true);
      const same = a === b || (a === 0 && b === 0);
      assertEquals(meets(`{"v":${JSON.stringify(b)}}`, condition), same);
      assertEquals(meets(`{"v":[${JSON.stringify(b)},${JSON.stringify(a)}]}`, condition), true);
    }),
    { numRuns: 500 },
  );
});
