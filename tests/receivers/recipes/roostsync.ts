import { createHmac } from "node:crypto";
import { isoProblem, keysProblem, kindProblem, memberOf } from "./body.ts";
import { checkSignature } from "./signature.ts";
import type { Opened, Problem } from "../../../src/receivers/verification.ts";

/** RoostSync's page, "Verifying Webhooks": `sha256=${expected}` === signature. */
export function roostsync(opened: Opened): Problem | undefined {
  const { headers, rawBody, secret } = opened;
  return checkSignature({
    headers,
    header: "X-RoostSync-Signature",
    secret,
    over: "lower hex HMAC-SHA256 over the body",
    prefix: "sha256=",
    computed: (key) => createHmac("sha256", key).update(rawBody).digest("hex"),
  }) ??
    keysProblem(opened, ["event", "timestamp", "data", "property_id"]) ??
    kindProblem(opened, "event", ["string"]) ??
    isoProblem("timestamp", memberOf(opened, "timestamp"));
}
