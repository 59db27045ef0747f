import { Buffer } from "node:buffer";
import { createHash, sign } from "node:crypto";
import type { Headers } from "../domain/attempt.ts";
import type { FormatText } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import type { Instant } from "../domain/instant.ts";
import { Secret } from "../domain/secret.ts";
import { receiverName, type Subscription } from "../domain/subscription.ts";
import { VERSION } from "../version.ts";
import { headerNameProblem, inHeader } from "./header.ts";
import { hmac, type Signed } from "./hmac.ts";
import { formatOf, frozenWire, nameInBody, type Wire } from "./render.ts";
import { type SigningKey, signingKey } from "./signing_key.ts";
import {
  IN_HEADERS,
  IN_SIGNATURE,
  IN_SIGNED_TEXT,
  parseTemplate,
  type Placeholder,
  type Template,
} from "./template.ts";

/** A header as it is sent. If `secret`, its value is never shown. */
export interface SentHeader {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
}

/** What the headers of one attempt are made from. */
export interface Signable {
  readonly subscription: Subscription;
  readonly event: Event;
  /** The format of the body. It may be older than the subscription, and name the event differently. */
  readonly format?: FormatText;
  /** The result of `renderBody` as bytes. */
  readonly body: Uint8Array;
  /** When the attempt starts, on the wall clock. */
  readonly at: Instant;
}

/**
 * All headers of one attempt, in order: `Content-Type`, the profile's headers, its signature, the
 * Standard Webhooks headers (the trio), the operator's. Text from the event can't inject headers.
 */
export function headersFor(signable: Signable): SentHeader[] {
  const { subscription, format, at } = signable;
  const signer = signerOf(subscription, format);
  const keys = signer.previous && at < signer.previous.until
    ? [...signer.keys, signer.previous.key]
    : signer.keys;
  const facts = new Facts(signable);
  const headers = [CONTENT_TYPE];
  for (const { name, template } of signer.plain) {
    headers.push({ name, value: facts.header(template), secret: false });
  }
  if (signer.own && keys.length > 0) {
    headers.push({
      name: signer.own.header,
      value: ownValue(signer.own, keys, facts),
      secret: false,
    });
  }
  if (subscription.standardHeaders) headers.push(...trio(keys, facts));
  headers.push(...signer.operators);
  return headers;
}

/** Headers that may be shown and stored: with signatures, without secrets. */
export function redact(headers: readonly SentHeader[]): Headers {
  return headers.map(({ name, value, secret }) => [name, secret ? "[redacted]" : value]);
}

const CONTENT_TYPE: SentHeader = {
  name: "Content-Type",
  value: "application/json",
  secret: false,
};

/** How a subscription's headers are made. Computed once per subscription: signing is a hot path. */
interface Signer {
  readonly plain: readonly { readonly name: string; readonly template: Template }[];
  readonly own?: OwnSignature;
  /** The current key; empty if the subscription has no secret. */
  readonly keys: readonly SigningKey[];
  readonly previous?: { readonly key: SigningKey; readonly until: Instant };
  readonly operators: readonly SentHeader[];
}

interface OwnSignature {
  readonly header: string;
  readonly algorithm: string;
  readonly encoding: "hex" | "base64";
  readonly over: Template;
  readonly value: Template;
  readonly separator?: string;
}

const signers = new WeakMap<Subscription, Signer>();
/** For deliveries that are older than the subscription's current profile. */
const olderSigners = new WeakMap<Subscription, Map<FormatText, Signer>>();

function signerOf(subscription: Subscription, format: FormatText | undefined): Signer {
  if (format !== undefined && format !== formatOf(subscription)) {
    const wire = frozenWire(format);
    if (wire) return olderSigner(subscription, format, wire);
  }
  let signer = signers.get(subscription);
  if (!signer) {
    signer = makeSigner(subscription);
    signers.set(subscription, signer);
  }
  return signer;
}

function olderSigner(subscription: Subscription, format: FormatText, wire: Wire): Signer {
  const older = olderSigners.get(subscription) ?? new Map<FormatText, Signer>();
  olderSigners.set(subscription, older);
  let signer = older.get(format);
  if (!signer) {
    const { signature: _, ...profile } = subscription.profile;
    // The current secret may have a form that the older profile can't read.
    const secretForm = isReadable(subscription, wire) ? wire.secretForm : profile.secretForm;
    signer = makeSigner({ ...subscription, profile: { ...profile, ...wire, secretForm } });
    older.set(format, signer);
  }
  return signer;
}

function isReadable(
  { secret, previousSecret }: Subscription,
  { secretForm, signature }: Wire,
): boolean {
  const secrets = [secret, previousSecret?.secret].filter((one) => one !== undefined);
  try {
    const keys = secrets.map((one) => signingKey(one, secretForm));
    return signature === undefined || keys.every(({ kind }) => kind === "hmac");
  } catch {
    return false;
  }
}

