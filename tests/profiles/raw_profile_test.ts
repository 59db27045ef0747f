import { assert, assertEquals } from "@std/assert";
import * as z from "zod";
import { elementsOf, membersOf } from "../../src/domain/json_text.ts";
import { HOUSE_LADDER } from "../../src/domain/ladder.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { rawProfile } from "../../src/profiles/raw_profile.ts";
import { resolveProfile } from "../../src/profiles/resolve_profile.ts";

Deno.test("table: the built-in profiles are the standard one and the five platforms'", () => {
  assertEquals([...BUILT_IN.keys()], [
    "standard",
    "bookingsync",
    "booking-experts",
    "bookingshake",
    "bookingscheduler",
    "roostsync",
  ]);
  for (const [name, profile] of BUILT_IN) assertEquals(profile.name, name);
});

Deno.test("table: each profile has as many events as its page lists", () => {
  const counts = [...BUILT_IN].map(([name, { events }]) => [name, events?.length]);
  assertEquals(counts, [
    ["standard", undefined],
    ["bookingsync", 27],
    ["booking-experts", 2],
    ["bookingshake", 6],
    ["bookingscheduler", 7],
    ["roostsync", 9],
  ]);
});

Deno.test("table: Booking Experts' catalogue is resource:action and resource|action, open", () => {
  const { events } = BUILT_IN.get("booking-experts")!;
  const knows = (name: string) => events!.some((pattern) => pattern.matches(name));
  assertEquals(["reservation:created", "channel|updated", "reservation.created"].map(knows), [
    true,
    true,
    false,
  ]);
});

Deno.test("table: deadlines, statuses, https and secrets are as decided", () => {
  const facts = [...BUILT_IN.values()].map((profile) => [
    profile.name,
    profile.timeoutMs,
    profile.success,
    profile.httpsRequired,
    profile.secretForm,
    profile.secretRequired,
    profile.waitForConfirmation,
  ]);
  const any: [number, number][] = [[200, 299]];
  assertEquals(facts, [
    ["standard", 30_000, any, true, "standard", true, undefined],
    ["bookingsync", 30_000, any, true, "text", true, undefined],
    ["booking-experts", 30_000, [[200, 200]], true, "either", false, true],
    ["bookingshake", 5_000, any, true, "text", true, undefined],
    ["bookingscheduler", 30_000, any, true, "text", true, undefined],
    ["roostsync", 30_000, any, true, "text", true, undefined],
  ]);
});

Deno.test("table: all but BookingShake and Booking Experts have the default retry schedule", () => {
  for (const name of ["standard", "bookingsync", "bookingscheduler", "roostsync"]) {
    assertEquals(BUILT_IN.get(name)!.ladder, HOUSE_LADDER, name);
  }
  assertEquals(
    BUILT_IN.get("bookingshake")!.ladder.waitsMs.map((ms) => ms / 1_000),
    [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600],
  );
  assertEquals(BUILT_IN.get("booking-experts")!.ladder, {
    ...HOUSE_LADDER,
    thenEveryMs: 24 * 3_600_000,
    forMs: 30 * 24 * 3_600_000,
  });
});

Deno.test("resolve: a profile inherits from its base what it doesn't set", () => {
  const base = BUILT_IN.get("bookingshake")!;
  const own = resolveProfile("own", rawProfile.parse({ extends: "bookingshake" }), base);
  const { description: _, ...inherited } = base;
  assertEquals(own, { ...inherited, name: "own" });
});

