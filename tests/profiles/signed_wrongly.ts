/** Signs requests step by step, so that each step can be done wrong. Uses none of our code. */
import { Buffer } from "node:buffer";
import { createHash, createHmac } from "node:crypto";

/** The steps that make a header's value from a secret and a body. */
export interface Steps {
  /** The key's bytes for a secret. */
  readonly key: (secret: string) => Uint8Array;
  /** The body that is signed. */
  readonly body: (raw: string) => string | Uint8Array;
  /** The signed text. */
  readonly text: (body: Buffer, trio: Trio) => string | Uint8Array;
  readonly mac: (key: Uint8Array, text: string | Uint8Array) => Buffer;
  /** The header's value. */
  readonly write: (mac: Buffer) => string;
}

export interface Trio {
  readonly id: string;
  readonly timestamp: string;
}

/** A format with a signature, and its correct steps. */
export interface Format {
  readonly profile: string;
  readonly header: string;
  readonly secret: string;
  readonly steps: Steps;
}

const asText = (secret: string) => Buffer.from(secret);
const decoded = (secret: string) => Buffer.from(secret.slice("whsec_".length), "base64");
const asIs = (raw: string) => raw;
const alone = (body: Buffer) => body;
const anew = (raw: string) => JSON.stringify(JSON.parse(raw));
const hex = (mac: Buffer) => mac.toString("hex");

export function hmac(algorithm: string): Steps["mac"] {
  return (key, text) => createHmac(algorithm, key).update(text).digest();
}

/** Base64 with line breaks. */
export function inLines(bytes: Uint8Array, width: number): string {
  const base64 = Buffer.from(bytes).toString("base64");
  let lines = "";
  for (let at = 0; at < base64.length; at += width) lines += base64.slice(at, at + width) + "\n";
  return lines;
}

const signsBody = { key: asText, body: asIs, text: alone, mac: hmac("sha256"), write: hex };

export const FORMATS: readonly Format[] = [
  {
    profile: "bookingsync",
    header: "X-Content-Signature",
    secret: "app_secret",
    steps: { ...signsBody, text: (body) => inLines(body, 60), mac: hmac("sha1") },
  },
  {
    profile: "bookingshake",
    header: "Bookingshake-Signature",
    secret: "shake secret",
    steps: signsBody,
  },
  {
    profile: "bookingscheduler",
    header: "X-BookingScheduler-Signature",
    secret: "c0ffee",
    steps: { ...signsBody, body: anew },
  },
  {
    profile: "roostsync",
    header: "X-RoostSync-Signature",
    secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    steps: { ...signsBody, write: (mac) => `sha256=${hex(mac)}` },
  },
  {
    profile: "standard",
    header: "webhook-signature",
    secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    steps: {
      ...signsBody,
      key: decoded,
      text: (body, { id, timestamp }) => Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]),
      write: (mac) => `v1,${mac.toString("base64")}`,
    },
  },
];

/** A mistake in one step; undefined if it isn't possible in a format. */
export interface WrongStep {
  readonly code: string;
  readonly of: keyof Steps;
  readonly change: (format: Format) => Partial<Steps> | undefined;
}

function wrong<Of extends keyof Steps>(
  of: Of,
  code: string,
  change: (format: Format) => Steps[Of] | undefined,
): WrongStep {
  return {
    code,
    of,
    change: (format) => {
      const step = change(format);
      return step && { [of]: step };
    },
  };
}

const only = (profile: string) => <T>(format: Format, step: T | undefined): T | undefined =>
  format.profile === profile ? step : undefined;
const except = (profile: string) => <T>(format: Format, step: T | undefined): T | undefined =>
  format.profile === profile ? undefined : step;
const inHex = except("standard"), standard = only("standard"), bookingsync = only("bookingsync");

