import { compact, type JsonText, membersOf } from "../domain/json_text.ts";
import type { BodyShape, BodyValue, Profile } from "../domain/profile.ts";
import { Secret } from "../domain/secret.ts";
import { explain } from "../profiles/explain.ts";
import { typeIn } from "../profiles/mistakes/scheme.ts";
import { readTemplate } from "../profiles/mistakes/value.ts";
import { headerProblem, isoProblem, orderProblem, parseBody, shown, unixProblem } from "./body.ts";
import {
  formProblem,
  type ParsedRequest,
  quoted,
  type ReceivedRequest,
  type RequestProblem,
  signatureProblem,
  type Verification,
} from "./verification.ts";

/** Verifies a request's body, headers and signature against its profile. */
export function verify(
  profile: Profile,
  request: ReceivedRequest,
  secret: string | undefined,
): Verification {
  const body = parseBody(request, secret);
  if ("problem" in body) return { ok: false, ...body.problem };
  const { parsed } = body;
  const event = typeIn(profile.body, parsed.text);
  const problem = headerProblem(request.headers, "Content-Type", "application/json") ??
    signaturesProblem(profile, parsed) ??
    headersProblem(profile, request.headers) ??
    shapeProblem(profile.body, parsed.text, "the body");
  if (problem) return { ok: false, ...(event !== undefined && { event }), ...problem };
  const signed = secret !== undefined &&
    (profile.signature !== undefined || hasTrio(request.headers));
  return { ok: true, event: event ?? "(unnamed)", signed };
}

/** Whether any Standard Webhooks header is present. */
function hasTrio(headers: Headers): boolean {
  return TRIO.some((name) => headers.has(name));
}

const TRIO = ["webhook-id", "webhook-timestamp", "webhook-signature"];

function signaturesProblem(profile: Profile, parsed: ParsedRequest): RequestProblem | undefined {
  const { headers, rawBody, secret, receivedAt } = parsed;
  const header = profile.signature?.header ?? "webhook-signature";
  const isNeeded = profile.signature !== undefined || profile.secretRequired;
  if (secret === undefined) {
    return isNeeded
      ? signatureProblem(`${header} can't be checked: this receiver was given no secret`)
      : undefined;
  }
  // A secret in the Standard Webhooks form signs the Standard Webhooks headers.
  if (!isNeeded && profile.secretForm !== "standard" && !hasTrio(headers)) return undefined;
  const explanation = explain({
    profile,
    secret: new Secret(secret),
    headers: [...headers],
    rawBody,
    at: receivedAt,
  });
  return explanation.ok ? undefined : signatureProblem(explanation.reason);
}

function headersProblem(profile: Profile, headers: Headers): RequestProblem | undefined {
  for (const [name, template] of profile.headers) {
    const found = headers.get(name);
    const read = found === null ? undefined : readTemplate(template, found);
    const uuid = read?.get("uuid");
    if (read === undefined || uuid !== undefined && !UUID.test(uuid)) {
      return formProblem(`${name} is ${quoted(found)}, expected "${template}"`);
    }
  }
  return undefined;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Checks an object's keys, their order, constants, `oneOf` values and timestamps. */
function shapeProblem(shape: BodyShape, text: JsonText, where: string): RequestProblem | undefined {
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

function valueProblem(value: BodyValue, found: JsonText, name: string): RequestProblem | undefined {
  if (value.kind === "object") return shapeProblem(value.members, found, name);
  if (value.kind === "constant") {
    const expected = compact(value.value);
    if (found === expected) return undefined;
    return formProblem(`${name} is ${shown(found)}, expected ${shown(expected)}`);
  }
  if (value.whenMissing === "refuse" && found === "null") {
    return formProblem(`${name} is null, expected a value`);
  }
  if (value.oneOf && !value.oneOf.includes(compact(found))) {
    return formProblem(`${name} is ${shown(found)}, expected ${value.oneOf.join(" or ")}`);
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
