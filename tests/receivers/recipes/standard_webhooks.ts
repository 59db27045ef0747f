/**
 * The verifying side of Standard Webhooks (the specification's "Verifying signatures"), for the
 * profile `standard` and for the trio of headers that the other formats carry beside their own.
 */
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Instant } from "../../../src/domain/instant.ts";
import { isoProblem, keysProblem, kindProblem, memberOf } from "./body.ts";
import { sameText } from "./signature.ts";
import {
  formProblem,
  type Opened,
  type Problem,
  quoted,
} from "../../../src/receivers/verification.ts";
import { signatureProblem } from "../../../src/receivers/verification.ts";

/** How far `webhook-timestamp` may be from the receiver's clock, either way. */
export const TOLERANCE_MS = 5 * 60_000;

/** The recipe of the profile `standard`. */
export function standard(opened: Opened): Problem | undefined {
  return trioProblem(opened, "standard") ??
    keysProblem(opened, ["type", "timestamp", "data"]) ??
    kindProblem(opened, "type", ["string"]) ??
    isoProblem("timestamp", memberOf(opened, "timestamp"));
}

/** How a secret is read: in the specification's forms, as a text's bytes, or by its prefix. */
export type SecretReading = "standard" | "text" | "either";

/** Whether any header of the trio is there. */
export function hasTrio(headers: Headers): boolean {
  return TRIO.some((name) => headers.has(name));
}

const TRIO = ["webhook-id", "webhook-timestamp", "webhook-signature"] as const;

/** Checks id, timestamp and signature; all three must be there. */
export function trioProblem(opened: Opened, reading: SecretReading): Problem | undefined {
  const missing = TRIO.find((name) => !opened.headers.has(name));
  if (missing) return signatureProblem(`${missing} is missing, expected ${TRIO.join(", ")}`);
  const [id, timestamp, signatures] = TRIO.map((name) => opened.headers.get(name)!) as [
    string,
    string,
    string,
  ];
  if (!/^[A-Za-z0-9_-]+$/.test(id)) {
    return formProblem(`webhook-id is ${quoted(id)}, expected letters, digits, "_" and "-"`);
  }
  return staleProblem("webhook-timestamp", timestamp, opened.receivedAt) ??
    anySignatureProblem(signatures, {
      content: Buffer.concat([Buffer.from(`${id}.${timestamp}.`), opened.rawBody]),
      secret: opened.secret,
      reading,
    });
}

/** A timestamp in Unix seconds that must be near the moment the request came. */
export function staleProblem(
  name: string,
  seconds: string,
  receivedAt: Instant,
): Problem | undefined {
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

/** One good signature among several is enough: that is how a secret is changed without a gap. */
function anySignatureProblem(
  signatures: string,
  { content, secret, reading }: Signed,
): Problem | undefined {
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

/** The bytes of a secret that signs by HMAC; undefined where it is none, or not in that form. */
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

/** The fixed beginnings of an Ed25519 key in DER (RFC 8410): what follows is the key itself. */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

function readPublicKey(bytes: Uint8Array): KeyObject | undefined {
  if (bytes.length !== 32) return undefined;
  return createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: "der", type: "spki" });
}

/** A signing key will do as well: a sender checks its own work with it. Seed, or seed and public. */
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
