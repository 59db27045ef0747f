import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import type { Headers } from "../../src/domain/attempt.ts";
import type { Profile } from "../../src/domain/profile.ts";
import { Secret } from "../../src/domain/secret.ts";
import { expectedSignatures, explain, type Explanation } from "../../src/profiles/explain.ts";
import type { Explainable } from "../../src/profiles/mistakes/scheme.ts";
import { headersFor } from "../../src/profiles/sign.ts";
import { ed25519Pair } from "../../src/profiles/signing_key.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { resolveProfile } from "../../src/profiles/resolve_profile.ts";
import { A_SECRET, anEvent, aSubscription } from "../support/a_subscription.ts";
import { fc } from "../support/properties.ts";
import {
  type Format,
  FORMATS,
  hmac,
  inLines,
  PREVIOUS_SECRET,
  type Steps,
  type Trio,
  valueOf,
  WRONG_STEPS,
} from "./signed_wrongly.ts";

const AT = Date.UTC(2024, 2, 15, 10, 40);
const TRIO: Trio = { id: "evt_1", timestamp: String(AT / 1_000) };

/** Every mistake changes it: unsorted keys, text outside ASCII, a number that JavaScript rounds. */
const BODY = `{"event":"booking.created","timestamp":"2024-03-15T10:30:00Z",` +
  `"data":{"z":[1,{}],"a":"Zoë / <b>","id":9007199254740993}}`;

/** A request with one signature header, an id and a timestamp. */
function requestOf(format: Format, value: string, body: string): Explainable {
  return {
    profile: { ...BUILT_IN.get(format.profile)! },
    secret: new Secret(format.secret),
    previousSecret: new Secret(PREVIOUS_SECRET),
    headers: [
      ["Content-Type", "application/json"],
      [format.header, value],
      ["webhook-id", TRIO.id],
      ["webhook-timestamp", TRIO.timestamp],
      ...(format.profile === "standard" ? [] : [goodTrio(format, body)]),
    ],
    rawBody: new TextEncoder().encode(body),
    at: AT,
  };
}

/** The trio's signature, keyed with the text of the format's secret. */
function goodTrio({ secret }: Format, body: string): [string, string] {
  const text = `${TRIO.id}.${TRIO.timestamp}.${body}`;
  const mac = hmac("sha256")(Buffer.from(secret), text);
  return ["webhook-signature", `v1,${mac.toString("base64")}`];
}

function explained(format: Format, changes: Partial<Steps> = {}, body = BODY): Explanation {
  const value = valueOf(format, body, TRIO, { ...format.steps, ...changes });
  return explain(requestOf(format, value, body));
}

function mistakeIn(explanation: Explanation): string | undefined {
  return explanation.ok ? "none" : explanation.mistake;
}

/** The wrong steps that are possible in a format, with the complete steps. */
function wrongStepsOf(format: Format, body = BODY) {
  const right = valueOf(format, body, TRIO);
  return WRONG_STEPS.flatMap((step) => {
    const changes = step.change(format);
    if (!changes) return [];
    const value = valueOf(format, body, TRIO, { ...format.steps, ...changes });
    return value === right ? [] : [{ step, changes, value }];
  });
}

for (const format of FORMATS) {
  Deno.test(`explain: ${format.profile}: a request signed as its page says is good`, () => {
    const verified = format.profile === "standard"
      ? [format.header]
      : [format.header, "webhook-signature"];
    assertEquals(explained(format), { ok: true, verified });
  });

  Deno.test(`explain: ${format.profile}: names every known mistake`, () => {
    const wrong: string[] = [];
    for (const { step, changes } of wrongStepsOf(format)) {
      const found = mistakeIn(explained(format, changes));
      if (found !== step.code) wrong.push(`${step.code} was called ${found}`);
    }
    assertEquals(wrong, []);
  });
}

Deno.test("explain: every wrong step of the table is possible in some format", () => {
  const befallen = new Set(FORMATS.flatMap((format) => wrongStepsOf(format).map((w) => w.step)));
  assertEquals(WRONG_STEPS.filter((step) => !befallen.has(step)).map(({ code }) => code), []);
});

