import { Buffer } from "node:buffer";
import type { Headers } from "../domain/attempt.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import type { SignatureRule } from "../domain/profile.ts";
import { algorithmName } from "./mistakes/digest.ts";
import { headerValue, headerValues } from "./mistakes/headers.ts";
import type { Candidate, Mistake } from "./mistakes/mistake.ts";
import { type Candidates, search, type SearchResult } from "./mistakes/search.ts";
import { millisecondTexts, MS_DIGITS } from "./mistakes/text.ts";
import { nearNames } from "./mistakes/near_names.ts";
import {
  candidatesOf,
  type Explainable,
  isJson,
  rightKey,
  type Scheme,
  schemesOf,
  TRIO,
  unknownPartOf,
} from "./mistakes/scheme.ts";
import { readingsOf, valueMistakeCodes } from "./mistakes/value.ts";
import { BUILT_IN } from "./table.ts";
import { IN_SIGNED_TEXT, parseTemplate } from "./template.ts";

/**
 * Whether a request's signatures are correct, and if not, why. Never contains a secret or a correct
 * signature.
 */
export type Explanation =
  | {
    readonly ok: true;
    /** The headers that were verified. */
    readonly verified: readonly string[];
  }
  | {
    readonly ok: false;
    /** The header with the problem. */
    readonly header: string;
    /** For a person: what was found, what should be, how to fix it. */
    readonly reason: string;
    /** A code for scripts; two are joined by "+". Undefined if no known mistake explains it. */
    readonly mistake?: string;
    /** The codes of all mistakes that were tried. */
    readonly checked: readonly string[];
    readonly verified: readonly string[];
  };

/**
 * Verifies the profile's own signature and the Standard Webhooks headers (the trio), whichever are
 * required or present. For a wrong signature it finds the known mistake, or two, that produce it.
 */
export function explain(request: Explainable): Explanation {
  const schemes = schemesOf(request);
  const inspection = new Inspection(request, schemes);
  const verdicts = schemes.map((scheme) => ({ scheme, good: inspection.isGood(scheme) }));
  const verified = verdicts.flatMap(({ scheme, good }) => good ? [scheme.rule.header] : []);
  for (const { scheme, good } of verdicts) {
    const problem = good ? stalenessOf(scheme, request.at) : inspection.problemOf(scheme, verified);
    if (problem === undefined) continue;
    const { header = scheme.rule.header, reason, mistake, checked = [] } = problem;
    return {
      ok: false,
      header,
      reason,
      ...(mistake !== undefined && { mistake }),
      checked,
      verified: verified.filter((name) => name !== header),
    };
  }
  return { ok: true, verified };
}

/**
 * The correct signatures, by header. Show them only to someone who already has the secret. Leaves
 * out Ed25519 signatures, and those that need another header which is missing.
 */
export function expectedSignatures(request: Explainable): Headers {
  return schemesOf(request).flatMap((scheme): [string, string][] => {
    const { rule, known } = scheme;
    const { keys: [key], bodies: [body], texts: [text], digests: [digest] } = candidatesOf(
      scheme,
      request,
    );
    if (key === undefined || key.mistakes.length > 0 || key.value.kind !== "hmac") return [];
    const bytes = body!.value();
    const signed = bytes && text!.value(bytes);
    if (!signed) return [];
    const encoded = Buffer.from(digest!.value.compute(key.value.bytes, signed))
      .toString(rule.encoding);
    const value = rule.value.replace(
      /\{(\w+)\}/g,
      (all, name) => name === "signature" ? encoded : known.get(name) ?? all,
    );
    return [[rule.header, value]];
  });
}

interface SignatureProblem {
  /** Defaults to the scheme's own header. */
  readonly header?: string;
  readonly reason: string;
  readonly mistake?: string;
  readonly checked?: readonly string[];
}

/** Checks one request. Computes the candidates of each scheme once. */
class Inspection {
  readonly #request: Explainable;
  readonly #schemes: readonly Scheme[];
  readonly #candidates: ReadonlyMap<Scheme, Omit<Candidates, "readings">>;

