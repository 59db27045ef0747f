import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in Python. */
export function pythonSample(scheme: Scheme): string {
  switch (scheme.kind) {
    case "own":
      return own(scheme);
    case "standard":
      return standard(keyOf(scheme.key));
    case "ed25519":
      return ED25519;
  }
}

const ABOUT =
  `# headers: a mapping that does not mind upper and lower case, as Flask and Django have it
# raw_body: the bytes as they came, as in request.get_data(); no JSON parser may have touched them`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const signed = over.length === 1
    ? bytesOf(over[0]!)
    : `b"".join([${over.map(bytesOf).join(", ")}])`;
  const wraps = over.some((piece) => piece.kind === "body" && piece.form === "encode64");
  const usesBase64 = wraps || encoding === "base64" || key === "base64";
  const wrapped = wraps
    ? `    encoded = base64.b64encode(raw_body)
    lines = b"".join(encoded[at:at + 60] + b"\\n" for at in range(0, len(encoded), 60))
`
    : "";
  const mac = `hmac.new(${keyOf(key)}, signed, hashlib.${algorithm})`;
  const signature = encoding === "hex"
    ? `${mac}.hexdigest()`
    : `base64.b64encode(${mac}.digest()).decode()`;
  return `${usesBase64 ? "import base64\n" : ""}import hashlib
import hmac

${ABOUT}
def is_genuine(headers, raw_body: bytes, secret: str) -> bool:
${wrapped}    signed = ${signed}
    signature = ${signature}
    expected = ${value.map(textOf).join(" + ")}
    given = headers.get("${header}", "")
    return hmac.compare_digest(expected.encode(), given.encode())
`;
}

function bytesOf(piece: Piece): string {
  if (piece.kind === "body") return piece.form === "encode64" ? "lines" : "raw_body";
  return `${textOf(piece)}.encode()`;
}

function textOf(piece: Piece): string {
  if (piece.kind === "text") return JSON.stringify(piece.text);
  return piece.kind === "header" ? `headers.get("${piece.name}", "")` : "signature";
}

function keyOf(form: "text" | "base64"): string {
  return form === "text"
    ? "secret.encode()"
    : `base64.b64decode(secret.removeprefix("whsec_") + "==")`;
}

function standard(key: string): string {
  return `import base64
import hashlib
import hmac
import time

${ABOUT}
def is_genuine(headers, raw_body: bytes, secret: str) -> bool:
    id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    # An old request may be one that somebody has caught, and sends again.
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    key = ${key}
    signed = f"{id}.{timestamp}.".encode() + raw_body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # There are two signatures while a secret is being changed.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(b"v1," + signature, one.encode()) for one in given)
`;
}

const ED25519 = `import base64
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

${ABOUT}
# public_key: "whpk_…"
def is_genuine(headers, raw_body: bytes, public_key: str) -> bool:
    id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    # An old request may be one that somebody has caught, and sends again.
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{id}.{timestamp}.".encode() + raw_body
    for one in headers.get("webhook-signature", "").split(" "):
        version, _, signature = one.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(base64.b64decode(signature), signed)
            return True
        except (InvalidSignature, ValueError):
            pass
    return False
`;
