import type { OwnScheme, Piece, Scheme } from "./scheme.ts";

/** A check of a request's signature in Go. */
export function goSample(scheme: Scheme): string {
  switch (scheme.kind) {
    case "own":
      return own(scheme);
    case "standard":
      return standard(scheme.key);
    case "ed25519":
      return ED25519;
  }
}

const ABOUT = `// rawBody is all that io.ReadAll(r.Body) gives, before anything parses it.`;

function own({ header, algorithm, encoding, over, value, key }: OwnScheme): string {
  const wraps = over.some((piece) => piece.kind === "body" && piece.form === "encode64");
  const usesBase64 = wraps || encoding === "base64" || key === "base64";
  const hash = { sha1: "sha1", sha256: "sha256", sha384: "sha512", sha512: "sha512" }[algorithm];
  const fresh = algorithm === "sha384" ? "sha512.New384" : `${hash}.New`;
  const imports = [
    "crypto/hmac",
    `crypto/${hash}`,
    ...(usesBase64 ? ["encoding/base64"] : []),
    ...(encoding === "hex" ? ["encoding/hex"] : []),
    "net/http",
    ...(wraps || key === "base64" ? ["strings"] : []),
  ];
  const encode = encoding === "hex" ? "hex.EncodeToString" : "base64.StdEncoding.EncodeToString";
  return `package webhooks

import (
${imports.map((name) => `\t"${name}"`).join("\n")}
)

${ABOUT}
func IsGenuine(header http.Header, rawBody []byte, secret string) bool {
${keyLines(key)}	mac := hmac.New(${fresh}, key)
${over.map((piece) => `\tmac.Write(${bytesOf(piece)})`).join("\n")}
	signature := ${encode}(mac.Sum(nil))
	expected := ${value.map(textOf).join(" + ")}
	return hmac.Equal([]byte(expected), []byte(header.Get("${header}")))
}
${wraps ? ENCODE64 : ""}`;
}

function keyLines(form: "text" | "base64"): string {
  return form === "text"
    ? "\tkey := []byte(secret)\n"
    : `	digits := strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "=")
	key, err := base64.RawStdEncoding.DecodeString(digits)
	if err != nil {
		return false
	}
`;
}

const ENCODE64 = `
// Base64 with a line end after every 60 characters, and at the end.
func encode64(data []byte) []byte {
	text := base64.StdEncoding.EncodeToString(data)
	var lines strings.Builder
	for len(text) > 0 {
		length := min(60, len(text))
		lines.WriteString(text[:length] + "\\n")
		text = text[length:]
	}
	return []byte(lines.String())
}
`;

function bytesOf(piece: Piece): string {
  if (piece.kind === "body") return piece.form === "encode64" ? "encode64(rawBody)" : "rawBody";
  return `[]byte(${textOf(piece)})`;
}

function textOf(piece: Piece): string {
  if (piece.kind === "text") return JSON.stringify(piece.text);
  return piece.kind === "header" ? `header.Get("${piece.name}")` : "signature";
}

function standard(key: "text" | "base64"): string {
  return `package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

${ABOUT}
func IsGenuine(header http.Header, rawBody []byte, secret string) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	// An old request may be one that somebody has caught, and sends again.
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
${keyLines(key)}	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(rawBody)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	// There are two signatures while a secret is being changed.
	for _, one := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(expected), []byte(one)) {
			return true
		}
	}
	return false
}
`;
}

const ED25519 = `package webhooks

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

${ABOUT}
// publicKey is "whpk_…".
func IsGenuine(header http.Header, rawBody []byte, publicKey string) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	// An old request may be one that somebody has caught, and sends again.
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(publicKey, "whpk_"))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	signed := append([]byte(id+"."+timestamp+"."), rawBody...)
	for _, one := range strings.Split(header.Get("webhook-signature"), " ") {
		text, isOurs := strings.CutPrefix(one, "v1a,")
		signature, err := base64.StdEncoding.DecodeString(text)
		if isOurs && err == nil && ed25519.Verify(key, signed, signature) {
			return true
		}
	}
	return false
}
`;