Deno.test("explain: recognises other recipes: encoded bodies, data alone, keys in hex, other profiles", () => {
  const body =
    '{"event":"a","timestamp":"2024-03-15T10:30:00Z","data":{"n":1.10},"property_id":"p"}';
  const raw = Buffer.from(
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "hex",
  );
  const whsec = `whsec_${raw.toString("base64")}`;
  const mac = (algorithm: string, key: string | Uint8Array, text: string) =>
    createHmac(algorithm, key).update(text).digest();
  const codeOf = (profile: string, secret: string, headers: Record<string, string>) => {
    const explanation = explain({
      profile: BUILT_IN.get(profile)!,
      secret: new Secret(secret),
      headers: Object.entries(headers),
      rawBody: new TextEncoder().encode(body),
      at: 1_710_499_200_000,
    });
    assert(!explanation.ok);
    return { code: explanation.mistake, reason: explanation.reason };
  };
  const encoded = inLines(Buffer.from(body), 60);
  const roost = (signed: Buffer) => ({
    "X-RoostSync-Signature": `sha256=${signed.toString("hex")}`,
  });
  const trio = { "webhook-id": "m", "webhook-timestamp": "1710499200" };
  const standard = (key: string | Uint8Array, text: string) => ({
    ...trio,
    "webhook-signature": `v1,${mac("sha256", key, `m.1710499200.${text}`).toString("base64")}`,
  });
  assertEquals(codeOf("roostsync", "s", roost(mac("sha256", "s", encoded))).code, "encoded");
  assertEquals(
    codeOf("roostsync", "s", roost(mac("sha256", "s", '{"n":1.10}'))).code,
    "data-alone",
  );
  assertEquals(codeOf("standard", whsec, standard(raw, encoded)).code, "encoded");
  assertEquals(codeOf("standard", whsec, standard(raw, '{"n":1.10}')).code, "data-alone");
  assertEquals(codeOf("standard", raw.toString("hex"), standard(raw, body)).code, "secret-as-hex");
  assertEquals(
    codeOf("standard", whsec, standard(raw.toString("hex"), body)).code,
    "secret-as-hex",
  );
  const own = { "Bookingshake-Signature": mac("sha1", "s", encoded).toString("hex") };
  for (
    const [profile, headers, named] of [
      ["bookingshake", own, "bookingsync"],
      ["bookingsync", roost(mac("sha256", "s", body)), "roostsync"],
      [
        "standard",
        { ...trio, "webhook-signature": mac("sha256", "s", body).toString("hex") },
        "bookingshake",
      ],
    ] as const
  ) {
    const { reason } = codeOf(profile, "s", headers);
    assert(reason.includes(`profile "${named}"`), reason);
  }
});

const anyFormat = fc.constantFrom(...FORMATS);

Deno.test("explain: names both of two simultaneous mistakes", () => {
  fc.assert(
    fc.property(anyFormat, fc.nat(), fc.nat(), (format, one, other) => {
      const steps = wrongStepsOf(format);
      const a = steps[one % steps.length]!, b = steps[other % steps.length]!;
      fc.pre(a.step.of !== b.step.of);
      const changes = { ...a.changes, ...b.changes };
      const value = valueOf(format, BODY, TRIO, { ...format.steps, ...changes });
      // Some pairs have the same result as one mistake: an empty secret in a plain hash.
      fc.pre(!steps.some((single) => single.value === value));
      const found = mistakeIn(explained(format, changes))?.split("+") ?? [];
      assertEquals(inOneSpelling(found), inOneSpelling([a.step.code, b.step.code]));
    }),
    { numRuns: 300 },
  );
});

/** Without "+" and "/", URL-safe Base64 looks like Base64 with another mistake. */
function inOneSpelling(codes: readonly string[]): string[] {
  return codes.map((code) => code.replace(/^(strict|unpadded)-base64$/, "base64url")).sort();
}

Deno.test("explain: names every mistake that changes the signature, for any body", () => {
  const body = fc.record({ event: fc.string(), data: fc.jsonValue({ maxDepth: 3 }) })
    .map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(anyFormat, body, fc.nat(), (format, body, pick) => {
      const steps = wrongStepsOf(format, body);
      const { value, changes } = steps[pick % steps.length]!;
      // If several mistakes give the same bytes, any of them is correct.
      const codes = steps.filter((one) => one.value === value).map(({ step }) => step.code);
      const found = mistakeIn(explained(format, changes, body));
      assert(codes.includes(found ?? ""), `${codes.join(" or ")} was called ${found}`);
    }),
    { numRuns: 300 },
  );
});

