import type { Headers } from "../../domain/attempt.ts";
import type { Instant } from "../../domain/instant.ts";
import { assertJson, type JsonText, membersOf } from "../../domain/json_text.ts";
import type { BodyShape, Profile, SignatureRule } from "../../domain/profile.ts";
import type { Secret } from "../../domain/secret.ts";
import { IN_SIGNED_TEXT, parseTemplate, type Placeholder } from "../template.ts";
import { bodiesOf, type BodyCandidate } from "./body.ts";
import { digestsOf } from "./digest.ts";
import { headerValue } from "./headers.ts";
import { type Key, keysOf } from "./key.ts";
import type { Candidate } from "./mistake.ts";
import type { Candidates } from "./search.ts";
import { placeholdersOf, textsOf } from "./text.ts";
import { readTemplate, type ValueRule } from "./value.ts";

/** A received request, and what is needed to check its signatures. */
export interface Explainable {
  readonly profile: Profile;
  readonly secret: Secret;
  /** A signature by this secret is reported as the mistake `previous-secret`. */
  readonly previousSecret?: Secret;
  readonly headers: Headers;
  /** The body's bytes as received. */
  readonly rawBody: Uint8Array;
  /** When it was received; signed timestamps must be close to it. */
  readonly at: Instant;
}

/** A signature header: its rule, and the placeholders' values in the request. */
export interface Scheme {
  readonly rule: SignatureRule & ValueRule;
  readonly known: ReadonlyMap<Placeholder, string>;
  /** Other headers that it needs, by placeholder. */
  readonly beside: ReadonlyMap<Placeholder, string>;
}

export const TRIO_PARTS: ReadonlyMap<Placeholder, string> = new Map([
  ["id", "webhook-id"],
  ["timestamp", "webhook-timestamp"],
]);

export const TRIO: SignatureRule & ValueRule = {
  header: "webhook-signature",
  algorithm: "sha256",
  encoding: "base64",
  over: "{id}.{timestamp}.{body}",
  value: "v1,{signature}",
  valueSeparator: " ",
};

/** The profile's own signature, and the trio if the profile has none or any trio header is present. */
export function schemesOf(request: Explainable): Scheme[] {
  const { profile: { signature }, headers } = request;
  const inTrio = new Map<Placeholder, string>();
  for (const [placeholder, name] of TRIO_PARTS) {
    const value = headerValue(headers, name);
    if (value !== undefined) inTrio.set(placeholder, value);
  }
  const trio = { rule: trioRule(request), known: inTrio, beside: TRIO_PARTS };
  if (!signature) return [trio];
  const known = new Map([...inTrio, ...placeholdersIn(request)]);
  const beside = new Map(
    placeholdersOf(parseTemplate(signature.over, IN_SIGNED_TEXT)).flatMap((placeholder) => {
      const name = TRIO_PARTS.get(placeholder);
      return name === undefined || known.has(placeholder) ? [] : [[placeholder, name]];
    }),
  );
  const own: Scheme = { rule: signature, known, beside };
  const hasTrio = inTrio.size > 0 || headerValue(headers, TRIO.header) !== undefined;
  return hasTrio ? [own, trio] : [own];
}

/** A signed placeholder whose value isn't in the request. */
export function unknownPartOf({ rule, known, beside }: Scheme): Placeholder | undefined {
  return placeholdersOf(parseTemplate(rule.over, IN_SIGNED_TEXT)).find((placeholder) =>
    !placeholder.startsWith("body") && !known.has(placeholder) && !beside.has(placeholder)
  );
}

function trioRule(request: Explainable): SignatureRule & ValueRule {
  const key = rightKey(keysFor(request));
  return key?.kind === "ed25519" ? { ...TRIO, value: "v1a,{signature}" } : TRIO;
}

/** The placeholders' values in the body, the profile's headers and the signature header. */
function placeholdersIn({ profile, headers, rawBody }: Explainable): Map<Placeholder, string> {
  const known = new Map<Placeholder, string>();
  const named = [...profile.headers];
  if (profile.signature) named.push([profile.signature.header, profile.signature.value]);
  for (const [name, template] of named) {
    const value = headerValue(headers, name);
    const read = value === undefined ? undefined : readTemplate(template, value);
    for (const [placeholder, text] of read ?? []) known.set(placeholder, text);
  }
  // Prefer the body's value: in a header some characters are percent-encoded.
  const type = typeIn(profile.body, new TextDecoder().decode(rawBody));
  return type === undefined ? known : known.set("type", type);
}

/** The event's type in a body of this shape; undefined if the body doesn't contain it. */
export function typeIn(shape: BodyShape, text: JsonText): string | undefined {
  const members = new Map(isJson(text) ? membersOf(text) : []);
  for (const [name, value] of shape) {
    const found = members.get(name);
    if (found === undefined) continue;
    if (value.kind === "object") {
      const inner = typeIn(value.members, found);
      if (inner !== undefined) return inner;
    } else if (value.kind === "from" && value.source === "type" && found.startsWith('"')) {
      return JSON.parse(found);
    }
  }
  return undefined;
}

export function keysFor({ profile, secret, previousSecret }: Explainable): Candidate<Key>[] {
  return keysOf({ secret, form: profile.secretForm, ...(previousSecret && { previousSecret }) });
}

export function rightKey(keys: readonly Candidate<Key>[]): Key | undefined {
  return keys.find(({ mistakes }) => mistakes.length === 0)?.value;
}

/** The candidates of a scheme's signature, except for the header's readings. */
export function candidatesOf(
  { rule, known }: Scheme,
  request: Explainable,
): Omit<Candidates, "readings"> & { readonly bodies: readonly BodyCandidate[] } {
  const { rawBody } = request;
  const over = parseTemplate(rule.over, IN_SIGNED_TEXT);
  return {
    keys: keysFor(request),
    bodies: bodiesOf(rawBody, {
      reserialised: placeholdersOf(over).includes("body:reserialised"),
      dataNames: dataNamesIn(request.profile.body),
    }),
    texts: textsOf({ over, known, rawBody }),
    digests: digestsOf(rule.algorithm),
  };
}

/** The members that hold the event's data in this shape, and `data`, the usual one. */
function dataNamesIn(shape: BodyShape): Set<string> {
  const own = shape.filter(([, value]) => value.kind === "from" && value.source === "data");
  return new Set([...own.map(([name]) => name), "data"]);
}

export function isJson(text: string): boolean {
  try {
    assertJson(text);
    return true;
  } catch {
    return false;
  }
}
