import { createHmac } from "node:crypto";
import { headerProblem, keysProblem, kindProblem, memberOf, unixProblem } from "./body.ts";
import { checkSignature } from "./signature.ts";
import {
  formProblem,
  type ParsedRequest,
  quoted,
  type RequestProblem,
} from "../../../src/receivers/verification.ts";

/** BookingShake's page, "HTTP Headers" and "Payload Fields". */
export function bookingshake(parsed: ParsedRequest): RequestProblem | undefined {
  const { headers, rawBody, secret } = parsed;
  return checkSignature({
    headers,
    header: "Bookingshake-Signature",
    secret,
    over: "lower hex HMAC-SHA256 over the body",
    computed: (key) => createHmac("sha256", key).update(rawBody).digest("hex"),
  }) ??
    headerProblem(headers, "User-Agent", "Bookingshake-Webhooks/1.0") ??
    idempotencyKeyProblem(headers) ??
    keysProblem(parsed, ["event", "timestamp", "venue_id", "venues_group_id", "data"]) ??
    kindProblem(parsed, "event", ["string"]) ??
    unixProblem("timestamp", memberOf(parsed, "timestamp"), "milliseconds") ??
    kindProblem(parsed, "venue_id", ["string"]) ??
    kindProblem(parsed, "venues_group_id", ["string", "null"]) ??
    kindProblem(parsed, "data", ["object"]);
}

function idempotencyKeyProblem(headers: Headers): RequestProblem | undefined {
  const found = headers.get("Idempotency-Key");
  if (found !== null && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(found)) {
    return undefined;
  }
  return formProblem(`Idempotency-Key is ${quoted(found)}, expected a UUID`);
}