  constructor(request: Explainable, schemes: readonly Scheme[]) {
    this.#request = request;
    this.#schemes = schemes;
    this.#candidates = new Map(
      schemes.map((scheme) => [scheme, candidatesOf(scheme, request)]),
    );
  }

  /** Whether the header occurs exactly once and is correct. */
  isGood(scheme: Scheme): boolean {
    const values = headerValues(this.#request.headers, scheme.rule.header);
    return values.length === 1 && this.#isRight(scheme, values[0]!);
  }

  /** What is wrong with a header that isn't good. */
  problemOf(scheme: Scheme, verified: readonly string[]): SignatureProblem {
    const { headers, secret } = this.#request;
    const { header } = scheme.rule;
    const values = headerValues(headers, header);
    if (values.length === 0) return this.#missing(scheme);
    for (const name of scheme.beside.values()) {
      if (headerValue(headers, name) === undefined) return this.#besideMissing(scheme, name);
    }
    if (values.length > 1) return this.#repeated(scheme, values);
    const unknownPart = unknownPartOf(scheme);
    if (unknownPart !== undefined) {
      const reason =
        `${header} also signs {${unknownPart}}, which is neither in the body nor in a header, ` +
        "so it can't be checked; add it to the profile's headers or body";
      return { reason, mistake: "part-untold" };
    }
    const value = values[0]!;
    if (value === "") {
      const reason = `${header} is empty, expected ${expectation(scheme.rule)}`;
      return { reason, mistake: "header-empty" };
    }
    if (value === secret.reveal()) {
      const reason = `${header} holds the secret itself, expected ${expectation(scheme.rule)}; ` +
        "the secret is exposed now: replace it, and sign with the new one";
      return { reason, mistake: "secret-itself" };
    }
    return this.#ofAnotherKind(scheme, value) ??
      this.#ofAnotherScheme(scheme, value) ??
      this.#explained(scheme, value, verified);
  }

  #isRight(scheme: Scheme, value: string): boolean {
    return this.#search(scheme, value, 0).mistakes !== undefined;
  }

  #search(scheme: Scheme, value: string, most?: number): SearchResult {
    const readings = readingsOf(value, scheme.rule);
    return search({ ...this.#candidates.get(scheme)!, readings }, most);
  }

  #missing(scheme: Scheme): SignatureProblem {
    const { rule } = scheme;
    const near = nearNames(this.#request.headers, rule.header, this.#schemes);
    const expected = `${rule.header} is missing, expected ${expectation(rule)}`;
    const misnamed = near.find((name) =>
      this.#isRight(scheme, headerValue(this.#request.headers, name)!)
    );
    if (misnamed !== undefined) {
      const reason = `${rule.header} is missing, and "${misnamed}" holds what it should; ` +
        `name it ${rule.header}`;
      return { reason, mistake: "header-misnamed" };
    }
    for (const [header] of this.#request.headers) {
      const value = headerValue(this.#request.headers, header)!;
      const other = this.#profileThatMatches(scheme, value, header);
      if (other === undefined) continue;
      const reason = `${expected}; ${header} is present and correct for profile "${other}": ` +
        `use that profile, or sign as "${this.#request.profile.name}" does`;
      return { reason, mistake: "another-profile" };
    }
    return { reason: expected + foundInstead(near), mistake: "header-missing" };
  }

  #besideMissing({ rule }: Scheme, name: string): SignatureProblem {
    const near = nearNames(this.#request.headers, name, this.#schemes);
    const reason = `${name} is missing, and ${rule.header} can't be checked without it; ` +
      `send it as it was signed${foundInstead(near)}`;
    return { header: name, reason, mistake: "header-missing" };
  }

  #repeated(scheme: Scheme, values: readonly string[]): SignatureProblem {
    const right = values.filter((value) => this.#isRight(scheme, value)).length;
    const reason = `${scheme.rule.header} occurs ${values.length} times (${right} correct), ` +
      "and receivers join them into one value; send it once";
    return { reason, mistake: "header-repeated" };
  }

  /** An HMAC although the secret is an Ed25519 key, or the other way round. */
  #ofAnotherKind(scheme: Scheme, value: string): SignatureProblem | undefined {
    const key = rightKey(this.#candidates.get(scheme)!.keys);
    if (key === undefined || scheme.rule.header !== TRIO.header) return undefined;
    const versions = value.split(" ").map((one) => one.split(",", 1)[0]);
    const [expected, other] = key.kind === "hmac" ? ["v1", "v1a"] : ["v1a", "v1"];
    if (!versions.every((version) => version === other)) return undefined;
    const reason = key.kind === "hmac"
      ? `${scheme.rule.header} holds an Ed25519 signature (v1a), and the secret is one for HMAC; ` +
        "give the public key (whpk_…), or sign with HMAC"
      : `${scheme.rule.header} holds an HMAC (v1), and the secret is an Ed25519 key; ` +
        `sign with the key, as "${expected},…"`;
    return { reason, mistake: "wrong-kind-of-key" };
  }

  /** A signature that would be correct in the other header. */
  #ofAnotherScheme(scheme: Scheme, value: string): SignatureProblem | undefined {
    const other = this.#schemes.find((one) => one !== scheme && this.#isRight(one, value));
    if (other === undefined) return undefined;
    const { header } = scheme.rule;
    const reason = `${header} holds what ${other.rule.header} should hold, ` +
      `expected ${expectation(scheme.rule)}`;
    return {
      reason,
      mistake: header === TRIO.header ? "platform-signature" : "trio-signature",
    };
  }

  #explained(scheme: Scheme, value: string, verified: readonly string[]): SignatureProblem {
    const { rule } = scheme;
    const result = this.#search(scheme, value);
    const mistakes = result.mistakes ?? this.#milliseconds(scheme, value);
    const other = this.#profileThatMatches(scheme, value);
    const checked = [...new Set([...valueMistakeCodes(rule), ...result.tried, ...ALWAYS_CHECKED])];
    if (other !== undefined && !mistakes) {
      const reason = `${rule.header} does not match: it is the signature of profile "${other}", ` +
        `expected ${expectation(rule)}; use that profile, or sign as this one does`;
      return { reason, mistake: "another-profile", checked };
    }
    if (mistakes) {
      const was = [...new Set(mistakes.map(({ was }) => was))].join(", and ");
      const fix = [...new Set(mistakes.map(({ fix }) => fix))].join(", and ");
      const reason = `${rule.header} does not match: ${was}, expected ${expectation(rule)}; ${fix}${
        other === undefined ? "" : ` (profile "${other}" signs so)`
      }`;
      return { reason, mistake: mistakes.map(({ code }) => code).join("+"), checked };
    }
    const problem = this.#cutOff(scheme, value) ??
      this.#unexplained(scheme, { value, verified, complete: result.complete });
    return { ...problem, checked };
  }

  /** The built-in profile for which a value is correct; with `header`, one that uses this header. */
  #profileThatMatches({ rule, known }: Scheme, value: string, header?: string): string | undefined {
    for (const [name, profile] of BUILT_IN) {
      const { signature } = profile;
      if (!signature || isSameRecipe(signature, rule)) continue;
      if (header !== undefined && signature.header.toLowerCase() !== header.toLowerCase()) continue;
      const other: Scheme = { rule: signature, known, beside: NONE };
      // Decode the secret as that profile does, then as this one does.
      for (const request of [{ ...this.#request, profile }, this.#request]) {
        const readings = readingsOf(value, other.rule);
        const candidates = { ...candidatesOf(other, request), readings };
        if (search(candidates, 0).mistakes !== undefined) return name;
      }
    }
    return undefined;
  }

  /** Signed with a timestamp in milliseconds, while the header shows seconds. */
  #milliseconds(scheme: Scheme, value: string): readonly Mistake[] | undefined {
    const { rawBody } = this.#request;
    if (rawBody.length > MAX_BODY_FOR_MILLISECONDS) return undefined;
    const { keys, bodies, digests } = this.#candidates.get(scheme)!;
    const over = parseTemplate(scheme.rule.over, IN_SIGNED_TEXT);
    const signed = { over, known: scheme.known, rawBody };
    return search({
      keys: keys.filter(isRight),
      bodies: bodies.filter(isRight),
      texts: [...millisecondTexts(signed)],
      digests: digests.filter(isRight),
      readings: readingsOf(value, scheme.rule),
    }).mistakes;
  }

  #cutOff({ rule }: Scheme, value: string): SignatureProblem | undefined {
    const expected = expectedSignatures(this.#request).find(([name]) => name === rule.header)?.[1];
    // Eight equal characters after the prefix can't be a coincidence.
    const least = rule.value.indexOf("{signature}") + 8;
    if (!expected?.startsWith(value) || value.length < least) return undefined;
    const reason =
      `${rule.header} has only the first ${value.length} characters of the correct value, ` +
      `expected ${expected.length}; find out where it is cut off`;
    return { reason, mistake: "signature-truncated" };
  }

  #unexplained(
    scheme: Scheme,
    { value, verified, complete }: {
      value: string;
      verified: readonly string[];
      complete: boolean;
    },
  ): SignatureProblem {
    const { rule } = scheme;
    const { rawBody, headers, secret } = this.#request;
    const found = value.includes(secret.reveal()) ? "another" : quoted(value);
    const start = `${rule.header} is ${found}, expected ${expectation(rule)}`;
    const length = headerValue(headers, "content-length");
    if (length !== undefined && /^\d+$/.test(length) && Number(length) !== rawBody.length) {
      const cut = Number(length) > rawBody.length;
      const reason = `${start}; Content-Length is ${length} but the body has ${rawBody.length} ` +
        `bytes: it was ${cut ? "cut off" : "changed"} after it was signed`;
      return { reason, mistake: cut ? "body-truncated" : "body-changed" };
    }
    const text = new TextDecoder().decode(rawBody);
    if (!isJson(text)) {
      const reason =
        `${start}; the body (${rawBody.length} bytes) is not JSON: it was cut off or ` +
        "changed after it was signed";
      return { reason, mistake: "body-truncated" };
    }
    if (rightKey(this.#candidates.get(scheme)!.keys) === undefined) {
      const reason = `${start}; the secret given here is not "whsec_" and Base64 of 24 to 64 bytes`;
      return { reason, mistake: "secret-form" };
    }
    const why = verified.length > 0
      ? `${verified.join(", ")} is correct, so the secret and the body are too: ` +
        "check how this header is made"
      : "the secret differs, or the body was changed after it was signed: " +
        "compare both with the other side";
    const limit = complete ? "" : " (the body is too large to try all pairs of mistakes)";
    return { reason: `${start}; nothing known explains it${limit}: ${why}` };
  }
}

