import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHmac } from "node:crypto";
import type { Profile } from "../../src/domain/profile.ts";
import { verify } from "../../src/receivers/verify.ts";
import type { Verification } from "../../src/receivers/verification.ts";
import { SIGNED_AT, trioByHand } from "./signed_by_hand.ts";

const SECRET = "house secret";
const BODY =
  '{"kind":"webhook","meta":{"name":"room.cleaned","at":1710499200},"payload":{"n":1.10}}';

/** A custom profile: nested members, a constant, Unix seconds, an optional member. */
function aProfile(overrides: Partial<Profile> = {}): Profile {
  return {
    name: "house",
    body: [
      ["kind", { kind: "constant", value: '"webhook"' }],
      ["meta", {
        kind: "object",
        members: [
          ["name", { kind: "from", source: "type", as: "iso", whenMissing: "null" }],
          ["at", { kind: "from", source: "timestamp", as: "unixSeconds", whenMissing: "null" }],
        ],
      }],
      ["payload", { kind: "from", source: "data", as: "iso", whenMissing: "null" }],
      ["extra", { kind: "from", source: "metadata", as: "iso", whenMissing: "omit" }],
    ],
    headers: [["User-Agent", "House/1"], ["X-Event", "event {type}"]],
    signature: {
      header: "X-House-Signature",
      algorithm: "sha512",
      encoding: "base64",
      over: "{timestamp}:{type}:{body}",
      value: "t={timestamp},s={signature}",
      separator: "|",
    },
    secretForm: "text",
    secretRequired: true,
    standardHeaders: false,
    success: [[200, 299]],
    timeoutMs: 30_000,
    ladder: { waitsMs: [] },
    httpsRequired: true,
    admission: [],
    requiredSettings: [],
    requiredScope: [],
    requiredValues: [],
    ...overrides,
  };
}

function signature(content: string, secret = SECRET): string {
  return createHmac("sha512", secret).update(content).digest("base64");
}

const SECONDS = SIGNED_AT / 1_000;
const HEADERS = {
  "Content-Type": "application/json",
  "User-Agent": "House/1",
  "X-Event": "event room.cleaned",
  "X-House-Signature": `t=${SECONDS},s=${signature(`${SECONDS}:room.cleaned:${BODY}`)}`,
};

interface Sent {
  profile?: Profile;
  headers?: Record<string, string>;
  body?: string;
  secret?: string | undefined;
}

function check(sent: Sent = {}): Verification {
  const { profile = aProfile(), headers = {}, body = BODY } = sent;
  const request = {
    headers: new Headers({ ...HEADERS, ...headers }),
    rawBody: new TextEncoder().encode(body),
    receivedAt: SIGNED_AT,
  };
  return verify(profile, request, "secret" in sent ? sent.secret : SECRET);
}

function problemOf(sent: Sent): string {
  const verification = check(sent);
  assert(!verification.ok, "the request was verified");
  return `${verification.kind}: ${verification.problem}`;
}

Deno.test("custom profile: a correct request verifies, with the event's name from the body", () => {
  assertEquals(check(), { ok: true, event: "room.cleaned", signed: true });
});

Deno.test("custom profile: one of several separated signatures is enough", () => {
  const good = signature(`${SECONDS}:room.cleaned:${BODY}`);
  const value = `t=${SECONDS},s=${signature("x", "old")}|${good}`;
  assert(check({ headers: { "X-House-Signature": value } }).ok);
});

Deno.test("custom profile: a different secret, timestamp, body or header format is a problem", () => {
  const good = signature(`${SECONDS}:room.cleaned:${BODY}`);
  assertStringIncludes(problemOf({ secret: "other" }), "signature: X-House-Signature is");
  assertStringIncludes(problemOf({ secret: undefined }), "no secret");
  assertStringIncludes(problemOf({ body: BODY.replace("1.10", "1.1") }), "signature: ");
  for (const value of [good, `t=${SECONDS + 1},s=${good}`, `s=${good},t=${SECONDS}`, ""]) {
    assertStringIncludes(problemOf({ headers: { "X-House-Signature": value } }), "signature: ");
  }
});

