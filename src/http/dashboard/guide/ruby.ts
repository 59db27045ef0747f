import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in Ruby. */
export function rubySample(scheme: Scheme): string {
  switch (scheme.kind) {
    case "own":
      return own(scheme);
    case "standard":
      return standard(keyOf(scheme.key));
    case "ed25519":
      return ED25519;
  }
}

const ABOUT = `# headers: names in lower case
# raw_body: the bytes as they came, as in request.raw_post; no JSON parser may have touched them`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const digest = algorithm.toUpperCase();
  const signature = encoding === "hex"
    ? `OpenSSL::HMAC.hexdigest("${digest}", ${keyOf(key)}, signed)`
    : `[OpenSSL::HMAC.digest("${digest}", ${keyOf(key)}, signed)].pack("m0")`;
  return `require "openssl"

${ABOUT}
def genuine?(headers, raw_body, secret)
  signed = ${over.map(pieceOf).join(" + ")}
  signature = ${signature}
  expected = ${value.map(pieceOf).join(" + ")}
  OpenSSL.secure_compare(expected, headers["${header.toLowerCase()}"].to_s)
end
`;
}

function pieceOf(piece: Piece): string {
  switch (piece.kind) {
    case "text":
      // A "#" may begin an interpolation.
      return JSON.stringify(piece.text).replaceAll("#", "\\#");
    case "signature":
      return "signature";
    case "header":
      return `headers["${piece.name}"].to_s`;
    case "body":
      // pack("m") is Base64.encode64, without its gem.
      return piece.form === "encode64" ? `[raw_body].pack("m")` : "raw_body";
  }
}

function keyOf(form: "text" | "base64"): string {
  return form === "text" ? "secret" : `secret.delete_prefix("whsec_").unpack1("m")`;
}

function standard(key: string): string {
  return `require "openssl"

${ABOUT}
def genuine?(headers, raw_body, secret)
  id, timestamp = headers["webhook-id"].to_s, headers["webhook-timestamp"].to_s
  # An old request may be one that somebody has caught, and sends again.
  return false unless timestamp.match?(/\\A\\d+\\z/) && (Time.now.to_i - timestamp.to_i).abs <= 300
  key = ${key}
  signed = "#{id}.#{timestamp}.".b + raw_body.b
  signature = [OpenSSL::HMAC.digest("SHA256", key, signed)].pack("m0")
  # There are two signatures while a secret is being changed.
  headers["webhook-signature"].to_s.split(" ").any? do |one|
    OpenSSL.secure_compare("v1,#{signature}", one)
  end
end
`;
}

const ED25519 = `require "ed25519" # the gem of that name

${ABOUT}
# public_key: "whpk_…"
def genuine?(headers, raw_body, public_key)
  id, timestamp = headers["webhook-id"].to_s, headers["webhook-timestamp"].to_s
  # An old request may be one that somebody has caught, and sends again.
  return false unless timestamp.match?(/\\A\\d+\\z/) && (Time.now.to_i - timestamp.to_i).abs <= 300
  key = Ed25519::VerifyKey.new(public_key.delete_prefix("whpk_").unpack1("m"))
  signed = "#{id}.#{timestamp}.".b + raw_body.b
  headers["webhook-signature"].to_s.split(" ").any? do |one|
    version, signature = one.split(",", 2)
    version == "v1a" && key.verify(signature.unpack1("m"), signed)
  rescue ArgumentError, Ed25519::VerifyError
    false
  end
end
`;