/** In bytes. Trying all milliseconds takes a thousand digests, too many for larger bodies. */
const MAX_BODY_FOR_MILLISECONDS = 16 * 1024;

/** The mistakes that are checked for every signature that doesn't match. */
const ALWAYS_CHECKED = [
  "header-empty",
  "header-repeated",
  "secret-itself",
  "trio-signature",
  "another-profile",
  "signature-truncated",
  "body-truncated",
  "body-changed",
];

const NONE: Scheme["beside"] = new Map();

function isSameRecipe(one: SignatureRule, other: SignatureRule): boolean {
  return one.algorithm === other.algorithm && one.encoding === other.encoding &&
    one.over === other.over && one.value === other.value;
}

function isRight({ mistakes }: Candidate<unknown>): boolean {
  return mistakes.length === 0;
}

/** How far a timestamp may differ from the receiver's clock (Standard Webhooks). */
const TOLERANCE_MS = 5 * 60_000;

/** A signed timestamp must be close to when the request was received. */
function stalenessOf({ rule, known }: Scheme, at: Instant): SignatureProblem | undefined {
  const timestamp = known.get("timestamp");
  if (!rule.over.includes("{timestamp}") || timestamp === undefined) return undefined;
  const header = rule.header === TRIO.header ? "webhook-timestamp" : rule.header;
  const what = rule.header === TRIO.header ? header : `the timestamp of ${header}`;
  if (!/^\d{1,15}$/.test(timestamp)) {
    const reason = `${what} is ${quoted(timestamp)}, expected Unix seconds; send ` +
      "the whole seconds since 1970";
    return { header, reason, mistake: "timestamp-form" };
  }
  if (timestamp.length >= MS_DIGITS) {
    const reason =
      `${what} is ${quoted(timestamp)}, which is milliseconds, expected Unix seconds; ` +
      "divide by 1000, and sign what is sent";
    return { header, reason, mistake: "timestamp-in-ms" };
  }
  const ageMs = at - Number(timestamp) * 1_000;
  if (Math.abs(ageMs) <= TOLERANCE_MS) return undefined;
  const age = `${Math.round(Math.abs(ageMs) / 1_000)} s ${ageMs > 0 ? "before" : "after"}`;
  const reason =
    `${what} is ${age} ${formatInstant(at)}, expected at most ${
      TOLERANCE_MS / 1_000
    } s; the signature is right: ` +
    (ageMs > 0 ? "sign each attempt again, and check both clocks" : "check both clocks");
  return { header, reason, mistake: ageMs > 0 ? "stale" : "from-the-future" };
}