Deno.test("resolve: each key replaces the base's as a whole", () => {
  const raw = rawProfile.parse({
    extends: "bookingshake",
    description: "Ours",
    body: { payload: { from: "data" } },
    headers: { "X-Ours": "1" },
    signature: { header: "X-Ours-Signature" },
    secret: { required: false },
    standardHeaders: false,
    success: "200,202-204",
    timeout: "10s",
    retry: { waits: ["1s"], thenEvery: "1h", for: "1d" },
    https: "optional",
    events: ["a.*"],
    admission: [{ permission: true }],
    waitForConfirmation: false,
    requiredSettings: ["tenant"],
  });
  const { events, ...own } = resolveProfile("own", raw, BUILT_IN.get("bookingshake"));
  assertEquals(events!.map(({ text }) => text), ["a.*"]);
  assertEquals(own, {
    name: "own",
    description: "Ours",
    body: [["payload", { kind: "from", source: "data", as: "iso", whenMissing: "null" }]],
    headers: [["X-Ours", "1"]],
    signature: {
      header: "X-Ours-Signature",
      algorithm: "sha256",
      encoding: "hex",
      over: "{body}",
      value: "{signature}",
    },
    secretForm: "text",
    secretRequired: false,
    standardHeaders: false,
    success: [[200, 200], [202, 204]],
    timeoutMs: 10_000,
    ladder: { waitsMs: [1_000], thenEveryMs: 3_600_000, forMs: 86_400_000 },
    httpsRequired: false,
    admission: [{ kind: "permission" }],
    waitForConfirmation: false,
    requiredSettings: ["tenant"],
    requiredScope: ["venue_id", "venues_group_id"],
    requiredValues: [],
  });
});

Deno.test("resolve: null removes the base's signature and event list", () => {
  const raw = rawProfile.parse({ extends: "roostsync", signature: null, events: null });
  const own = resolveProfile("own", raw, BUILT_IN.get("roostsync"));
  assertEquals([own.signature, own.events], [undefined, undefined]);
});

Deno.test("resolve: a new signature header replaces the base's header of that name", () => {
  const raw = rawProfile.parse({
    extends: "bookingshake",
    signature: { header: "idempotency-key" },
  });
  const own = resolveProfile("own", raw, BUILT_IN.get("bookingshake"));
  assertEquals(own.headers, [["User-Agent", "Bookingshake-Webhooks/1.0"]]);
});

Deno.test("resolve: the defaults apply without a base", () => {
  const own = resolveProfile("own", rawProfile.parse({ body: {} }), undefined);
  assertEquals(own, {
    name: "own",
    body: [],
    headers: [],
    secretForm: "either",
    secretRequired: true,
    standardHeaders: true,
    success: [[200, 299]],
    timeoutMs: 30_000,
    ladder: HOUSE_LADDER,
    httpsRequired: true,
    admission: [],
    requiredSettings: [],
    requiredScope: [],
    requiredValues: [],
  });
});

Deno.test("resolve: numbers keep their digits, and members the order of the config file", () => {
  const text =
    `{"body":{"b":{"value":[12345678901234567890,1.10]},"1":{"members":{"9":{"from":"id"},` +
    `"2":{"from":"scope.a","nullWhen":{"scope.b":[9007199254740993,10.0]}}}}},"admission":` +
    `[{"when":{"scope.a":[9007199254740993]},"require":{"scope.b":["x"]}}]}`;
  const raw = rawProfile.parse(JSON.parse(text));
  const own = resolveProfile("own", raw, undefined, (path) => textAt(text, path));
  const from = { kind: "from", as: "iso", whenMissing: "null" } as const;
  const values = ["9007199254740993e0", "1e1"];
  assertEquals(own.body, [
    ["b", { kind: "constant", value: "[12345678901234567890,1.10]" }],
    ["1", {
      kind: "object",
      members: [
        ["9", { ...from, source: "id" }],
        ["2", { ...from, source: "scope.a", nullWhenScope: { name: "b", values } }],
      ],
    }],
  ]);
  assertEquals(own.admission, [{
    kind: "scope",
    when: { name: "a", values: ["9007199254740993e0"] },
    require: { name: "b", values: ['"x"'] },
  }]);
});