function makeSigner(subscription: Subscription): Signer {
  const { profile, secret, previousSecret } = subscription;
  const { signature } = profile;
  const operators = subscription.headers
    .filter(([name]) => headerNameProblem(name) === undefined && !same(name, signature?.header))
    .map(([name, value]) => ({
      name,
      value: value instanceof Secret ? value.reveal() : value,
      secret: value instanceof Secret,
    }));
  // The operator's headers, from the config, replace the profile's.
  const plain = [["User-Agent", `Bellhook/${VERSION}`] as const, ...profile.headers]
    .filter(([name], index, all) =>
      !operators.some((own) => same(own.name, name)) &&
      !all.slice(index + 1).some(([later]) => same(later, name))
    )
    .map(([name, value]) => ({ name, template: parseTemplate(value, IN_HEADERS) }));
  const keys = secret ? [signingKey(secret, profile.secretForm)] : [];
  return {
    plain,
    ...(signature && keys.every(({ kind }) => kind === "hmac") && {
      own: {
        ...signature,
        over: parseTemplate(signature.over, IN_SIGNED_TEXT),
        value: parseTemplate(signature.value, IN_SIGNATURE),
      },
    }),
    keys,
    ...(previousSecret && {
      previous: {
        key: signingKey(previousSecret.secret, profile.secretForm),
        until: previousSecret.until,
      },
    }),
    operators,
  };
}

function same(name: string, other: string | undefined): boolean {
  return name.toLowerCase() === other?.toLowerCase();
}

function ownValue(own: OwnSignature, keys: readonly SigningKey[], facts: Facts): string {
  const signed = facts.signed(own.over);
  const live = own.separator === undefined ? keys.slice(0, 1) : keys;
  const signatures = live.map((key) => {
    if (key.kind === "hmac") return hmac(own.algorithm, key.bytes, signed, own.encoding);
    throw new Error(`cannot sign "${own.header}": an Ed25519 key can't make an HMAC`);
  });
  return facts.header(own.value, signatures.join(own.separator));
}

/** The Standard Webhooks headers. Without a secret: id and timestamp, but no signature. */
function trio(keys: readonly SigningKey[], facts: Facts): SentHeader[] {
  const id = facts.textOf("id"), timestamp = facts.textOf("timestamp");
  const headers = [
    { name: "webhook-id", value: id, secret: false },
    { name: "webhook-timestamp", value: timestamp, secret: false },
  ];
  if (keys.length === 0) return headers;
  const signed = [`${id}.${timestamp}.`, facts.body];
  const value = keys.map((key) => standardSignature(key, signed)).join(" ");
  return [...headers, { name: "webhook-signature", value, secret: false }];
}

function standardSignature(key: SigningKey, signed: Signed): string {
  if (key.kind === "hmac") return `v1,${hmac("sha256", key.bytes, signed, "base64")}`;
  const bytes = Buffer.concat(signed.map((piece) => Buffer.from(piece)));
  return `v1a,${sign(null, bytes, key.privateKey).toString("base64")}`;
}

/** The values of the placeholders in one attempt, computed on demand. */
class Facts {
  readonly #signable: Signable;

  constructor(signable: Signable) {
    this.#signable = signable;
  }

  get body(): Uint8Array {
    return this.#signable.body;
  }

  /** A header's value. */
  header(template: Template, signature = ""): string {
    let value = "";
    for (const piece of template) {
      if (typeof piece === "string") value += piece;
      else if (piece.placeholder === "signature") value += signature;
      else value += inHeader(this.textOf(piece.placeholder));
    }
    return value;
  }

  /** The signed text for a template. */
  signed(template: Template): Signed {
    return template.map((piece) => {
      if (typeof piece === "string") return piece;
      return piece.placeholder === "body" ? this.body : this.textOf(piece.placeholder);
    });
  }

  textOf(placeholder: Placeholder): string {
    const { subscription, event, format, body, at } = this.#signable;
    switch (placeholder) {
      case "body:encode64":
        return encode64(body);
      case "body:reserialised":
        return JSON.stringify(JSON.parse(utf8.decode(body)));
      case "id":
        return webhookId(event.sentAs ?? event.id);
      case "timestamp":
        return String(Math.floor(at / 1_000));
      case "uuid":
        return uuidOf(event.sentAs ?? event.id, subscription.id);
      case "type":
        return (format && nameInBody(format, event)) ?? receiverName(subscription, event.type);
      case "body":
      case "signature":
        throw new Error(`"{${placeholder}}" has no text of its own`);
    }
  }
}

const utf8 = new TextDecoder();

/** Ruby's Base64.encode64: a newline after every 60 characters, and at the end if not empty. */
function encode64(bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  return base64.replace(/.{1,60}/g, "$&\n");
}

/** The event's id if Standard Webhooks allows it in a header, else a stable hash of it. */
export function webhookId(eventId: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(eventId)) return eventId;
  // As JSON: UTF-8 can't encode a lone surrogate, so two such ids would get the same hash.
  const hash = createHash("sha256").update(JSON.stringify(eventId), "utf8").digest("hex");
  return `evt_${hash.slice(0, 32)}`;
}

/** Bellhook's UUID namespace. It must never change: receivers deduplicate by the resulting UUIDs. */
const NAMESPACE = Buffer.from("57367dbb9c33472c936130734bb7065b", "hex");

/**
 * The same UUID for all attempts of one event to one subscription. Version 5 (RFC 9562, section 5.5),
 * because many receivers' checks don't accept newer versions.
 */
function uuidOf(eventId: string, subscriptionId: string): string {
  const name = JSON.stringify([eventId, subscriptionId]);
  const bytes = createHash("sha1").update(NAMESPACE).update(name, "utf8").digest().subarray(0, 16);
  bytes[6] = bytes[6]! & 0x0f | 0x50;
  bytes[8] = bytes[8]! & 0x3f | 0x80;
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}