/** Describes a correct header. */
function expectation({ algorithm, encoding, over, value, header }: SignatureRule): string {
  const [prefix, suffix] = value.split("{signature}") as [string, string];
  const form = encoding === "hex" ? "lower-case hex" : "Base64";
  const ed25519 = header === TRIO.header && prefix === "v1a,";
  const what = ed25519 ? "Ed25519 signature" : `HMAC-${algorithmName(algorithm)}`;
  const start = prefix === "" ? "" : `"${prefix}" and `;
  const end = suffix === "" ? "" : ` and "${suffix}"`;
  return `${start}the ${form} ${what} over ${describeSigned(over)}${end}`;
}

function describeSigned(over: string): string {
  switch (over) {
    case "{body}":
      return "the body's own bytes";
    case "{body:encode64}":
      return "Ruby's Base64.encode64 of the body";
    case "{body:reserialised}":
      return "JSON.stringify(JSON.parse(body))";
    case TRIO.over:
      return "id.timestamp.body";
    default:
      return `"${over}"`;
  }
}

function foundInstead(near: readonly string[]): string {
  if (near.length === 0) return "";
  return `; found instead: ${near.map((name) => `"${name}"`).join(", ")}`;
}

/** A value for a reason: quoted, and truncated if long. */
function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value);
}