const parsed = (raw: string) => JSON.parse(raw);
const python = (text: string, pretty = false): string =>
  spaced(JSON.parse(text), pretty ? "" : undefined)
    .replace(/[\x7f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Python's json.dumps, with an optional indent. */
function spaced(value: unknown, indent?: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const parts = Array.isArray(value)
    ? value.map((one) => spaced(one, indent === undefined ? undefined : indent + "  "))
    : Object.entries(value).map(([name, one]) =>
      `${JSON.stringify(name)}: ${spaced(one, indent === undefined ? undefined : indent + "  ")}`
    );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (parts.length === 0) return open! + close;
  if (indent === undefined) return open + parts.join(", ") + close;
  return `${open}\n${parts.map((part) => `${indent}  ${part}`).join(",\n")}\n${indent}${close}`;
}

export function withSortedKeys(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(withSortedKeys).join(",")}]`;
  const names = Object.keys(value).sort();
  const members = names.map((name) =>
    `${JSON.stringify(name)}:${withSortedKeys((value as Record<string, unknown>)[name])}`
  );
  return `{${members.join(",")}}`;
}

const isForm = ({ secret }: Format) => secret.startsWith("whsec_");

/** Every known mistake, in each way that it can be made. */
export const WRONG_STEPS: readonly WrongStep[] = [
  wrong("key", "secret-with-spaces", (f) => inHex(f, (s) => Buffer.from(`${s}\n`))),
  wrong("key", "secret-with-spaces", (f) => inHex(f, (s) => Buffer.from(` ${s} `))),
  wrong("key", "secret-quoted", (f) => inHex(f, (s) => Buffer.from(`"${s}"`))),
  wrong("key", "secret-empty", () => () => Buffer.alloc(0)),
  wrong("key", "secret-empty", () => () => Buffer.from("undefined")),
  wrong("key", "secret-not-decoded", (f) => standard(f, (s) => Buffer.from(s))),
  wrong(
    "key",
    "secret-not-decoded",
    (f) => standard(f, (s) => Buffer.from(s.slice(6))),
  ),
  wrong("key", "secret-decoded", (f) => inHex(f, isForm(f) ? decoded : undefined)),
  wrong(
    "key",
    "secret-decoded",
    (f) => only("bookingscheduler")(f, (s) => Buffer.from(s, "hex")),
  ),
  wrong(
    "key",
    "secret-without-prefix",
    (f) => inHex(f, isForm(f) ? (s) => Buffer.from(s.slice(6)) : undefined),
  ),
  wrong(
    "key",
    "secret-with-prefix",
    (f) => inHex(f, isForm(f) ? undefined : (s) => Buffer.from(`whsec_${s}`)),
  ),
  wrong("key", "previous-secret", (f) => () => f.steps.key(PREVIOUS_SECRET)),

  wrong("body", "body-as-received", (f) => only("bookingscheduler")(f, asIs)),
  wrong("body", "re-serialised", (f) => except("bookingscheduler")(f, anew)),
  wrong("body", "pretty-printed", () => (raw) => JSON.stringify(parsed(raw), null, 2)),
  wrong("body", "pretty-printed", () => (raw) => JSON.stringify(parsed(raw), null, 4)),
  wrong("body", "pretty-printed", () => (raw) => JSON.stringify(parsed(raw), null, "\t")),
  wrong("body", "python-separators", () => (raw) => python(raw)),
  wrong("body", "python-separators", () => (raw) => spaced(parsed(raw))),
  wrong("body", "sorted-keys", () => (raw) => withSortedKeys(parsed(raw))),
  wrong(
    "body",
    "escaped-text",
    () => (raw) =>
      anew(raw).replace(/\//g, "\\/").replace(
        /[\x80-\uffff]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
      ),
  ),
  wrong("body", "trailing-newline", (f) => (raw) => Buffer.from(f.steps.body(raw) + "\n")),
  wrong("body", "byte-order-mark", (f) => (raw) => "\ufeff" + f.steps.body(raw)),
  wrong(
    "body",
    "latin-1",
    (f) => (raw) => Buffer.from(f.steps.body(raw)).toString("latin1"),
  ),

  wrong("text", "strict-base64", (f) => bookingsync(f, (body) => body.toString("base64"))),
  wrong("text", "mime-base64", (f) => bookingsync(f, (body) => inLines(body, 76))),
  wrong(
    "text",
    "mime-base64",
    (f) => bookingsync(f, (body) => inLines(body, 76).replaceAll("\n", "\r\n")),
  ),
  wrong(
    "text",
    "last-line-end-missing",
    (f) => bookingsync(f, (body) => inLines(body, 60).trimEnd()),
  ),
  wrong("text", "base64url", (f) => bookingsync(f, (body) => body.toString("base64url"))),
  wrong("text", "not-encoded", (f) => bookingsync(f, alone)),
  wrong("text", "signed-without-id", (f) => standard(f, (body, t) => `${t.timestamp}.${body}`)),
  wrong("text", "signed-without-timestamp", (f) => standard(f, (body, t) => `${t.id}.${body}`)),
  wrong("text", "signed-body-alone", (f) => standard(f, alone)),
  wrong(
    "text",
    "signed-without-separators",
    (f) => standard(f, (body, t) => `${t.id}${t.timestamp}${body}`),
  ),
  wrong(
    "text",
    "signed-in-wrong-order",
    (f) => standard(f, (body, t) => `${t.timestamp}.${t.id}.${body}`),
  ),
  wrong(
    "text",
    "timestamp-in-ms",
    (f) => standard(f, (body, t) => `${t.id}.${t.timestamp}000.${body}`),
  ),
  wrong(
    "text",
    "trio-signature",
    (f) =>
      inHex(
        f,
        f.profile === "bookingsync"
          ? undefined
          : (body, t) => `${t.id}.${t.timestamp}.${f.steps.text(body, t)}`,
      ),
  ),
  wrong(
    "text",
    "signed-with-timestamp",
    (f) => inHex(f, (body, t) => `${t.timestamp}.${f.steps.text(body, t)}`),
  ),

  ...["md5", "sha1", "sha384", "sha512"].map((name) =>
    wrong(
      "mac",
      "wrong-algorithm",
      (f) => name === "sha1" && f.profile === "bookingsync" ? undefined : hmac(name),
    )
  ),
  wrong("mac", "wrong-algorithm", (f) => bookingsync(f, hmac("sha256"))),
  wrong(
    "mac",
    "plain-hash",
    (f) => (key, text) => createHash(algorithmOf(f)).update(key).update(text).digest(),
  ),
  wrong(
    "mac",
    "plain-hash",
    (f) => (key, text) => createHash(algorithmOf(f)).update(text).update(key).digest(),
  ),
  wrong(
    "mac",
    "hash-without-secret",
    (f) => (_key, text) => createHash(algorithmOf(f)).update(text).digest(),
  ),
  wrong(
    "mac",
    "key-and-text-swapped",
    (f) => (key, text) => createHmac(algorithmOf(f), text).update(key).digest(),
  ),

  wrong(
    "write",
    "prefix-missing",
    (f) => f.profile === "roostsync" ? hex : standard(f, (mac: Buffer) => mac.toString("base64")),
  ),
  wrong(
    "write",
    "prefix-doubled",
    (f) => (mac) => {
      const value = f.steps.write(mac);
      const prefix = /^(sha256=|v1,)/.exec(value)?.[0];
      return prefix === undefined ? value : prefix + value;
    },
  ),
  wrong(
    "write",
    "wrong-prefix",
    (f) => (mac) => f.steps.write(mac).replace(/^sha256=/, "SHA256=").replace(/^v1,/, "v1="),
  ),
  wrong(
    "write",
    "prefix-added",
    (f) =>
      ["roostsync", "standard"].includes(f.profile) ? undefined : (mac) => `sha256=${hex(mac)}`,
  ),
  wrong("write", "quoted", (f) => (mac) => `"${f.steps.write(mac)}"`),
  wrong(
    "write",
    "upper-case-hex",
    (f) => inHex(f, (mac) => f.steps.write(mac).replace(hex(mac), hex(mac).toUpperCase())),
  ),
  wrong(
    "write",
    "base64-for-hex",
    (f) => inHex(f, (mac) => f.steps.write(mac).replace(hex(mac), mac.toString("base64"))),
  ),
  wrong(
    "write",
    "base64-for-hex",
    (f) => inHex(f, (mac) => f.steps.write(mac).replace(hex(mac), mac.toString("base64url"))),
  ),
  wrong(
    "write",
    "base64-of-hex",
    (f) =>
      inHex(
        f,
        (mac) => f.steps.write(mac).replace(hex(mac), Buffer.from(hex(mac)).toString("base64")),
      ),
  ),
  wrong("write", "hex-for-base64", (f) => standard(f, (mac) => `v1,${hex(mac)}`)),
  wrong(
    "write",
    "base64url",
    (f) => standard(f, (mac) => `v1,${mac.toString("base64url")}`),
  ),
  wrong(
    "write",
    "unpadded-base64",
    (f) => standard(f, (mac) => `v1,${mac.toString("base64").replace(/=+$/, "")}`),
  ),
];

/** The previous secret, in a form that every format accepts. */
export const PREVIOUS_SECRET = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

function algorithmOf({ profile }: Format): string {
  return profile === "bookingsync" ? "sha1" : "sha256";
}

/** A format's header value, made by its own or by other steps. */
export function valueOf(format: Format, raw: string, trio: Trio, steps = format.steps): string {
  const text = steps.text(Buffer.from(steps.body(raw)), trio);
  return steps.write(steps.mac(steps.key(format.secret), text));
}
