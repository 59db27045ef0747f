import type { Profile } from "../domain/profile.ts";

/** What is wrong with the form of a signing secret, and how to fix it. Never repeats any part of it. */
export function secretFormProblem(
  secret: string,
  { secretForm: form, signature }: Pick<Profile, "secretForm" | "signature">,
): { message: string; fix: string } | undefined {
  if (secret.startsWith("whsk_") && signature !== undefined) {
    const message = `"${signature.header}" is an HMAC, which an Ed25519 key ("whsk_") can't make`;
    return {
      message,
      fix: form === "text" ? "give it the platform's secret" : 'give it a "whsec_" secret',
    };
  }
  if (form === "text") return undefined;
  const parts = /^(whsec_|whsk_)(.*)$/s.exec(secret);
  if (!parts) return form === "either" ? undefined : NO_STANDARD_SECRET;
  const [, prefix, encoded] = parts as unknown as [string, string, string];
  const bytes = decodedLength(encoded);
  if (bytes === undefined) {
    return { message: `what follows "${prefix}" in the secret is no Base64`, fix: FRESH };
  }
  if (prefix === "whsec_" && (bytes < 24 || bytes > 64)) {
    return { message: `the secret has ${bytes} bytes, not 24 to 64`, fix: FRESH };
  }
  if (prefix === "whsk_" && bytes !== 32 && bytes !== 64) {
    return { message: `the Ed25519 key has ${bytes} bytes, not 32 or 64`, fix: FRESH };
  }
  return undefined;
}

const FRESH = 'make one with "bellhook secret"';

const NO_STANDARD_SECRET = {
  message: 'the secret is no Standard Webhooks secret: "whsec_" or "whsk_" and Base64',
  fix: FRESH,
};

/** The number of bytes in a Base64 text, with or without padding. Undefined if it isn't Base64. */
function decodedLength(text: string): number | undefined {
  const parts = /^([A-Za-z0-9+/]+)(={0,2})$/.exec(text);
  if (!parts) return undefined;
  const [, digits, padding] = parts as unknown as [string, string, string];
  const rest = digits.length % 4;
  if (rest === 1) return undefined;
  if (padding !== "" && padding.length !== (4 - rest) % 4) return undefined;
  return Math.floor(digits.length * 3 / 4);
}
