/**
 * Verifies as in "Verifying signatures" of the Standard Webhooks specification, for the profile
 * `standard`, and for the trio of headers that other formats send in addition to their own.
 */
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Instant } from "../../../src/domain/instant.ts";
import { isoProblem, keysProblem, kindProblem, memberOf } from "./body.ts";
import { sameText } from "./signature.ts";
import {
  formProblem,
  type ParsedRequest,
  quoted,
  type RequestProblem,
} from "../../../src/receivers/verification.ts";
import { signatureProblem } from "../../../src/receivers/verification.ts";

/** How far `webhook-timestamp` may differ from the receiver's clock. */
export const TOLERANCE_MS = 5 * 60_000;

/** The recipe of the profile `standard`. */
export function standard(parsed: ParsedRequest): RequestProblem | undefined {
  return trioProblem(parsed, "standard") ??
    keysProblem(parsed, ["type", "timestamp", "data"]) ??
    kindProblem(parsed, "type", ["string"]) ??
    isoProblem("timestamp", memberOf(parsed, "timestamp"));
}

/** How a secret is decoded: as the specification says, as a text's bytes, or by its prefix. */
export type SecretReading = "standard" | "text" | "either";

/** Whether any header of the trio is present. */
export function hasTrio(headers: Headers): boolean {
  return TRIO.some((name) => headers.has(name));
}

const TRIO = ["webhook-id", "webhook-timestamp", "webhook-signature"] as const;

/** Checks id, timestamp and signature; all three are required. */
export function trioProblem(
  parsed: ParsedRequest,
  reading: SecretReading,
): RequestProblem | undefined {
  const missing = TRIO.find((name) => !parsed.headers.has(name));
  if (missing) return signatureProblem(`${missing} is missing, expected ${TRIO.join(", ")}`);
  const [id, timestamp, signatures] = TRIO.map((name) => parsed.headers.get(name)!) as [
    string,
    string,
    string,
  ];
  if (!/^[A-Za-z0-9_-]+$/.test(id)) {
    return formProblem(`webhook-id is ${quoted(id)}, expected letters, digits, "_" and "-"`);
  }
  return staleProblem("webhook-timestamp", timestamp, parsed.receivedAt) ??
    anySignatureProblem(signatures, {
      content: Buffer.concat([Buffer.from(`${id}.${timestamp}.`), parsed.rawBody]),
      secret: parsed.secret,
      reading,
    });
}

/** Checks that a timestamp is in Unix seconds, and close to when the request arrived. */
export function staleProblem(
  name: string,
  seconds: string,
  receivedAt: Instant,
): RequestProblem | undefined {
  if (!/^\d{1,15}$/.test(seconds)) {
    return signatureProblem(`${name} is ${quoted(seconds)}, expected Unix seconds`);
  }
  const ageMs = receivedAt - Number(seconds) * 1_000;
  if (Math.abs(ageMs) <= TOLERANCE_MS) return undefined;
  const distance = `${Math.round(Math.abs(ageMs) / 1_000)} s ${ageMs > 0 ? "old" : "ahead"}`;
  return signatureProblem(`${name} is ${distance}, expected at most ${TOLERANCE_MS / 1_000} s`);
}

interface Signed {
  readonly content: Uint8Array;
  readonly secret: string | undefined;
  readonly reading: SecretReading;
}

/** One good signature among several is enough, so that a secret can be changed without a gap. */
function anySignatureProblem(
  signatures: string,
  { content, secret, reading }: Signed,
): RequestProblem | undefined {
  if (secret === undefined) {
    return signatureProblem("webhook-signature can't be checked: this receiver has no secret");
  }
  const key = readSecret(secret, reading);
  if (key === undefined) {
    return signatureProblem(
      "webhook-signature can't be checked: this receiver's secret is not \"whsec_\" and Base64 " +
        'of 24 to 64 bytes, nor "whpk_" or "whsk_" and Base64 of an Ed25519 key',
    );
  }
  const good = signatures.split(" ").some((signature) => isGood(signature, key, content));
  if (good) return undefined;
  const over = key.version === "v1"
    ? '"v1," and the Base64 HMAC-SHA256'
    : '"v1a," and the Base64 Ed25519 signature';
  return signatureProblem(
    `webhook-signature is ${quoted(signatures)}, expected ${over} over id.timestamp.body with ` +
      "this receiver's secret",
  );
}

type Key =
  | { readonly version: "v1"; readonly bytes: Uint8Array }
  | { readonly version: "v1a"; readonly publicKey: KeyObject };

function isGood(signature: string, key: Key, content: Uint8Array): boolean {
  const comma = signature.indexOf(",");
  if (comma < 0 || signature.slice(0, comma) !== key.version) return false;
  const value = signature.slice(comma + 1);
  if (key.version === "v1") {
    return sameText(value, createHmac("sha256", key.bytes).update(content).digest("base64"));
  }
  const bytes = fromBase64(value);
  return bytes?.length === 64 && verify(null, content, key.publicKey, bytes);
}

/** The bytes of an HMAC secret; undefined for an Ed25519 key, or if it isn't in that form. */
export function hmacKey(secret: string, reading: SecretReading): Uint8Array | undefined {
  const key = readSecret(secret, reading);
  return key?.version === "v1" ? key.bytes : undefined;
}

function readSecret(secret: string, reading: SecretReading): Key | undefined {
  const asText = { version: "v1", bytes: new TextEncoder().encode(secret) } as const;
  if (reading === "text") return asText;
  return readStandard(secret) ?? (reading === "either" ? asText : undefined);
}

function readStandard(secret: string): Key | undefined {
  const [, prefix, base64] = /^(whsec|whpk|whsk)_(.*)$/s.exec(secret) ?? [];
  const bytes = base64 === undefined ? undefined : fromBase64(base64);
  if (bytes === undefined) return undefined;
  if (prefix === "whsec") {
    return bytes.length >= 24 && bytes.length <= 64 ? { version: "v1", bytes } : undefined;
  }
  const publicKey = prefix === "whpk" ? readPublicKey(bytes) : derivePublicKey(bytes);
  return publicKey && { version: "v1a", publicKey };
}

/** The bytes before an Ed25519 key in its DER encoding (RFC 8410). */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

function readPublicKey(bytes: Uint8Array): KeyObject | undefined {
  if (bytes.length !== 32) return undefined;
  return createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: "der", type: "spki" });
}

/** From a signing key (seed, or seed and public key), with which a sender checks its own work. */
function derivePublicKey(bytes: Uint8Array): KeyObject | undefined {
  if (bytes.length !== 32 && bytes.length !== 64) return undefined;
  const der = Buffer.concat([PKCS8, bytes.subarray(0, 32)]);
  return createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }) as KeyObject);
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}
