import { timingSafeEqual } from "node:crypto";
import { type Problem, quoted, signatureProblem } from "../../../src/receivers/verification.ts";

/** A signature header held against what the receiver computed. */
export interface SignatureCheck {
  readonly headers: Headers;
  readonly header: string;
  /** What the recipe computes with the receiver's secret; it never shows in a problem. */
  readonly computed: (secret: string) => string;
  readonly secret: string | undefined;
  /** In words, as in "lower hex HMAC-SHA256 over the body". */
  readonly over: string;
  /** What stands before the digest. */
  readonly prefix?: string;
  /** Digests that a wrong implementation would come to, by what it did wrong. */
  readonly mistakes?: (secret: string) => readonly (readonly [mistake: string, digest: string])[];
}

/**
 * Checks a signature in constant time. Says which known mistake a wrong one shows, and never what
 * the right one is: an answer that did would sign forgeries for whoever asks.
 */
export function checkSignature(check: SignatureCheck): Problem | undefined {
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

/** Compares in a time that depends on the lengths alone. */
export function sameText(a: string, b: string): boolean {
  const left = new TextEncoder().encode(a), right = new TextEncoder().encode(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