Deno.test("custom profile: an old signed timestamp is a problem", () => {
  const old = SECONDS - 600;
  const value = `t=${old},s=${signature(`${old}:room.cleaned:${BODY}`)}`;
  assertStringIncludes(
    problemOf({ headers: { "X-House-Signature": value } }),
    "signature: the timestamp of X-House-Signature is 600 s before 2024-03-15T10:40:00Z",
  );
});

Deno.test("custom profile: checks keys, constants, timestamps and headers", () => {
  const profile = aProfile({ secretRequired: false });
  delete (profile as { signature?: unknown }).signature;
  const wrong: [Sent, string][] = [
    [{ body: BODY.replace('"webhook"', '"hook"') }, 'kind is "hook", expected "webhook"'],
    [{ body: BODY.replace("1710499200", '"now"') }, 'at is "now", expected a number'],
    [{ body: BODY.replace(/"meta":\{[^}]*\}/, '"meta":1') }, "meta is 1, expected an object"],
    [{ body: BODY.replace('"payload"', '"data"') }, "the body has the keys kind, meta, data"],
    [{ headers: { "X-Event": "room.cleaned" } }, 'X-Event is "room.cleaned", expected'],
    [{ headers: { "User-Agent": "House/2" } }, 'User-Agent is "House/2", expected "House/1"'],
  ];
  for (const [sent, problem] of wrong) {
    assertStringIncludes(problemOf({ ...sent, profile, secret: undefined }), `form: ${problem}`);
  }
  const body = BODY.replace(/}$/, ',"extra":{}}');
  assertEquals(check({ body, profile, secret: undefined }), {
    ok: true,
    event: "room.cleaned",
    signed: false,
  });
});

Deno.test("custom profile: without its own signature, the trio's is required", async () => {
  const profile = aProfile();
  delete (profile as { signature?: unknown }).signature;
  assertStringIncludes(problemOf({ profile }), "signature: webhook-signature is missing");
  const headers = await trioByHand(BODY, new TextEncoder().encode(SECRET));
  assertEquals(check({ profile, headers }), { ok: true, event: "room.cleaned", signed: true });
  assertStringIncludes(problemOf({ profile, headers, secret: "other" }), "webhook-signature is");
});

Deno.test("custom profile: reads id and uuid from the headers", () => {
  const uuid = "5d07ff93-9b23-4e37-8654-4661fcfd8da8";
  const profile = aProfile({
    headers: [["X-Id", "{id}"], ["X-Key", "{uuid}"]],
    signature: {
      header: "X-Sum",
      algorithm: "sha1",
      encoding: "hex",
      over: "{id}/{uuid}/{body:encode64}/{body:reserialised}",
      value: "{signature}",
    },
  });
  const base64 = btoa(BODY).replace(/.{60}/g, "$&\n") + "\n";
  const content = `evt_1/${uuid}/${base64}/${JSON.stringify(JSON.parse(BODY))}`;
  const sum = createHmac("sha1", SECRET).update(content).digest("hex");
  const headers = { "X-Id": "evt_1", "X-Key": uuid, "X-Sum": sum };
  assert(check({ profile, headers }).ok);
  assertStringIncludes(
    problemOf({ profile, headers: { ...headers, "X-Key": "none" } }),
    'X-Sum is "',
  );
});

Deno.test("custom profile: refuses a header that is made to confuse the pattern", () => {
  const profile = aProfile({
    signature: { ...aProfile().signature!, separator: "a", value: "{type}-{signature}-{type}" },
  });
  assert(!check({ profile, headers: { "X-House-Signature": "a-a".repeat(500) } }).ok);
});
