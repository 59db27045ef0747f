/**
 * Requests signed exactly as each platform's page says, with Web Crypto. Uses neither our signing nor
 * our verifying code.
 */

/** A request's headers. */
export interface SignedRequest {
  headers: Record<string, string>;
  body: string;
}

/** When the requests here are signed. */
export const SIGNED_AT = Date.UTC(2024, 2, 15, 10, 40);

/** A platform's body and secret, from the vectors. */
export interface Vector {
  profile: string;
  secret?: string;
  attemptAt?: string;
  expect: { body: string; headers: Record<string, string> };
}

export async function vector(profile: string): Promise<Vector> {
  const file = new URL(`../vectors/${profile}.json`, import.meta.url);
  return JSON.parse(await Deno.readTextFile(file));
}

/** A body with the headers that the profile's page requires. */
export async function signedByHand(
  profile: string,
  body: string,
  secret: string,
): Promise<SignedRequest> {
  const json = { "Content-Type": "application/json" };
  switch (profile) {
    case "bookingsync": {
      const lines = btoa(latin1(body)).replace(/.{60}/g, "$&\n").replace(/[^\n]$/, "$&\n");
      const signature = await hex("SHA-1", secret, lines);
      const agent = { "User-Agent": "BookingSync Webhook Delivery" };
      return { body, headers: { ...json, ...agent, "X-Content-Signature": signature } };
    }
    case "bookingshake": {
      const headers = {
        ...json,
        "User-Agent": "Bookingshake-Webhooks/1.0",
        "Idempotency-Key": "5d07ff93-9b23-4e37-8654-4661fcfd8da8",
        "Bookingshake-Signature": await hex("SHA-256", secret, body),
      };
      return { body, headers };
    }
    case "bookingscheduler": {
      const signature = await hex("SHA-256", secret, JSON.stringify(JSON.parse(body)));
      return { body, headers: { ...json, "X-BookingScheduler-Signature": signature } };
    }
    case "roostsync": {
      const signature = `sha256=${await hex("SHA-256", secret, body)}`;
      return { body, headers: { ...json, "X-RoostSync-Signature": signature } };
    }
    case "standard": {
      const key = Uint8Array.fromBase64(secret.replace(/^whsec_/, ""));
      return { body, headers: { ...json, ...await trioByHand(body, key) } };
    }
    default:
      return { body, headers: json };
  }
}

/** The Standard Webhooks headers for a body, signed with an HMAC key. */
export async function trioByHand(
  body: string,
  key: Uint8Array<ArrayBuffer>,
  at = SIGNED_AT,
): Promise<Record<string, string>> {
  const timestamp = String(at / 1_000);
  const signature = await hmac("SHA-256", key, `evt_01TEST.${timestamp}.${body}`);
  return {
    "webhook-id": "evt_01TEST",
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature.toBase64()}`,
  };
}

/** An HMAC with a text key, in lower-case hex. */
export async function hex(hash: string, secret: string, content: string): Promise<string> {
  return (await hmac(hash, new TextEncoder().encode(secret), content)).toHex();
}

async function hmac(
  hash: string,
  secret: Uint8Array<ArrayBuffer>,
  content: string,
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash }, false, ["sign"]);
  const bytes = new TextEncoder().encode(content);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes));
}

function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
