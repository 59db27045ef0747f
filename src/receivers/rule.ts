/** The verifying side of a user's own profile: what its data says, read as a receiver would. */
import { createHmac } from "node:crypto";
import { compact, type JsonText, membersOf } from "../domain/json_text.ts";
import type { BodyShape, BodyValue, Profile, SignatureRule } from "../domain/profile.ts";
import { headerProblem, isoProblem, openBody, orderProblem, shown, unixProblem } from "./body.ts";
import { encode64 } from "./bookingsync.ts";
import { sameText } from "./signature.ts";
import { hasTrio, hmacKey, staleProblem, trioProblem } from "./standard_webhooks.ts";
import { formProblem, type Opened, type Problem, quoted } from "./verification.ts";
import { type ReceivedRequest, signatureProblem, type Verification } from "./verification.ts";

/** Verifies a request by what its profile says of body, headers and signature. */
export function verifyByRule(
  profile: Profile,
  request: ReceivedRequest,
  secret: string | undefined,
): Verification {
  const body = openBody(request, secret);
  if ("problem" in body) return { ok: false, ...body.problem };
  const { opened } = body;
  const event = eventIn(profile.body, opened.text);
  const problem = headerProblem(request.headers, "Content-Type", "application/json") ??
    (profile.signature && ruleProblem(profile.signature, { profile, opened, event })) ??
    headersProblem(profile, request.headers) ??
    shapeProblem(profile.body, opened.text, "the body") ??
    trioRuleProblem(profile, opened);
  if (problem) return { ok: false, ...(event !== undefined && { event }), ...problem };
  const signed = secret !== undefined &&
    (profile.signature !== undefined || hasTrio(request.headers));
  return { ok: true, event: event ?? "(unnamed)", signed };
}

/** What the body says where its shape puts the event's type. */
function eventIn(shape: BodyShape, text: JsonText): string | undefined {
  const members = new Map(membersOf(text));
  for (const [name, value] of shape) {
    const found = members.get(name);
    if (found === undefined) continue;
    if (value.kind === "object") {
      const inner = eventIn(value.members, found);
      if (inner !== undefined) return inner;
    } else if (value.kind === "from" && value.source === "type" && found.startsWith('"')) {
      return JSON.parse(found);
    }
  }
  return undefined;
}

interface Signed {
  readonly profile: Profile;
  readonly opened: Opened;
  readonly event: string | undefined;
}

function ruleProblem(rule: SignatureRule, signed: Signed): Problem | undefined {
  const { header } = rule;
  const { profile, opened } = signed;
  const found = opened.headers.get(header);
  if (opened.secret === undefined) {
    if (found === null && !profile.secretRequired) return undefined;
    return signatureProblem(`${header} can't be checked: this receiver was given no secret`);
  }
  const key = hmacKey(opened.secret, profile.secretForm);
  if (key === undefined) {
    return signatureProblem(`${header} can't be checked: this receiver's secret keys no HMAC`);
  }
  const expectation = `expected "${rule.value}", the signature being the ${rule.encoding} ` +
    `HMAC-${rule.algorithm.toUpperCase()} over "${rule.over}"`;
  if (found === null) return signatureProblem(`${header} is missing, ${expectation}`);
  const known = valuesInHeaders(signed);
  for (const values of readingsOf(found, rule)) {
    for (const [name, value] of known) if (!values.has(name)) values.set(name, value);
    const content = contentOf(rule.over, opened, values);
    if (content instanceof Missing) {
      return signatureProblem(`${header} can't be checked: no header holds {${content.name}}`);
    }
    const digest = createHmac(rule.algorithm, key).update(content).digest(rule.encoding);
    if (sameText(values.get("signature")!, digest)) {
      return rule.over.includes("{timestamp}")
        ? staleProblem("the signed timestamp", values.get("timestamp")!, opened.receivedAt)
        : undefined;
    }
  }
  return signatureProblem(
    `${header} is ${quoted(found)}, ${expectation} with this receiver's secret`,
  );
}

/** Each signature that a header may be read to hold, with what stands beside it. */
function readingsOf(found: string, { value, separator }: SignatureRule): Map<string, string>[] {
  const whole = readTemplate(value, found, separator);
  if (whole === undefined) return [];
  const signatures = separator === undefined
    ? [whole.get("signature")!]
    : whole.get("signature")!.split(separator);
  return signatures.map((signature) => new Map([...whole, ["signature", signature]]));
}

/** What the request's other headers say of the placeholders: the trio's, and the profile's own. */
function valuesInHeaders({ profile, opened, event }: Signed): Map<string, string> {
  const { headers } = opened;
  const values = new Map<string, string>();
  if (event !== undefined) values.set("type", event);
  const id = headers.get("webhook-id"), timestamp = headers.get("webhook-timestamp");
  if (id !== null) values.set("id", id);
  if (timestamp !== null) values.set("timestamp", timestamp);
  for (const [name, template] of profile.headers) {
    const found = headers.get(name);
    const read = found === null ? undefined : readTemplate(template, found);
    for (const [placeholder, value] of read ?? []) {
      // The body has the type as it is; in a header some of its characters are encoded.
      if (placeholder !== "type" || event === undefined) values.set(placeholder, value);
    }
  }
  return values;
}

