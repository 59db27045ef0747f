import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in C#. */
export function csharpSample(scheme: Scheme): string {
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
  `    // headers: does not mind upper and lower case (StringComparer.OrdinalIgnoreCase).
    // rawBody: the bytes as they came; no JSON parser may have touched them.`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const wraps = over.some((piece) => piece.kind === "body" && piece.form === "encode64");
  const signed = over.length === 1
    ? bytesOf(over[0]!)
    : `${over.map(bytesOf).reduce((all, piece) => `${all}.Concat(${piece})`)}.ToArray()`;
  const signature = encoding === "hex"
    ? "Convert.ToHexString(mac.ComputeHash(signed)).ToLowerInvariant()"
    : "Convert.ToBase64String(mac.ComputeHash(signed))";
  return `using System;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Text;${wraps ? "\nusing System.Text.RegularExpressions;" : ""}

public static class Webhooks
{
${ABOUT}
    public static bool IsGenuine(
        IReadOnlyDictionary<string, string> headers, byte[] rawBody, string secret)
    {
        using var mac = new HMAC${algorithm.toUpperCase()}(${keyOf(key)});
        var signed = ${signed};
        var signature = ${signature};
        var expected = ${value.map(textOf).join(" + ")};
        var given = headers.GetValueOrDefault("${header}", "");
        return CryptographicOperations.FixedTimeEquals(Bytes(expected), Bytes(given));
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
${wraps ? ENCODE64 : ""}}
`;
}

const ENCODE64 = `
    // Base64 with a line end after every 60 characters, and at the end.
    private static byte[] Encode64(byte[] data) =>
        Bytes(Regex.Replace(Convert.ToBase64String(data), ".{1,60}", "$0\\n"));
`;

function bytesOf(piece: Piece): string {
  if (piece.kind === "body") return piece.form === "encode64" ? "Encode64(rawBody)" : "rawBody";
  return `Bytes(${textOf(piece)})`;
}

function textOf(piece: Piece): string {
  if (piece.kind === "text") return JSON.stringify(piece.text);
  return piece.kind === "header" ? `headers.GetValueOrDefault("${piece.name}", "")` : "signature";
}

function keyOf(form: "text" | "base64"): string {
  return form === "text"
    ? "Bytes(secret)"
    : `Convert.FromBase64String(secret.StartsWith("whsec_") ? secret[6..] : secret)`;
}

function standard(key: string): string {
  return `using System;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

public static class Webhooks
{
${ABOUT}
    public static bool IsGenuine(
        IReadOnlyDictionary<string, string> headers, byte[] rawBody, string secret)
    {
        var id = headers.GetValueOrDefault("webhook-id", "");
        var timestamp = headers.GetValueOrDefault("webhook-timestamp", "");
        // An old request may be one that somebody has caught, and sends again.
        if (!long.TryParse(timestamp, out var seconds)) return false;
        if (Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - seconds) > 300) return false;
        using var mac = new HMACSHA256(${key});
        var signed = Bytes($"{id}.{timestamp}.").Concat(rawBody).ToArray();
        var expected = Bytes("v1," + Convert.ToBase64String(mac.ComputeHash(signed)));
        // There are two signatures while a secret is being changed.
        return headers.GetValueOrDefault("webhook-signature", "").Split(' ')
            .Any(one => CryptographicOperations.FixedTimeEquals(expected, Bytes(one)));
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
`;
}

const ED25519 = `using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using NSec.Cryptography; // the package NSec.Cryptography

public static class Webhooks
{
${ABOUT}
    // publicKey: "whpk_…"
    public static bool IsGenuine(
        IReadOnlyDictionary<string, string> headers, byte[] rawBody, string publicKey)
    {
        var id = headers.GetValueOrDefault("webhook-id", "");
        var timestamp = headers.GetValueOrDefault("webhook-timestamp", "");
        // An old request may be one that somebody has caught, and sends again.
        if (!long.TryParse(timestamp, out var seconds)) return false;
        if (Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - seconds) > 300) return false;
        var bytes = Convert.FromBase64String(publicKey["whpk_".Length..]);
        var key = PublicKey.Import(SignatureAlgorithm.Ed25519, bytes, KeyBlobFormat.RawPublicKey);
        var signed = Encoding.UTF8.GetBytes($"{id}.{timestamp}.").Concat(rawBody).ToArray();
        return headers.GetValueOrDefault("webhook-signature", "").Split(' ')
            .Where(one => one.StartsWith("v1a,"))
            .Any(one => IsSignature(key, signed, one[4..]));
    }

    private static bool IsSignature(PublicKey key, byte[] signed, string base64)
    {
        var signature = new byte[64];
        return Convert.TryFromBase64String(base64, signature, out var length) && length == 64 &&
            SignatureAlgorithm.Ed25519.Verify(key, signed, signature);
    }
}
`;
