import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in JavaScript for Node. */
export function nodeSample(scheme: Scheme): string {
  switch (scheme.kind) {
    case "own":
      return own(scheme);
    case "standard":
      return standard(keyOf(scheme.key));
    case "ed25519":
      return ED25519;
  }
}

const ABOUT = `// headers: names in lower case, as Node has them.
// rawBody: the bytes as they came, a Buffer; no JSON parser may have touched them.`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const updates = over.map((piece) => `    .update(${pieceOf(piece)})`).join("\n");
  return `import { createHmac, timingSafeEqual } from "node:crypto";

${ABOUT}
export function isGenuine(headers, rawBody, secret) {
  const signature = createHmac("${algorithm}", ${keyOf(key)})
${updates}
    .digest("${encoding}");
  const expected = Buffer.from(${value.map(pieceOf).join(" + ")});
  const given = Buffer.from(headers["${header.toLowerCase()}"] ?? "");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
`;
}

function pieceOf(piece: Piece): string {
  switch (piece.kind) {
    case "text":
      return JSON.stringify(piece.text);
    case "signature":
      return "signature";
    case "header":
      return `(headers["${piece.name}"] ?? "")`;
    case "body":
      return {
        raw: "rawBody",
        encode64: `rawBody.toString("base64").replace(/.{1,60}/g, "$&\\n")`,
        reserialised: "JSON.stringify(JSON.parse(rawBody.toString()))",
      }[piece.form];
  }
}

function keyOf(form: "text" | "base64"): string {
  return form === "text" ? "secret" : `Buffer.from(secret.replace(/^whsec_/, ""), "base64")`;
}

function standard(key: string): string {
  return `import { createHmac, timingSafeEqual } from "node:crypto";

${ABOUT}
export function isGenuine(headers, rawBody, secret) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  // An old request may be one that somebody has caught, and sends again.
  const ageSeconds = Date.now() / 1000 - Number(timestamp);
  if (!(Math.abs(ageSeconds) <= 300)) return false;
  const key = ${key};
  const expected = createHmac("sha256", key)
    .update(\`\${id}.\${timestamp}.\`)
    .update(rawBody)
    .digest();
  // There are two signatures while a secret is being changed.
  return (headers["webhook-signature"] ?? "").split(" ").some((one) => {
    const [version, signature = ""] = one.split(",");
    const given = Buffer.from(signature, "base64");
    return version === "v1" && given.length === expected.length &&
      timingSafeEqual(given, expected);
  });
}
`;
}

const ED25519 = `import { createPublicKey, verify } from "node:crypto";

${ABOUT}
// publicKey: "whpk_…"
export function isGenuine(headers, rawBody, publicKey) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  // An old request may be one that somebody has caught, and sends again.
  const ageSeconds = Date.now() / 1000 - Number(timestamp);
  if (!(Math.abs(ageSeconds) <= 300)) return false;
  const x = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const signed = Buffer.concat([Buffer.from(\`\${id}.\${timestamp}.\`), rawBody]);
  return (headers["webhook-signature"] ?? "").split(" ").some((one) => {
    const [version, signature = ""] = one.split(",");
    return version === "v1a" && verify(null, signed, key, Buffer.from(signature, "base64"));
  });
}
`;