/** A placeholder that nothing in the request gives a value. */
class Missing {
  constructor(readonly name: string) {}
}

/** The bytes that were signed: the template with its placeholders filled in. */
function contentOf(
  template: string,
  { rawBody, text }: Opened,
  values: ReadonlyMap<string, string>,
): Uint8Array | Missing {
  const parts: Uint8Array[] = [];
  for (const piece of piecesOf(template)) {
    if (typeof piece === "string") parts.push(Buffer.from(piece));
    else if (piece.name === "body") parts.push(rawBody);
    else if (piece.name === "body:encode64") parts.push(Buffer.from(encode64(rawBody)));
    else if (piece.name === "body:reserialised") {
      parts.push(Buffer.from(JSON.stringify(JSON.parse(text))));
    } else {
      const value = values.get(piece.name);
      if (value === undefined) return new Missing(piece.name);
      parts.push(Buffer.from(value));
    }
  }
  return Buffer.concat(parts);
}

function piecesOf(template: string): (string | { readonly name: string })[] {
  return template.split(/(\{[^{}]*\})/).filter(Boolean).map((piece) =>
    piece.startsWith("{") ? { name: piece.slice(1, -1) } : piece
  );
}

/** The characters that a placeholder's value may be of in a header. */
const VALUE_CHARACTERS: { readonly [name: string]: string } = {
  signature: "[A-Za-z0-9+/=]+",
  timestamp: "\\d+",
  id: "[A-Za-z0-9_-]+",
  uuid: "[0-9A-Fa-f-]{36}",
};

/** The placeholders' values in a text that the template could have made; undefined for another. */
function readTemplate(
  template: string,
  text: string,
  separator?: string,
): Map<string, string> | undefined {
  const names: string[] = [];
  const source = piecesOf(template).map((piece) => {
    if (typeof piece === "string") return literal(piece);
    const before = names.indexOf(piece.name);
    if (before >= 0) return `\\${before + 1}`;
    names.push(piece.name);
    // Several signatures are told apart afterwards: a pattern for them could backtrack for ever.
    const several = piece.name === "signature" && separator !== undefined;
    return `(${several ? ".+" : VALUE_CHARACTERS[piece.name] ?? ".+"})`;
  });
  const match = new RegExp(`^${source.join("")}$`).exec(text);
  if (!match) return undefined;
  return new Map(names.map((name, at): [string, string] => [name, match[at + 1]!]));
}

function literal(text: string): string {
  return text.replace(/[^\w\s]/g, "\\$&");
}

function headersProblem(profile: Profile, headers: Headers): Problem | undefined {
  for (const [name, template] of profile.headers) {
    const found = headers.get(name);
    if (found === null || readTemplate(template, found) === undefined) {
      return formProblem(`${name} is ${quoted(found)}, expected "${template}"`);
    }
  }
  return undefined;
}

/** Holds keys, their order, constants and timestamps against the shape. */
function shapeProblem(shape: BodyShape, text: JsonText, where: string): Problem | undefined {
  const members = membersOf(text);
  if (members === undefined) return formProblem(`${where} is ${shown(text)}, expected an object`);
  const optional = shape.filter(([, value]) =>
    value.kind === "from" && value.whenMissing === "omit"
  );
  const order = orderProblem(members.map(([name]) => name), {
    expected: shape.map(([name]) => name),
    optional: optional.map(([name]) => name),
    where,
  });
  if (order) return order;
  const values = new Map(shape);
  for (const [name, found] of members) {
    const problem = valueProblem(values.get(name)!, found, name);
    if (problem) return problem;
  }
  return undefined;
}

function valueProblem(value: BodyValue, found: JsonText, name: string): Problem | undefined {
  if (value.kind === "object") return shapeProblem(value.members, found, name);
  if (value.kind === "constant") {
    const expected = compact(value.value);
    if (found === expected) return undefined;
    return formProblem(`${name} is ${shown(found)}, expected ${shown(expected)}`);
  }
  if (value.source !== "timestamp" || (value.nullWhenScope && found === "null")) return undefined;
  switch (value.as) {
    case "iso":
      return isoProblem(name, found);
    case "unixMs":
      return unixProblem(name, found, "milliseconds");
    case "unixSeconds":
      return unixProblem(name, found, "seconds");
  }
}

/** The trio beside, or in place of, a signature of the profile's own. */
function trioRuleProblem(profile: Profile, opened: Opened): Problem | undefined {
  const { signature, secretRequired, secretForm } = profile;
  if (hasTrio(opened.headers)) {
    const mayPass = signature === undefined && !secretRequired && opened.secret === undefined;
    return mayPass ? undefined : trioProblem(opened, secretForm);
  }
  return signature === undefined && secretRequired ? trioProblem(opened, secretForm) : undefined;
}