/** Each has one mistake: the raw profile, the problem's path, and part of its message. */
const MISTAKES: [raw: Record<string, unknown>, path: string, message: string][] = [
  [{ extends: undefined }, "body", 'a profile that extends none has a "body"'],
  [{ colour: "red" }, "", 'Unrecognized key: "colour"'],
  [{ body: { a: { from: "date" } } }, "body.a.from", '"date" is nothing a body can take from'],
  [{ body: { a: { from: "scope." } } }, "body.a.from", '"scope." is nothing a body can take from'],
  [{ body: { a: {} } }, "body.a", "here is none"],
  [{ body: { a: { from: "id", value: 1 } } }, "body.a", 'here is "from" and "value"'],
  [{ body: { a: { value: 1, as: "iso" } } }, "body.a", '"as" goes with "from" only'],
  [{ body: { a: { from: "id", as: "iso" } } }, "body.a", '"id" is none, take it away'],
  [
    { body: { a: { members: { b: { from: "id", nullWhen: { b: [1] } } } } } },
    "body.a.members.b.nullWhen.b",
    'write it as "scope.KEY"',
  ],
  [{ headers: { "Content-Type": "a/b" } }, "headers.Content-Type", "Bellhook writes itself"],
  [{ headers: { "webhook-id": "1" } }, "headers.webhook-id", "Bellhook writes itself"],
  [{ headers: { "A B": "1" } }, "headers.A B", '"A B" is no header name'],
  [{ headers: { A: "1", a: "1" } }, "headers.a", '"a" stands here twice'],
  [{ headers: { A: "b\r\nC: d" } }, "headers.A", "a control character"],
  [{ headers: { A: " b" } }, "headers.A", "begins or ends with a space"],
  [{ headers: { A: "{body}" } }, "headers.A", '"{body}" is no placeholder here'],
  [{ headers: { A: "{uuid" } }, "headers.A", "a brace without its partner"],
  [{ headers: { A: "{{uuid}}" } }, "headers.A", "a brace without its partner"],
  [{ signature: { header: "Host" } }, "signature.header", "Bellhook writes itself"],
  [{ signature: { header: "A", over: "" } }, "signature.over", "nothing is signed"],
  [{ signature: { header: "A", over: "{bdoy}" } }, "signature.over", '"{bdoy}" is no placeholder'],
  [{ signature: { header: "A", over: "v1" } }, "signature.over", '"v1" signs nothing'],
  [{ signature: { header: "A", value: "v1" } }, "signature.value", 'no "{signature}" in it'],
  [{ signature: { header: "A", separator: "\n" } }, "signature.separator", "a control character"],
  [
    { signature: { header: "A" }, headers: { a: "1" } },
    "headers.a",
    "is the signature's header already",
  ],
  [{ success: "ok" }, "success", '"ok" is no set of statuses'],
  [{ success: "200-302" }, "success", '"200-302" has 3xx in it'],
  [{ timeout: "5 s" }, "timeout", '"5 s" is no length of time'],
  [{ timeout: "0s" }, "timeout", "must be above zero"],
  [{ retry: ["1m", "soon"] }, "retry.1", '"soon" is no length of time'],
  [{ retry: ["999999999d"] }, "retry.0", '"999999999d" is longer than ten years'],
  [{ retry: "1m" }, "retry", "the waits are a list"],
  [{ retry: { waits: [], thenEvery: "1d" } }, "retry.thenEvery", "would never end"],
  [{ events: [] }, "events", ""],
  [{ admission: [{}] }, "admission.0", 'has both "when" and "require"'],
  [
    { admission: [{ when: { "scope.a": [1] }, require: { "scope.a": [1], "scope.b": [1] } }] },
    "admission.0.require",
    'exactly one "scope.KEY" is expected here, found 2',
  ],
];

for (const [raw, path, message] of MISTAKES) {
  Deno.test(`raw profile: ${JSON.stringify(raw)} is a problem at "${path}"`, () => {
    const { error } = rawProfile.safeParse({ extends: "standard", ...raw });
    const issues = error!.issues.map((issue) => [issue.path.join("."), issue.message]);
    assertEquals(issues.length, 1, JSON.stringify(issues));
    assertEquals(issues[0]![0], path);
    assert(issues[0]![1]!.includes(message), issues[0]![1]!);
  });
}

Deno.test("raw profile: its JSON Schema describes every key", () => {
  const schema = z.toJSONSchema(rawProfile) as {
    properties: Record<string, { description?: string }>;
    $defs: Record<string, unknown>;
  };
  const silent = Object.keys(schema.properties)
    .filter((word) => schema.properties[word]!.description === undefined);
  assertEquals(silent, []);
  assertEquals(Object.keys(schema.$defs), ["BodyValue"]);
});

/** The compact source text at a path, like the config loader's. */
function textAt(text: string, path: readonly (string | number)[]): string | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return text;
  const found = typeof key === "number"
    ? elementsOf(text)![key]
    : membersOf(text)!.find(([name]) => name === key)?.[1];
  return found === undefined ? undefined : textAt(found, rest);
}
