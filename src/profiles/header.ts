import { quoted } from "../domain/quoted.ts";

/**
 * Header names that profiles and operators can't use: the daemon writes these headers itself, or
 * they control the connection (RFC 9110, section 7.6.1).
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

/** What is wrong with a header's name; undefined if it may be used. */
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

/** What is wrong with a header's value; undefined if it may be sent. Never quotes the value. */
export function headerValueProblem(value: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(value)) {
    return "the value holds a control character or one outside ASCII; use visible ASCII and spaces";
  }
  if (value !== value.trim()) return "the value begins or ends with a space; take it away";
  return undefined;
}

/** Makes a publisher's text safe for a header: percent-encodes everything but visible ASCII. */
export function inHeader(text: string): string {
  // "%" is encoded too, so that decoding restores the text.
  return text.toWellFormed().replace(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent);
}
