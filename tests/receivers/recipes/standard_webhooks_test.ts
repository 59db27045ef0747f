import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { generateKeyPairSync, sign } from "node:crypto";
import { verify } from "./recipes.ts";
import { SIGNED_AT, signedByHand, trioByHand } from "../signed_by_hand.ts";

const BODY = '{"type":"booking.created","timestamp":"2024-03-15T10:30:00Z","data":{}}';
const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

function problemOf(
  headers: Record<string, string>,
  { secret = SECRET, receivedAt = SIGNED_AT } = {},
): string | undefined {
  const rawBody = new TextEncoder().encode(BODY);
  const request = { headers: new Headers(headers), rawBody, receivedAt };
  const verification = verify("standard", request, secret);
  return verification.ok ? undefined : verification.problem;
}

Deno.test("standard webhooks: tolerates exactly five minutes either way", async () => {
  const { headers } = await signedByHand("standard", BODY, SECRET);
  for (const sign of [-1, 1]) {
    assertEquals(problemOf(headers, { receivedAt: SIGNED_AT + sign * 300_000 }), undefined);
  }
  assertStringIncludes(problemOf(headers, { receivedAt: SIGNED_AT + 400_000 })!, "is 400 s old");
  assertStringIncludes(problemOf(headers, { receivedAt: SIGNED_AT - 400_000 })!, "is 400 s ahead");
  assert(problemOf(headers, { receivedAt: SIGNED_AT + 300_001 }));
});

Deno.test("standard webhooks: one good signature among several is enough", async () => {
  const { headers } = await signedByHand("standard", BODY, SECRET);
  const several = `v1a,AAAA v2,x nonsense v1,${btoa("x".repeat(32))} ${
    headers["webhook-signature"]
  }`;
  assertEquals(problemOf({ ...headers, "webhook-signature": several }), undefined);
});

Deno.test("standard webhooks: id, timestamp, version and Base64 must all be correct", async () => {
  const { headers } = await signedByHand("standard", BODY, SECRET);
  const signature = headers["webhook-signature"]!;
  const wrong: Record<string, string>[] = [
    { "webhook-id": "evt_02TEST" },
    { "webhook-timestamp": String(SIGNED_AT / 1_000 + 1) },
    { "webhook-timestamp": "soon" },
    { "webhook-signature": signature.slice(3) },
    { "webhook-signature": `v1a${signature.slice(2)}` },
    { "webhook-signature": signature.replace("=", "") },
    { "webhook-signature": "v1," },
    { "webhook-signature": "" },
  ];
  for (const change of wrong) assert(problemOf({ ...headers, ...change }), JSON.stringify(change));
});

Deno.test("standard webhooks: an id with a dot is a problem even if the signature is good", async () => {
  const { headers } = await signedByHand("standard", BODY, SECRET);
  assertStringIncludes(problemOf({ ...headers, "webhook-id": "evt.1" })!, 'webhook-id is "evt.1"');
});

Deno.test("standard webhooks: each of the three headers is required", async () => {
  const trio = await trioByHand(BODY, Uint8Array.fromBase64(SECRET.slice(6)));
  for (const name of Object.keys(trio)) {
    const { [name]: _, ...rest } = trio;
    const headers = { "Content-Type": "application/json", ...rest };
    assertStringIncludes(problemOf(headers)!, `${name} is missing`);
  }
});

Deno.test("standard webhooks: Ed25519 signatures verify with the public key, or with the signing key", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const publicBytes = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
  const { headers } = await signedByHand("standard", BODY, SECRET);
  const content = `evt_01TEST.${SIGNED_AT / 1_000}.${BODY}`;
  const signature = sign(null, new TextEncoder().encode(content), privateKey);
  const signed = { ...headers, "webhook-signature": `v1a,${signature.toString("base64")}` };
  const secrets = [
    `whpk_${publicBytes.toString("base64")}`,
    `whsk_${seed.toString("base64")}`,
    `whsk_${new Uint8Array([...seed, ...publicBytes]).toBase64()}`,
  ];
  for (const secret of secrets) assertEquals(problemOf(signed, { secret }), undefined);
  const other = generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" });
  const secret = `whpk_${other.subarray(-32).toString("base64")}`;
  assertStringIncludes(problemOf(signed, { secret })!, "the Base64 Ed25519 signature");
  assertStringIncludes(problemOf(headers, { secret })!, "the Base64 Ed25519 signature");
});

Deno.test("standard webhooks: a secret in an unknown form is reported, and not shown", async () => {
  const { headers } = await signedByHand("standard", BODY, SECRET);
  for (const secret of ["plain text", "whsec_c2hvcnQ=", "whpk_AAAA", "whsec_%%%", "whsk_"]) {
    const problem = problemOf(headers, { secret })!;
    assertStringIncludes(problem, "can't be checked");
    assert(!problem.includes(secret) || secret === "whsk_", problem);
  }
});
