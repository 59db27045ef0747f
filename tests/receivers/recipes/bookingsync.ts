import { createHmac } from "node:crypto";
import { headerProblem, keysProblem, kindProblem } from "./body.ts";
import { checkSignature } from "./signature.ts";
import type { ParsedRequest, RequestProblem } from "../../../src/receivers/verification.ts";

/**
 * BookingSync's page, "Payload content": `OpenSSL::HMAC.hexdigest("sha1", secret,
 * Base64.encode64(json_body))` must be the header's value.
 */
export function bookingsync(parsed: ParsedRequest): RequestProblem | undefined {
  const { headers, rawBody, secret } = parsed;
  return checkSignature({
    headers,
    header: "X-Content-Signature",
    secret,
    over: "lower hex HMAC-SHA1 over Ruby's Base64.encode64 of the body",
    computed: (key) => hmacSha1(key, encode64(rawBody)),
    mistakes: (key) => [
      ["was made over Base64 without line ends", hmacSha1(key, base64(rawBody))],
      ["was made over the body itself", hmacSha1(key, rawBody)],
    ],
  }) ??
    headerProblem(headers, "User-Agent", "BookingSync Webhook Delivery") ??
    keysProblem(parsed, ["account_id", "event", "resource"]) ??
    kindProblem(parsed, "event", ["string"]);
}

function hmacSha1(key: string, content: string | Uint8Array): string {
  return createHmac("sha1", key).update(content).digest("hex");
}

/** Array#pack("m"): a line of 60 characters for each 45 bytes; every line ends with a newline. */
export function encode64(bytes: Uint8Array): string {
  let lines = "";
  for (let at = 0; at < bytes.length; at += 45) lines += base64(bytes.subarray(at, at + 45)) + "\n";
  return lines;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
