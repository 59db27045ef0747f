import { createHmac } from "node:crypto";
import { isoProblem, keysProblem, kindProblem, memberOf } from "./body.ts";
import { checkSignature } from "./signature.ts";
import type { ParsedRequest, RequestProblem } from "../../../src/receivers/verification.ts";

/** RoostSync's page, "Verifying Webhooks": `sha256=${expected}` === signature. */
export function roostsync(parsed: ParsedRequest): RequestProblem | undefined {
  const { headers, rawBody, secret } = parsed;
  return checkSignature({
    headers,
    header: "X-RoostSync-Signature",
    secret,
    over: "lower hex HMAC-SHA256 over the body",
    prefix: "sha256=",
    computed: (key) => createHmac("sha256", key).update(rawBody).digest("hex"),
  }) ??
    keysProblem(parsed, ["event", "timestamp", "data", "property_id"]) ??
    kindProblem(parsed, "event", ["string"]) ??
    isoProblem("timestamp", memberOf(parsed, "timestamp"));
}
