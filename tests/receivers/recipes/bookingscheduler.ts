import { createHmac } from "node:crypto";
import { isoProblem, keysProblem, kindProblem, memberOf } from "./body.ts";
import { checkSignature } from "./signature.ts";
import type { ParsedRequest, RequestProblem } from "../../../src/receivers/verification.ts";

/**
 * BookingScheduler's page, "Signature Verification": express has parsed the body, and the HMAC is
 * made over what JSON.stringify writes of it. The lengths are compared first, for want of which
 * the page's timingSafeEqual throws.
 */
export function bookingscheduler(parsed: ParsedRequest): RequestProblem | undefined {
  const { headers, text, rawBody, secret } = parsed;
  return checkSignature({
    headers,
    header: "X-BookingScheduler-Signature",
    secret,
    over: "lower hex HMAC-SHA256 over JSON.stringify of the parsed body",
    computed: (key) => hmacSha256(key, JSON.stringify(JSON.parse(text))),
    mistakes: (key) => [["was made over the body as it came", hmacSha256(key, rawBody)]],
  }) ??
    keysProblem(parsed, ["event", "timestamp", "data"]) ??
    kindProblem(parsed, "event", ["string"]) ??
    isoProblem("timestamp", memberOf(parsed, "timestamp"));
}

function hmacSha256(key: string, content: string | Uint8Array): string {
  return createHmac("sha256", key).update(content).digest("hex");
}
