import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in PHP. */
export function phpSample(scheme: Scheme): string {
  switch (scheme.kind) {
    case "own":
      return own(scheme);
    case "standard":
      return standard(keyOf(scheme.key));
    case "ed25519":
      return ED25519;
  }
}

const ABOUT = `// $headers: array_change_key_case(getallheaders())
// $rawBody: file_get_contents('php://input')`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const signed = over.map(pieceOf).join(" . ");
  const signature = encoding === "hex"
    ? `hash_hmac('${algorithm}', $signed, ${keyOf(key)})`
    : `base64_encode(hash_hmac('${algorithm}', $signed, ${keyOf(key)}, true))`;
  return `<?php

${ABOUT}
function is_genuine(array $headers, string $rawBody, string $secret): bool
{
    $signed = ${signed};
    $signature = ${signature};
    $expected = ${value.map(pieceOf).join(" . ")};
    return hash_equals($expected, $headers['${header.toLowerCase()}'] ?? '');
}
`;
}

function pieceOf(piece: Piece): string {
  switch (piece.kind) {
    case "text":
      return `'${piece.text.replace(/[\\']/g, "\\$&")}'`;
    case "signature":
      return "$signature";
    case "header":
      return `($headers['${piece.name}'] ?? '')`;
    case "body":
      return piece.form === "encode64"
        ? `chunk_split(base64_encode($rawBody), 60, "\\n")`
        : "$rawBody";
  }
}

function keyOf(form: "text" | "base64"): string {
  return form === "text" ? "$secret" : "base64_decode(preg_replace('/^whsec_/', '', $secret))";
}

function standard(key: string): string {
  return `<?php

${ABOUT}
function is_genuine(array $headers, string $rawBody, string $secret): bool
{
    $id = $headers['webhook-id'] ?? '';
    $timestamp = $headers['webhook-timestamp'] ?? '';
    // An old request may be one that somebody has caught, and sends again.
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = ${key};
    $signature = base64_encode(hash_hmac('sha256', "$id.$timestamp.$rawBody", $key, true));
    // There are two signatures while a secret is being changed.
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $one) {
        if (hash_equals("v1,$signature", $one)) {
            return true;
        }
    }
    return false;
}
`;
}

const ED25519 = `<?php

${ABOUT}
// $publicKey: 'whpk_…'
function is_genuine(array $headers, string $rawBody, string $publicKey): bool
{
    $id = $headers['webhook-id'] ?? '';
    $timestamp = $headers['webhook-timestamp'] ?? '';
    // An old request may be one that somebody has caught, and sends again.
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whpk_/', '', $publicKey));
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $one) {
        [$version, $signature] = array_pad(explode(',', $one, 2), 2, '');
        $bytes = base64_decode($signature);
        if (
            $version === 'v1a' && strlen($bytes) === 64 &&
            sodium_crypto_sign_verify_detached($bytes, "$id.$timestamp.$rawBody", $key)
        ) {
            return true;
        }
    }
    return false;
}
`;
