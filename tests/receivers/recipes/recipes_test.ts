import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { verify } from "./recipes.ts";
import type { Verification } from "../../../src/receivers/verification.ts";
import { fc } from "../../support/properties.ts";
import { signedByHand, type SignedRequest, trioByHand, vector } from "../signed_by_hand.ts";
import { hex, SIGNED_AT } from "../signed_by_hand.ts";

const PROFILES = [
  "bookingsync",
  "booking-experts",
  "bookingshake",
  "bookingscheduler",
  "roostsync",
  "standard",
];
const SIGNING = PROFILES.filter((profile) => profile !== "booking-experts");
const WITH_TEXT_SECRET = SIGNING.filter((profile) => profile !== "standard");

function check(
  profile: string,
  { headers, body }: { headers: Record<string, string>; body: string | Uint8Array },
  secret?: string,
): Verification {
  const rawBody = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return verify(
    profile,
    { headers: new Headers(headers), rawBody, receivedAt: SIGNED_AT + 1_000 },
    secret,
  );
}

/** A good request for the profile, and its secret. */
async function good(profile: string): Promise<{ request: SignedRequest; secret: string }> {
  const { expect, secret = "be_secret" } = await vector(profile);
  return { request: await signedByHand(profile, expect.body, secret), secret };
}

/** The problem of a request that must have one. */
function problemOf(verification: Verification): string {
  assert(!verification.ok, "the request was verified");
  return `${verification.kind}: ${verification.problem}`;
}

for (const profile of PROFILES) {
  Deno.test(`${profile}: verifies its vector`, async () => {
    const { expect, secret } = await vector(profile);
    const headers = profile === "bookingshake"
      ? { ...expect.headers, "Idempotency-Key": "5d07ff93-9b23-4e37-8654-4661fcfd8da8" }
      : expect.headers;
    const event = JSON.parse(expect.body).event ?? JSON.parse(expect.body).type;
    assertEquals(check(profile, { headers, body: expect.body }, secret), {
      ok: true,
      event,
      signed: profile !== "booking-experts",
    });
  });

  Deno.test(`${profile}: verifies a request signed exactly as the page says`, async () => {
    const { request, secret } = await good(profile);
    assert(check(profile, request, profile === "booking-experts" ? undefined : secret).ok);
  });

  Deno.test(`${profile}: another Content-Type is a problem`, async () => {
    const { request, secret } = await good(profile);
    const headers = { ...request.headers, "Content-Type": "application/json; charset=utf-8" };
    assertEquals(
      problemOf(check(profile, { ...request, headers }, secret)),
      'form: Content-Type is "application/json; charset=utf-8", expected "application/json"',
    );
  });

  Deno.test(`${profile}: keys in another order are a problem`, async () => {
    const { request, secret } = await good(profile);
    const body = JSON.stringify(
      Object.fromEntries(Object.entries(JSON.parse(request.body)).reverse()),
    );
    const problem = problemOf(check(profile, await signedByHand(profile, body, secret), secret));
    assertStringIncludes(problem, "form: the body has the keys ");
    assertStringIncludes(
      problem,
      `expected ${Object.keys(JSON.parse(request.body)).slice(0, 5).join(", ")}`,
    );
  });

  Deno.test(`${profile}: a missing, an extra and a repeated key are problems`, async () => {
    const { request, secret } = await good(profile);
    const members = JSON.parse(request.body);
    const [first] = Object.keys(members);
    const { [first!]: _, ...without } = members;
    const wrong = [
      JSON.stringify(without),
      JSON.stringify({ ...members, extra: 1 }),
      request.body.replace(/}$/, `,"${first}":${JSON.stringify(members[first!])}}`),
    ];
    for (const body of wrong) {
      const signed = await signedByHand(profile, body, secret);
      assertStringIncludes(
        problemOf(check(profile, signed, secret)),
        "form: the body has the keys",
      );
    }
  });

  Deno.test(`${profile}: bodies that aren't JSON objects are problems of form`, () => {
    const bodies = ["", "no json", "[]", "null", '"text"', "{", "\ufeff{}", "[".repeat(100_000)];
    for (const body of bodies) {
      assertStringIncludes(
        problemOf(check(profile, { headers: {}, body }, "s")),
        "form: the body is",
      );
    }
    const deep = `{"event":${"[".repeat(200)}${"]".repeat(200)}}`;
    assertStringIncludes(
      problemOf(check(profile, { headers: {}, body: deep }, "s")),
      "nested deeper",
    );
  });

  Deno.test(`${profile}: never throws, for any bytes and headers`, () => {
    const names = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"];
    const ownNames = ["x-content-signature", "bookingshake-signature", "x-roostsync-signature"];
    const value = fc.string({ unit: fc.constantFrom(..."aZ0,=+/_- :v1") });
    fc.assert(fc.property(
      fc.oneof(fc.uint8Array(), fc.json().map((text) => new TextEncoder().encode(text))),
      fc.dictionary(fc.constantFrom(...names, ...ownNames), value),
      fc.option(fc.string(), { nil: undefined }),
      (body, headers, secret) => {
        assertEquals(check(profile, { headers, body }, secret).ok, false);
      },
    ));
  });
}

