import type { Profile } from "../domain/profile.ts";
import { looksSecret, quoted } from "../domain/quoted.ts";
import { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";
import { headerNameProblem, headerValueProblem } from "../profiles/header.ts";
import { type Findings, splitFix } from "./problem.ts";
import type { RawSubscription } from "./schema.ts";
import type { SecretReader } from "./secrets.ts";
import type { PartlyValid } from "./shape.ts";
import { type Place, safeName } from "./source.ts";

/** What the headers of a subscription are read with. */
interface Context {
  /** Undefined if it isn't known, because its name or the profile itself is wrong. */
  readonly profile: Profile | undefined;
  readonly secrets: SecretReader;
  readonly findings: Findings;
}

/** The headers of a subscription, in their order. Invalid values are reported, and left out. */
export async function readHeaders(
  place: Place,
  raw: PartlyValid<RawSubscription>["headers"],
  { profile, secrets, findings }: Context,
): Promise<Subscription["headers"]> {
  const headers: [string, string | Secret][] = [];
  const seen = new Set<string>();
  for (const [name, at] of place.members()) {
    const fault = nameFaultOf(name, seen, profile);
    if (fault) findings.add(place.problemAtKey(name, fault.message, fault.fix));
    seen.add(name.toLowerCase());
    const given = raw?.[safeName(name)];
    const value = typeof given === "object" ? await secrets.read(given, at) : given;
    if (value === undefined) continue;
    if (typeof value !== "string" && !(value instanceof Secret)) {
      findings.add(value);
      continue;
    }
    checkValue(name, value, at, findings);
    headers.push([name, value]);
  }
  return headers;
}

function nameFaultOf(name: string, seen: ReadonlySet<string>, profile: Profile | undefined) {
  const fault = headerNameProblem(name) ?? ownHeaderProblem(name, profile);
  if (fault !== undefined) return splitFix(fault);
  if (!seen.has(name.toLowerCase())) return undefined;
  return { message: `the header ${quoted(name)} is given twice`, fix: "keep one of them" };
}

function ownHeaderProblem(name: string, profile: Profile | undefined): string | undefined {
  if (profile === undefined) return undefined;
  const same = (other: string) => other.toLowerCase() === name.toLowerCase();
  const own = profile.headers.some(([other]) => same(other)) ||
    profile.signature !== undefined && same(profile.signature.header);
  return own
    ? `profile ${quoted(profile.name)} writes the header ${quoted(name)} itself; take it out`
    : undefined;
}

/** The headers that usually carry a secret. */
const SECRET_NAMES = /^(authorization|proxy-authorization|cookie|x-api-key|api-key|x-auth-token)$/i;

function checkValue(name: string, value: string | Secret, place: Place, findings: Findings): void {
  const isInFile = typeof value === "string";
  if (isInFile && value.split(" ").some(looksSecret)) {
    const fix = 'name where it is to be found: {"env": "NAME"}';
    findings.add(place.problem("a secret is written into the file", fix));
    return;
  }
  const wrong = headerValueProblem(isInFile ? value : value.reveal());
  if (wrong !== undefined) {
    const { message, fix } = splitFix(wrong);
    findings.add(place.problem(message, fix));
  } else if (isInFile && SECRET_NAMES.test(name)) {
    const message = `the value of ${quoted(name)} is written into the file, and shown by the API`;
    findings.warn(place.problem(message, 'if it is a secret, write {"env": "NAME"} instead'));
  }
}

/** Finds other `traceparent` headers: a request has one, that of its attempt. */
export function checkTraceparent(
  headers: Place,
  profile: Profile | undefined,
  findings: Findings,
): void {
  const isIt = (name: string) => name.toLowerCase() === "traceparent";
  for (const [name] of headers.members()) {
    if (!isIt(name)) continue;
    const message = `"traceparent" is true, so that Bellhook writes the header ${quoted(name)}`;
    findings.add(headers.problemAtKey(name, message, "take one of the two out"));
  }
  if (profile?.headers.some(([name]) => isIt(name))) {
    const message = `profile ${quoted(profile.name)} writes the header "traceparent" itself`;
    findings.add(headers.problem(message, 'take "traceparent": true out'));
  }
}
