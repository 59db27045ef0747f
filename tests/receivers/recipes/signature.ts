import { timingSafeEqual } from "node:crypto";
import {
  quoted,
  type RequestProblem,
  signatureProblem,
} from "../../../src/receivers/verification.ts";

/** A signature header, and what it is compared with. */
export interface SignatureCheck {
  readonly headers: Headers;
  readonly header: string;
  /** What the recipe computes with the receiver's secret. It is never shown in a problem. */
  readonly computed: (secret: string) => string;
  readonly secret: string | undefined;
  /** A description, such as "lower hex HMAC-SHA256 over the body". */
  readonly over: string;
  /** The text before the digest. */
  readonly prefix?: string;
  /** The digests of wrong implementations, by their mistake. */
  readonly mistakes?: (secret: string) => readonly (readonly [mistake: string, digest: string])[];
}

/**
 * Checks a signature in constant time. Names the known mistake of a wrong one, but never the correct
 * one, which would let anyone have forgeries signed.
 */
export function checkSignature(check: SignatureCheck): RequestProblem | undefined {
  const { headers, header, secret, over, prefix = "" } = check;
  const found = headers.get(header);
  const expectation = `expected ${prefix ? `"${prefix}" and ` : ""}the ${over}`;
  if (secret === undefined) {
    return signatureProblem(`${header} can't be checked: this receiver was given no secret`);
  }
  if (found === null) return signatureProblem(`${header} is missing, ${expectation}`);
  const computed = check.computed(secret);
  if (sameText(found, prefix + computed)) return undefined;
  const mistake = mistakeIn(found, { ...check, prefix, digest: computed, secret });
  return signatureProblem(
    mistake
      ? `${header} ${mistake}, ${expectation}`
      : `${header} is ${quoted(found)}, ${expectation} with this receiver's secret`,
  );
}

function mistakeIn(
  found: string,
  { prefix, digest, secret, mistakes }: SignatureCheck & {
    prefix: string;
    digest: string;
    secret: string;
  },
): string | undefined {
  if (prefix !== "" && sameText(found, digest)) return `lacks the prefix "${prefix}"`;
  if (sameText(found.toLowerCase(), prefix + digest)) return "is in upper case";
  return mistakes?.(secret).find(([, wrong]) => sameText(found, prefix + wrong))?.[0];
}

/** Compares in a time that depends only on the lengths. */
export function sameText(a: string, b: string): boolean {
  const left = new TextEncoder().encode(a), right = new TextEncoder().encode(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
