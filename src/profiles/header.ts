import { quoted } from "../domain/quoted.ts";

/**
 * Names that a profile or an operator cannot give to a header: the daemon writes them itself, or
 * they steer the connection (RFC 9110, section 7.6.1).
 */
const RESERVED = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "webhook-id",
  "webhook-signature",
  "webhook-timestamp",
]);

/** What is wrong with a header's name; undefined where it may be used. */
export function headerNameProblem(name: string): string | undefined {
  // token, RFC 9110 section 5.6.2
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    return `${quoted(name)} is no header name; use letters, digits and "-"`;
  }
  if (RESERVED.has(name.toLowerCase())) {
    return `${quoted(name)} is a header that Bellhook writes itself; choose another name`;
  }
  return undefined;
}

/** What is wrong with a header's fixed value; undefined where it may be sent. Never quotes it. */
export function headerValueProblem(value: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(value)) {
    return "the value holds a control character or one outside ASCII; use visible ASCII and spaces";
  }
  if (value !== value.trim()) return "the value begins or ends with a space; take it away";
  return undefined;
}

/** Something a publisher chose, made safe for a header: all but visible ASCII percent-encoded. */
export function inHeader(text: string): string {
  // "%" is encoded as well, so that decoding gives back the very text.
  return text.toWellFormed().replace(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent);
}
