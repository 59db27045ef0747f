import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in Java. */
export function javaSample(scheme: Scheme): string {
  switch (scheme.kind) {
    case "own":
      return own(scheme);
    case "standard":
      return standard(keyOf(scheme.key));
    case "ed25519":
      return ED25519;
  }
}

const ABOUT = `  // headers: names in lower case.
  // rawBody: the bytes as they came; no JSON parser may have touched them.`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const mac = `Hmac${algorithm.toUpperCase()}`;
  const wraps = over.some((piece) => piece.kind === "body" && piece.form === "encode64");
  const usesBase64 = wraps || encoding === "base64" || key === "base64";
  const signature = encoding === "hex"
    ? "HexFormat.of().formatHex(mac.doFinal())"
    : "Base64.getEncoder().encodeToString(mac.doFinal())";
  const imports = [
    "java.nio.charset.StandardCharsets",
    "java.security.GeneralSecurityException",
    "java.security.MessageDigest",
    ...(usesBase64 ? ["java.util.Base64"] : []),
    ...(encoding === "hex" ? ["java.util.HexFormat"] : []),
    "java.util.Map",
    "javax.crypto.Mac",
    "javax.crypto.spec.SecretKeySpec",
  ];
  return `${imports.map((name) => `import ${name};`).join("\n")}

public final class Webhooks {
${ABOUT}
  public static boolean isGenuine(Map<String, String> headers, byte[] rawBody, String secret)
      throws GeneralSecurityException {
    byte[] key = ${keyOf(key)};
    Mac mac = Mac.getInstance("${mac}");
    mac.init(new SecretKeySpec(key, "${mac}"));
${over.map((piece) => `    mac.update(${bytesOf(piece)});`).join("\n")}
    String signature = ${signature};
    String expected = ${value.map(textOf).join(" + ")};
    String given = headers.getOrDefault("${header.toLowerCase()}", "");
    return MessageDigest.isEqual(bytes(expected), bytes(given));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
${wraps ? ENCODE64 : ""}}
`;
}

const ENCODE64 = `
  /** Base64 with a line end after every 60 characters, and at the end. */
  private static byte[] encode64(byte[] data) {
    String lines = Base64.getMimeEncoder(60, bytes("\\n")).encodeToString(data);
    return bytes(lines.isEmpty() ? lines : lines + "\\n");
  }
`;

function bytesOf(piece: Piece): string {
  if (piece.kind === "body") return piece.form === "encode64" ? "encode64(rawBody)" : "rawBody";
  return `bytes(${textOf(piece)})`;
}

function textOf(piece: Piece): string {
  if (piece.kind === "text") return JSON.stringify(piece.text);
  return piece.kind === "header" ? `headers.getOrDefault("${piece.name}", "")` : "signature";
}

function keyOf(form: "text" | "base64"): string {
  return form === "text"
    ? "bytes(secret)"
    : `Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""))`;
}

function standard(key: string): string {
  return `import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Webhooks {
${ABOUT}
  public static boolean isGenuine(Map<String, String> headers, byte[] rawBody, String secret)
      throws GeneralSecurityException {
    String id = headers.getOrDefault("webhook-id", "");
    String timestamp = headers.getOrDefault("webhook-timestamp", "");
    // An old request may be one that somebody has caught, and sends again.
    if (!timestamp.matches("\\\\d{1,18}")) return false;
    if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) > 300) return false;
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(${key}, "HmacSHA256"));
    mac.update(bytes(id + "." + timestamp + "."));
    mac.update(rawBody);
    String expected = "v1," + Base64.getEncoder().encodeToString(mac.doFinal());
    // There are two signatures while a secret is being changed.
    for (String one : headers.getOrDefault("webhook-signature", "").split(" ")) {
      if (MessageDigest.isEqual(bytes(expected), bytes(one))) return true;
    }
    return false;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
`;
}

const ED25519 = `import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;

public final class Webhooks {
${ABOUT}
  // publicKey: "whpk_…"
  public static boolean isGenuine(Map<String, String> headers, byte[] rawBody, String publicKey)
      throws GeneralSecurityException {
    String id = headers.getOrDefault("webhook-id", "");
    String timestamp = headers.getOrDefault("webhook-timestamp", "");
    // An old request may be one that somebody has caught, and sends again.
    if (!timestamp.matches("\\\\d{1,18}")) return false;
    if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) > 300) return false;
    // What stands before a key's 32 bytes in an X.509 key (RFC 8410).
    String der = "302a300506032b6570032100"
        + HexFormat.of().formatHex(decode(publicKey.replaceFirst("^whpk_", "")));
    PublicKey key = KeyFactory.getInstance("Ed25519")
        .generatePublic(new X509EncodedKeySpec(HexFormat.of().parseHex(der)));
    for (String one : headers.getOrDefault("webhook-signature", "").split(" ")) {
      if (!one.startsWith("v1a,")) continue;
      byte[] given = decode(one.substring(4));
      if (given.length != 64) continue;
      Signature signature = Signature.getInstance("Ed25519");
      signature.initVerify(key);
      signature.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
      signature.update(rawBody);
      if (signature.verify(given)) return true;
    }
    return false;
  }

  private static byte[] decode(String base64) {
    try {
      return Base64.getDecoder().decode(base64);
    } catch (IllegalArgumentException error) {
      return new byte[0];
    }
  }
}
`;