for (const profile of SIGNING) {
  Deno.test(`${profile}: a signature with another secret is a problem that shows neither of them`, async () => {
    const { request, secret } = await good(profile);
    const other = profile === "standard"
      ? `whsec_${btoa("another secret, 24 bytes or more")}`
      : "no!t";
    const problem = problemOf(check(profile, request, other));
    assertStringIncludes(problem, "signature: ");
    assert(!problem.includes(secret) && !problem.includes(other), problem);
    const right = await signedByHand(profile, request.body, other);
    const rightSignature = Object.entries(right.headers).find(([name]) => /signature/i.test(name))!;
    assert(
      !problem.includes(rightSignature[1].slice(-20)),
      "the problem hands out a good signature",
    );
  });

  Deno.test(`${profile}: a body changed by one character is a problem`, async () => {
    const { request, secret } = await good(profile);
    const body = request.body.replace("created", "creates");
    assertStringIncludes(problemOf(check(profile, { ...request, body }, secret)), "signature: ");
  });

  Deno.test(`${profile}: a receiver without a secret refuses`, async () => {
    const { request } = await good(profile);
    assertStringIncludes(problemOf(check(profile, request)), "can't be checked");
  });

  Deno.test(`${profile}: a request without a signature is a problem`, async () => {
    const { request, secret } = await good(profile);
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => !/signature/i.test(name)),
    );
    assertStringIncludes(
      problemOf(check(profile, { ...request, headers }, secret)),
      " is missing,",
    );
  });
}

for (const profile of SIGNING.filter((name) => name !== "bookingscheduler")) {
  Deno.test(`${profile}: a body pretty-printed or re-serialised after signing is a problem`, async () => {
    const { request, secret } = await good(profile);
    const pretty = JSON.stringify(JSON.parse(request.body), null, 2);
    assertStringIncludes(
      problemOf(check(profile, { ...request, body: pretty }, secret)),
      "signature: ",
    );
    const body = request.body.replace(/^\{/, '{"x":1e3,');
    const signed = await signedByHand(profile, body, secret);
    const anew = JSON.stringify(JSON.parse(body));
    assertStringIncludes(
      problemOf(check(profile, { ...signed, body: anew }, secret)),
      "signature: ",
    );
  });
}

for (const profile of WITH_TEXT_SECRET) {
  Deno.test(`${profile}: distinguishes upper-case hex from a wrong signature`, async () => {
    const { request, secret } = await good(profile);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) =>
        /signature/i.test(name)
          ? [name, value.replace(/[0-9a-f]{40,}/, (it) => it.toUpperCase())]
          : [name, value]
      ),
    );
    assertStringIncludes(
      problemOf(check(profile, { ...request, headers }, secret)),
      "is in upper case, expected",
    );
  });

  Deno.test(`${profile}: the additional trio's key is the secret's text, whatever it looks like`, async () => {
    const { request } = await good(profile);
    const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const signed = await signedByHand(profile, request.body, secret);
    const trio = await trioByHand(request.body, new TextEncoder().encode(secret));
    assert(check(profile, { ...signed, headers: { ...signed.headers, ...trio } }, secret).ok);
    const decoded = await trioByHand(request.body, Uint8Array.fromBase64(secret.slice(6)));
    assertStringIncludes(
      problemOf(check(profile, { ...signed, headers: { ...signed.headers, ...decoded } }, secret)),
      "signature: webhook-signature",
    );
  });
}