Deno.test("explain: finds no mistake for garbage, and lists what was tried", () => {
  fc.assert(
    fc.property(anyFormat, fc.uint8Array({ minLength: 64, maxLength: 64 }), (format, noise) => {
      const steps = { ...format.steps, mac: hmac("sha256") };
      const explanation = explained(format, { mac: (_key, text) => steps.mac(noise, text) });
      assert(!explanation.ok);
      assertEquals(explanation.mistake, undefined);
      assertStringIncludes(explanation.reason, "nothing known explains it");
      for (const code of ["pretty-printed", "plain-hash", "secret-empty", "base64url"]) {
        const expected = code !== "base64url" || format.profile === "standard" ||
          format.profile === "bookingsync";
        assertEquals(explanation.checked.includes(code), expected, code);
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("explain: gives an answer for any header value", () => {
  fc.assert(
    fc.property(anyFormat, fc.string({ maxLength: 100 }), (format, value) => {
      assert(!explain(requestOf(format, value, BODY)).ok);
    }),
    { numRuns: 50 },
  );
});

Deno.test("explain: an explanation contains neither the secret nor the correct signature", () => {
  for (const format of FORMATS) {
    const right = valueOf(format, BODY, TRIO).replace(/^(sha256=|v1,)/, "");
    for (const { step, changes, value } of wrongStepsOf(format)) {
      if (value.toLowerCase().includes(right.toLowerCase())) continue;
      const text = JSON.stringify(explained(format, changes));
      assert(!text.includes(right), step.code);
      assert(!text.includes(format.secret), step.code);
    }
    const text = JSON.stringify(explain(requestOf(format, format.secret, BODY)));
    assert(!text.includes(format.secret));
  }
});

Deno.test("explain: a reason says what was signed, what was expected, and how to fix it", () => {
  const bookingsync = FORMATS.find(({ profile }) => profile === "bookingsync")!;
  const explanation = explained(bookingsync, { text: (body) => body.toString("base64") });
  assert(!explanation.ok);
  assertEquals(
    explanation.reason,
    "X-Content-Signature does not match: it was made over Base64 without line breaks, expected the " +
      "lower-case hex HMAC-SHA-1 over Ruby's Base64.encode64 of the body; use Ruby's " +
      "Base64.encode64: a line break after every 60 characters and at the end",
  );
  assertEquals(explanation.verified, ["webhook-signature"]);
});

const ROOSTSYNC = FORMATS.find(({ profile }) => profile === "roostsync")!;
const STANDARD = FORMATS.find(({ profile }) => profile === "standard")!;

/** A good request with changed headers. */
function changed(
  format: Format,
  change: (headers: Headers) => Headers,
  more: Partial<Explainable> = {},
): Explanation {
  const request = requestOf(format, valueOf(format, BODY, TRIO), BODY);
  return explain({ ...request, headers: change(request.headers), ...more });
}

function renamed(from: string, to: string): (headers: Headers) => Headers {
  return (headers) => headers.map(([name, value]) => [name === from ? to : name, value]);
}

function without(...names: string[]): (headers: Headers) => Headers {
  return (headers) => headers.filter(([name]) => !names.includes(name));
}

Deno.test("explain: finds a header under a wrong name, and says that its value is correct", () => {
  for (const to of ["X-Roostsync-Signatur", "HTTP_X_ROOSTSYNC_SIGNATURE", "X-Hub-Signature"]) {
    const explanation = changed(ROOSTSYNC, renamed("X-RoostSync-Signature", to));
    assertEquals(mistakeIn(explanation), "header-misnamed", to);
    assert(!explanation.ok);
    assertStringIncludes(explanation.reason, `"${to}" holds what it should`);
  }
});

Deno.test("explain: names similar headers if one is missing", () => {
  const gone = changed(ROOSTSYNC, without("X-RoostSync-Signature"));
  assertEquals(mistakeIn(gone), "header-missing");
  const other = changed(
    ROOSTSYNC,
    (headers) => [...without("X-RoostSync-Signature")(headers), ["x-hub-signature", "abc"]],
  );
  assertEquals(mistakeIn(other), "header-missing");
  assert(!other.ok);
  assertStringIncludes(other.reason, `"x-hub-signature"`);
});

Deno.test("explain: a trio without its id or timestamp can't be checked", () => {
  for (const name of ["webhook-id", "webhook-timestamp"]) {
    const explanation = changed(STANDARD, without(name));
    assertEquals(mistakeIn(explanation), "header-missing");
    assert(!explanation.ok);
    assertEquals(explanation.header, name);
  }
});

Deno.test("explain: a platform's own signature is enough if no trio header is present", () => {
  const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
  assertEquals(changed(ROOSTSYNC, without(...names)), {
    ok: true,
    verified: ["X-RoostSync-Signature"],
  });
});

Deno.test("explain: header names are case-insensitive", () => {
  assert(changed(ROOSTSYNC, renamed("X-RoostSync-Signature", "x-roostsync-signature")).ok);
});

Deno.test("explain: a header that is repeated, is empty, or contains the secret", () => {
  const twice = changed(ROOSTSYNC, (headers) => [...headers, headers[1]!]);
  assertEquals(mistakeIn(twice), "header-repeated");
  const holding = (value: string) => mistakeIn(explain(requestOf(ROOSTSYNC, value, BODY)));
  assertEquals(holding(""), "header-empty");
  assertEquals(holding(ROOSTSYNC.secret), "secret-itself");
});

Deno.test("explain: a signature that was cut off", () => {
  const value = valueOf(ROOSTSYNC, BODY, TRIO).slice(0, 40);
  assertEquals(mistakeIn(explain(requestOf(ROOSTSYNC, value, BODY))), "signature-truncated");
});

Deno.test("explain: the trio's signature in the platform's header, and the other way round", () => {
  const [, trio] = goodTrio(ROOSTSYNC, BODY);
  assertEquals(mistakeIn(explain(requestOf(ROOSTSYNC, trio, BODY))), "trio-signature");
  const own = valueOf(ROOSTSYNC, BODY, TRIO);
  const swapped = changed(
    ROOSTSYNC,
    (headers) => headers.map(([name, value]) => [name, name === "webhook-signature" ? own : value]),
  );
  assertEquals(mistakeIn(swapped), "platform-signature");
});

Deno.test("explain: one good signature among several is enough for the trio", () => {
  const value = valueOf(STANDARD, BODY, TRIO);
  const other = `v1,${Buffer.alloc(32, 7).toString("base64")}`;
  assert(explain(requestOf(STANDARD, `${other} ${value}`, BODY)).ok);
});

Deno.test("explain: a timestamp may differ by five minutes, either way", () => {
  const at = (ms: number) => mistakeIn(changed(STANDARD, (headers) => headers, { at: AT + ms }));
  assertEquals(at(300_000), "none");
  assertEquals(at(300_001), "stale");
  assertEquals(at(-300_000), "none");
  assertEquals(at(-300_001), "from-the-future");
});

Deno.test("explain: a header's timestamp in milliseconds, signed in either unit", () => {
  const inMs: Trio = { ...TRIO, timestamp: `${TRIO.timestamp}123` };
  const sent = (value: string) =>
    explain({
      ...requestOf(STANDARD, value, BODY),
      headers: [
        ["webhook-id", TRIO.id],
        ["webhook-timestamp", inMs.timestamp],
        ["webhook-signature", value],
      ],
    });
  assertEquals(mistakeIn(sent(valueOf(STANDARD, BODY, inMs))), "timestamp-in-ms");
  assertEquals(mistakeIn(sent(valueOf(STANDARD, BODY, TRIO))), "timestamp-in-ms");
});

Deno.test("explain: finds signed milliseconds that the header doesn't show", () => {
  const value = valueOf(STANDARD, BODY, { ...TRIO, timestamp: `${TRIO.timestamp}987` });
  assertEquals(mistakeIn(explain(requestOf(STANDARD, value, BODY))), "timestamp-in-ms");
});

Deno.test("explain: recognises a truncated body by its length, or because it isn't JSON", () => {
  const value = valueOf(ROOSTSYNC, BODY, TRIO);
  const request = requestOf(ROOSTSYNC, value, BODY);
  const cut = request.rawBody.subarray(0, 50);
  assertEquals(mistakeIn(explain({ ...request, rawBody: cut })), "body-truncated");
  const shorter = new TextEncoder().encode(`{"event":"booking.created"}`);
  const headers: Headers = [...request.headers, ["Content-Length", "130"]];
  assertEquals(mistakeIn(explain({ ...request, headers, rawBody: shorter })), "body-truncated");
  const longer = new TextEncoder().encode(BODY.replace("Zoë", "Somebody else by far"));
  assertEquals(mistakeIn(explain({ ...request, headers, rawBody: longer })), "body-changed");
});

Deno.test("explain: a body with a line break that was not signed", () => {
  const request = requestOf(ROOSTSYNC, valueOf(ROOSTSYNC, BODY, TRIO), BODY);
  for (const end of ["\n", "\r\n"]) {
    const rawBody = new TextEncoder().encode(BODY + end);
    assertEquals(mistakeIn(explain({ ...request, rawBody })), "trailing-newline");
  }
});

Deno.test("explain: a pretty-printed body that was serialised again before signing", () => {
  const pretty = JSON.stringify(JSON.parse(`{"a":[1,2],"b":"ü"}`), null, 2);
  const value = valueOf(ROOSTSYNC, `{"a":[1,2],"b":"ü"}`, TRIO);
  assertEquals(mistakeIn(explain(requestOf(ROOSTSYNC, value, pretty))), "re-serialised");
});

Deno.test("explain: reports a standard secret without its prefix, or with a line break", () => {
  const request = requestOf(STANDARD, valueOf(STANDARD, BODY, TRIO), BODY);
  const given = (secret: string) => mistakeIn(explain({ ...request, secret: new Secret(secret) }));
  assertEquals(given(STANDARD.secret.slice("whsec_".length)), "secret-without-prefix");
  assertEquals(given(`${STANDARD.secret}\n`), "secret-trimmed");
  assertEquals(given("nothing of the kind"), "secret-form");
});

Deno.test("explain: a text secret with a line break that the signer's doesn't have", () => {
  const request = requestOf(ROOSTSYNC, valueOf(ROOSTSYNC, BODY, TRIO), BODY);
  const secret = new Secret(`${ROOSTSYNC.secret}\n`);
  assertEquals(mistakeIn(explain({ ...request, secret })), "secret-trimmed");
});

Deno.test("explain: checks Ed25519 signatures with either key of the pair", () => {
  const { secret, publicKey } = ed25519Pair(new Uint8Array(32).fill(7));
  const subscription = aSubscription({ secret: new Secret(secret) });
  const body = new TextEncoder().encode(BODY);
  const headers = headersFor({ subscription, event: anEvent(), body, at: AT })
    .map(({ name, value }) => [name, value] as const);
  const profile = subscription.profile;
  for (const half of [secret, publicKey]) {
    const request = { profile, secret: new Secret(half), headers, rawBody: body, at: AT };
    assertEquals(explain(request), { ok: true, verified: ["webhook-signature"] });
    const changed = new TextEncoder().encode(BODY + "\n");
    assertEquals(mistakeIn(explain({ ...request, rawBody: changed })), "trailing-newline");
  }
  const request = { profile, secret: A_SECRET, headers, rawBody: body, at: AT };
  assertEquals(mistakeIn(explain(request)), "wrong-kind-of-key");
});

const STAMPED = resolveProfile("stamped", {
  body: { event: { from: "type" }, data: { from: "data" } },
  headers: { "X-Event": "{type}", "X-Delivery": "{uuid}" },
  signature: {
    header: "X-Stamped",
    algorithm: "sha512",
    encoding: "base64",
    over: "{timestamp}:{uuid}:{type}:{body}",
    value: "t={timestamp},v1={signature}",
    separator: "|",
  },
  secret: { form: "text", required: true },
  standardHeaders: false,
}, undefined);

for (const profile of [...BUILT_IN.values(), STAMPED]) {
  Deno.test(`explain: ${profile.name}: what Bellhook sends is good, for any event`, () => {
    const subscription = aSubscription({
      profile,
      secret: profile.secretForm === "text" ? new Secret("a secret") : A_SECRET,
      previousSecret: { secret: new Secret(PREVIOUS_SECRET), until: AT + 1 },
    });
    fc.assert(
      fc.property(fc.jsonValue(), fc.stringMatching(/^[\x21-\x7e]{1,20}$/), (data, id) => {
        const event = anEvent({ id, data: JSON.stringify(data) });
        const rawBody = new TextEncoder().encode(
          JSON.stringify({ event: event.type, data: JSON.parse(event.data) }),
        );
        const headers = headersFor({ subscription, event, body: rawBody, at: AT })
          .map(({ name, value }) => [name, value] as const);
        const { secret } = subscription;
        const explanation = explain({ profile, secret: secret!, headers, rawBody, at: AT });
        assert(explanation.ok, JSON.stringify(explanation));
      }),
      { numRuns: 20 },
    );
  });
}

Deno.test("explain: explains a custom profile like the built-in ones", () => {
  const subscription = aSubscription({ profile: STAMPED, secret: new Secret("a secret") });
  const pretty = JSON.stringify(JSON.parse(BODY.replace(/,"id":\d+/, "")), null, 2);
  const body = new TextEncoder().encode(pretty);
  const headers = headersFor({ subscription, event: anEvent(), body, at: AT })
    .map(({ name, value }) => [name, value] as const);
  const rawBody = new TextEncoder().encode(JSON.stringify(JSON.parse(pretty)));
  const request = { profile: STAMPED, secret: new Secret("a secret"), headers, rawBody, at: AT };
  assertEquals(mistakeIn(explain(request)), "pretty-printed");
  assertEquals(mistakeIn(explain({ ...request, rawBody: body, at: AT + 600_000 })), "stale");
});

Deno.test("explain: a signature over a value that isn't in the request can't be checked", () => {
  const signature = { header: "X-Signature", over: "{uuid}.{body}" };
  const profile = resolveProfile(
    "untold",
    { signature, secret: { form: "text" } },
    BUILT_IN.get("standard")!,
  );
  const secret = new Secret("a secret");
  const rawBody = new TextEncoder().encode(BODY);
  const headersOf = (profile: Profile) =>
    headersFor({
      subscription: aSubscription({ profile, secret }),
      event: anEvent(),
      body: rawBody,
      at: AT,
    })
      .map(({ name, value }) => [name, value] as const);
  const request = { profile, secret, headers: headersOf(profile), rawBody, at: AT };
  const explanation = explain(request);
  assertEquals(mistakeIn(explanation), "part-untold");
  const told = resolveProfile("told", { headers: { "X-Id": "{uuid}" } }, profile);
  assert(explain({ ...request, profile: told, headers: headersOf(told) }).ok);
});

Deno.test("expectedSignatures: returns the correct values, by header", () => {
  for (const format of FORMATS) {
    const request = requestOf(format, "nonsense", BODY);
    const expected: Headers = format.profile === "standard"
      ? [[format.header, valueOf(format, BODY, TRIO)]]
      : [[format.header, valueOf(format, BODY, TRIO)], goodTrio(format, BODY)];
    assertEquals(expectedSignatures(request), expected);
  }
});

Deno.test("explain: limits the work for a body of 256 KiB", () => {
  const data = Array.from({ length: 6_400 }, (_, id) => ({ id, name: "Zoë / <b>", list: [1, 2] }));
  const body = JSON.stringify({ event: "booking.created", data });
  assert(body.length > 250_000);
  for (const format of FORMATS) {
    const garbage = format.steps.mac(new Uint8Array(32), "another text");
    const explanation = explain(requestOf(format, format.steps.write(garbage), body));
    assert(!explanation.ok);
    assertMatch(explanation.reason, /too large to try all pairs of mistakes/);
    // All single mistakes are tried.
    const codes = new Set(wrongStepsOf(format, body).map(({ step }) => step.code));
    for (const code of codes) {
      if (code !== "wrong-algorithm") assert(explanation.checked.includes(code), code);
    }
  }
});
