import { createHmac, timingSafeEqual } from "node:crypto";
import { isoProblem, keysProblem, kindProblem, memberOf } from "./body.ts";
import { checkSignature } from "./signature.ts";
import type { Opened, Problem } from "./verification.ts";

/**
 * BookingScheduler's page, "Signature Verification": express has parsed the body, and the HMAC is
 * made over what JSON.stringify writes of it.
 */
export function bookingscheduler(opened: Opened): Problem | undefined {
  const { headers, text, rawBody, secret } = opened;
  return verifySignature(headers.get(HEADER), JSON.parse(text), secret)
    ? formProblems(opened)
    // Goes over the same ground again, for the words.
    : checkSignature({
      headers,
      header: HEADER,
      secret,
      over: "lower hex HMAC-SHA256 over JSON.stringify of the parsed body",
      computed: (key) => hmacSha256(key, JSON.stringify(JSON.parse(text))),
      mistakes: (key) => [["was made over the body as it came", hmacSha256(key, rawBody)]],
    });
}

const HEADER = "X-BookingScheduler-Signature";

/** The page's own function, with the length check without which timingSafeEqual throws. */
function verifySignature(
  signature: string | null,
  payload: unknown,
  secret: string | undefined,
): boolean {
  if (signature === null || secret === undefined) return false;
  const digest = hmacSha256(secret, JSON.stringify(payload));
  const found = Buffer.from(signature), expected = Buffer.from(digest);
  return found.length === expected.length && timingSafeEqual(found, expected);
}

function hmacSha256(key: string, content: string | Uint8Array): string {
  return createHmac("sha256", key).update(content).digest("hex");
}

function formProblems(opened: Opened): Problem | undefined {
  return keysProblem(opened, ["event", "timestamp", "data"]) ??
    kindProblem(opened, "event", ["string"]) ??
    isoProblem("timestamp", memberOf(opened, "timestamp"));
}