Deno.test("bookingsync: verifies every body length around a line of encode64", async () => {
  for (let length = 0; length <= 100; length++) {
    const body = `{"account_id":1,"event":"e","resource":"${"x".repeat(length)}"}`;
    assert(check("bookingsync", await signedByHand("bookingsync", body, "s"), "s").ok);
  }
});

Deno.test("bookingsync: names strict Base64 as the mistake", async () => {
  const { request, secret } = await good("bookingsync");
  const wrong = await hex("SHA-1", secret, btoa(request.body));
  const headers = { ...request.headers, "X-Content-Signature": wrong };
  assertEquals(
    problemOf(check("bookingsync", { ...request, headers }, secret)),
    "signature: X-Content-Signature was made over Base64 without line ends, expected the lower hex " +
      "HMAC-SHA1 over Ruby's Base64.encode64 of the body",
  );
});

Deno.test("bookingsync: another User-Agent is a problem", async () => {
  const { request, secret } = await good("bookingsync");
  const headers = { ...request.headers, "User-Agent": "curl/8" };
  assertStringIncludes(
    problemOf(check("bookingsync", { ...request, headers }, secret)),
    'User-Agent is "curl/8", expected "BookingSync Webhook Delivery"',
  );
});

Deno.test("bookingscheduler: whitespace doesn't matter to a receiver that parses first", async () => {
  const { request, secret } = await good("bookingscheduler");
  const body = JSON.stringify(JSON.parse(request.body), null, 2);
  assert(check("bookingscheduler", { ...request, body }, secret).ok);
});

Deno.test("bookingscheduler: a number with too many digits verifies if the JSON.stringify output was signed", async () => {
  const body = '{"event":"booking.created","timestamp":"2024-01-15T10:00:00Z",' +
    '"data":{"id":9007199254740993,"total":1.10,"rate":1e3,"2":0,"1":0}}';
  assert(check("bookingscheduler", await signedByHand("bookingscheduler", body, "s"), "s").ok);
  const wrong = { "X-BookingScheduler-Signature": await hex("SHA-256", "s", body) };
  assertStringIncludes(
    problemOf(
      check(
        "bookingscheduler",
        { body, headers: { "Content-Type": "application/json", ...wrong } },
        "s",
      ),
    ),
    "was made over the body as it came",
  );
});

Deno.test("bookingscheduler: a signature of another length is refused, not a crash", async () => {
  const { request, secret } = await good("bookingscheduler");
  for (const signature of ["", "ab", "é", "0".repeat(65)]) {
    const headers = { ...request.headers, "X-BookingScheduler-Signature": signature };
    assertStringIncludes(
      problemOf(check("bookingscheduler", { ...request, headers }, secret)),
      "signature: ",
    );
  }
});

Deno.test("bookingscheduler, roostsync, standard: the timestamp is ISO 8601 with a Z", async () => {
  for (const profile of ["bookingscheduler", "roostsync", "standard"]) {
    const { request, secret } = await good(profile);
    for (
      const timestamp of [
        '"2024-03-15T10:30:00+00:00"',
        '"2024-02-30T10:30:00Z"',
        "1710498600000",
        "null",
      ]
    ) {
      const body = request.body.replace(/"timestamp":"[^"]*"/, `"timestamp":${timestamp}`);
      assertStringIncludes(
        problemOf(check(profile, await signedByHand(profile, body, secret), secret)),
        `form: timestamp is ${timestamp}, expected ISO 8601`,
      );
    }
    const body = request.body.replace(
      /"timestamp":"[^"]*"/,
      '"timestamp":"2024-03-15T10:30:00.123Z"',
    );
    assert(check(profile, await signedByHand(profile, body, secret), secret).ok);
  }
});

Deno.test("bookingshake: the timestamp is a number of milliseconds", async () => {
  const { request, secret } = await good("bookingshake");
  for (const timestamp of ['"2024-11-13T10:30:00Z"', "1731493800", "1731493800000.5", "null"]) {
    const body = request.body.replace("1731493800000", timestamp);
    assertEquals(
      problemOf(check("bookingshake", await signedByHand("bookingshake", body, secret), secret)),
      `form: timestamp is ${timestamp}, expected a number of Unix milliseconds`,
    );
  }
});

Deno.test("bookingshake: the group of a venue without one is null", async () => {
  const { request, secret } = await good("bookingshake");
  const body = request.body.replace('"group456"', "null");
  assert(check("bookingshake", await signedByHand("bookingshake", body, secret), secret).ok);
});

Deno.test("bookingshake: requires the User-Agent, and a UUID as Idempotency-Key", async () => {
  const { request, secret } = await good("bookingshake");
  const wrong = { "User-Agent": "Bellhook/1", "Idempotency-Key": "evt_1" };
  for (const [name, value] of Object.entries(wrong)) {
    const headers = { ...request.headers, [name]: value };
    assertStringIncludes(
      problemOf(check("bookingshake", { ...request, headers }, secret)),
      `form: ${name} is "${value}", expected`,
    );
  }
});

Deno.test("roostsync: distinguishes a missing prefix from a wrong signature", async () => {
  const { request, secret } = await good("roostsync");
  const signature = request.headers["X-RoostSync-Signature"]!.slice("sha256=".length);
  const headers = { ...request.headers, "X-RoostSync-Signature": signature };
  assertStringIncludes(
    problemOf(check("roostsync", { ...request, headers }, secret)),
    'X-RoostSync-Signature lacks the prefix "sha256="',
  );
});

Deno.test("booking-experts: checks each part of the body", async () => {
  const { request } = await good("booking-experts");
  const members = JSON.parse(request.body);
  const wrong: [Record<string, unknown>, string][] = [
    [{ event: "reservation.checked_in" }, "event is"],
    [{ event: 7 }, "event is 7"],
    [{ subscription_id: null }, "subscription_id is null, expected a string or a number"],
    [{ record: [] }, "record is [], expected an object"],
    [{ context: "venue" }, 'context is "venue", expected "administration"'],
    [{ context_id: null }, "context_id is null, expected a string or a number"],
    [{ context: "global" }, 'context_id is "adm_9", expected null'],
    [{ event_metadata: null }, "event_metadata is null, expected an object"],
  ];
  for (const [change, problem] of wrong) {
    const body = JSON.stringify({ ...members, ...change });
    assertStringIncludes(
      problemOf(check("booking-experts", { ...request, body })),
      `form: ${problem}`,
    );
  }
});

Deno.test("booking-experts: accepts all contexts, and both spellings of an event's name", async () => {
  const { request } = await good("booking-experts");
  const { event_metadata: _, ...members } = JSON.parse(request.body);
  const right = [
    { event: "channel|updated", context: "organization", context_id: 4, subscription_id: 77 },
    { event: "currency:created", context: "global", context_id: null },
  ];
  for (const change of right) {
    const body = JSON.stringify({ ...members, ...change });
    assertEquals(check("booking-experts", { ...request, body }), {
      ok: true,
      event: change.event,
      signed: false,
    });
  }
});

Deno.test("booking-experts: checks the trio if there is a secret, text or whsec_", async () => {
  const { request } = await good("booking-experts");
  const standard = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
  const keys = [["any text", new TextEncoder().encode("any text")], [
    standard,
    Uint8Array.fromBase64(standard.slice(6)),
  ]] as const;
  for (const [secret, key] of keys) {
    const headers = { ...request.headers, ...await trioByHand(request.body, key) };
    const verification = check("booking-experts", { ...request, headers }, secret);
    assertEquals(verification, { ok: true, event: "reservation:checked_in", signed: true });
    assertStringIncludes(
      problemOf(check("booking-experts", { ...request, headers }, "another")),
      "signature: webhook-signature",
    );
    // It can't be checked without a secret, and the format requires no signature.
    assert(check("booking-experts", { ...request, headers }).ok);
  }
});

Deno.test("verify() knows built-in profiles only", () => {
  assertThrows(() => check("mine", { headers: {}, body: "{}" }), Error, 'the profile "mine"');
});
