import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject } from "node:crypto";
import type { Profile } from "../../domain/profile.ts";
import { Secret } from "../../domain/secret.ts";
import { signingKey } from "../signing_key.ts";
import { type Candidate, type Mistake, mistaken, right } from "./mistake.ts";

/** A key to verify with: an HMAC key, or an Ed25519 public key. */
export type Key =
  | { readonly kind: "hmac"; readonly bytes: Uint8Array }
  | { readonly kind: "ed25519"; readonly publicKey: KeyObject };

/** The secrets of a subscription, and how its profile reads them. */
export interface Secrets {
  readonly secret: Secret;
  readonly previousSecret?: Secret;
  readonly form: Profile["secretForm"];
}

/** The keys that may have signed, the correct one first. None is correct if the secret's form isn't. */
export function keysOf({ secret, previousSecret, form }: Secrets): Candidate<Key>[] {
  const found: Candidate<Key>[] = [];
  const key = keyOf(secret, form);
  if (key) found.push(right(key));
  const previous = previousSecret && keyOf(previousSecret, form);
  if (previous) found.push(mistaken(PREVIOUS, previous));
  if (key?.kind === "ed25519") return found;
  return [...found, ...(form === "text" ? misreadText(secret) : misreadStandard(secret, key))];
}

/** The key for a secret; undefined if the secret isn't in the profile's form. */
export function keyOf(secret: Secret, form: Profile["secretForm"]): Key | undefined {
  const publicKey = form === "text" ? undefined : publicKeyOf(secret);
  if (publicKey) return { kind: "ed25519", publicKey };
  try {
    const key = signingKey(secret, form);
    return key.kind === "hmac"
      ? key
      : { kind: "ed25519", publicKey: createPublicKey(key.privateKey as KeyObject) };
  } catch {
    return undefined;
  }
}

/** The bytes before the key in the DER encoding of an Ed25519 public key (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

function publicKeyOf(secret: Secret): KeyObject | undefined {
  const base64 = /^whpk_([A-Za-z0-9+/]{43}=)$/.exec(secret.reveal())?.[1];
  if (base64 === undefined) return undefined;
  const key = Buffer.concat([SPKI_PREFIX, Buffer.from(base64, "base64")]);
  return createPublicKey({ key, format: "der", type: "spki" });
}

const PREVIOUS: Mistake = {
  code: "previous-secret",
  was: "it was made with the previous secret",
  fix: "give the new secret to the signer, and sign with both during the change",
};

const NOT_DECODED: Mistake = {
  code: "secret-not-decoded",
  was: 'the secret\'s text was used as the key, with "whsec_" and not decoded',
  fix: 'remove "whsec_" and decode the rest as Base64: those bytes are the key',
};

const NOT_DECODED_WITHOUT_PREFIX: Mistake = {
  code: "secret-not-decoded",
  was: 'the secret\'s text after "whsec_" was used as the key, not decoded',
  fix: 'decode what follows "whsec_" as Base64: those bytes are the key',
};

const GIVEN_WITHOUT_PREFIX: Mistake = {
  code: "secret-without-prefix",
  was: 'the secret given here lacks "whsec_", and the signature was made with the decoded secret',
  fix: 'give the complete secret: "whsec_" and Base64',
};

const GIVEN_AS_HEX: Mistake = {
  code: "secret-as-hex",
  was: "the secret given here is the key in hex, and the signature was made with that key",
  fix: 'write it as "whsec_" and Base64 of the key',
};

const HEX_AS_KEY: Mistake = {
  code: "secret-as-hex",
  was: "the key was converted to hex, and that text was used as the key",
  fix: 'decode what follows "whsec_" as Base64: those bytes are the key',
};

const DECODED: Mistake = {
  code: "secret-decoded",
  was: "the secret was decoded before it was used as the key",
  fix: "use the secret's text as the key, without decoding it",
};

const WITHOUT_PREFIX: Mistake = {
  code: "secret-without-prefix",
  was: 'the secret\'s text without "whsec_" was used as the key',
  fix: 'use the complete text of the secret, with "whsec_"',
};

const WITH_PREFIX: Mistake = {
  code: "secret-with-prefix",
  was: '"whsec_" was added before the secret\'s text',
  fix: 'use the text of the secret without "whsec_"',
};

const SPACES: Mistake = {
  code: "secret-with-spaces",
  was: "the secret had a line break or spaces around it",
  fix: "trim the secret after reading it, or write it with printf instead of echo",
};

const TRIMMED: Mistake = {
  code: "secret-trimmed",
  was: "the secret given here has a line break or spaces around it, the signer's doesn't",
  fix: "remove them here",
};

const QUOTED: Mistake = {
  code: "secret-quoted",
  was: "one of the two sides has quotation marks around the secret",
  fix: "remove them: not every parser of env files does",
};

const EMPTY: Mistake = {
  code: "secret-empty",
  was: 'it was made without a secret (an unset variable becomes empty or "undefined")',
  fix: "make sure that the signer gets the secret",
};

/** The keys that result from common mistakes with a free-text secret. */
function misreadText(secret: Secret): Candidate<Key>[] {
  const text = secret.reveal();
  const bare = withoutPrefix(text);
  const found = [...paddedKeys(text), ...emptyKeys()];
  if (bare !== undefined) found.push(mistaken(WITHOUT_PREFIX, bytes(bare)));
  else found.push(mistaken(WITH_PREFIX, bytes(`whsec_${text}`)));
  const decodable = bare ?? text;
  if (/^[A-Za-z0-9+/_-]{4,}={0,2}$/.test(decodable)) {
    found.push(mistaken(DECODED, hmacKey(Buffer.from(decodable, "base64"))));
  }
  if (/^(?:[0-9A-Fa-f]{2})+$/.test(text)) {
    found.push(mistaken(DECODED, hmacKey(Buffer.from(text, "hex"))));
  }
  return found;
}

/** The keys that result from common mistakes with a `whsec_` secret. */
function misreadStandard(secret: Secret, key: Key | undefined): Candidate<Key>[] {
  const text = secret.reveal();
  const found: Candidate<Key>[] = [];
  const trimmed = text.trim();
  if (key === undefined && trimmed !== text) {
    const inForm = keyOf(new Secret(trimmed), "standard");
    if (inForm) found.push(mistaken(TRIMMED, inForm));
  }
  const bare = withoutPrefix(trimmed);
  if (bare === undefined) {
    const given = keyOf(new Secret(`whsec_${trimmed}`), "standard");
    if (given) found.push(mistaken(GIVEN_WITHOUT_PREFIX, given));
    if (/^(?:[0-9A-Fa-f]{2}){16,64}$/.test(trimmed)) {
      found.push(mistaken(GIVEN_AS_HEX, hmacKey(Buffer.from(trimmed, "hex"))));
    }
    // With the form "either", a text without the prefix is free text, with the same mistakes.
    return [...found, ...paddedKeys(text), ...emptyKeys()];
  }
  found.push(
    mistaken(NOT_DECODED, bytes(text)),
    mistaken(NOT_DECODED_WITHOUT_PREFIX, bytes(bare)),
  );
  if (key?.kind === "hmac") {
    const hex = Buffer.from(key.bytes).toString("hex");
    found.push(mistaken(HEX_AS_KEY, bytes(hex)), mistaken(HEX_AS_KEY, bytes(hex.toUpperCase())));
  }
  for (const { mistakes, value } of paddedKeys(text)) {
    found.push({ mistakes: [NOT_DECODED, ...mistakes], value });
  }
  for (const { mistakes, value } of paddedKeys(bare)) {
    found.push({ mistakes: [NOT_DECODED_WITHOUT_PREFIX, ...mistakes], value });
  }
  return [...found, ...emptyKeys()];
}

function withoutPrefix(text: string): string | undefined {
  return text.startsWith("whsec_") ? text.slice("whsec_".length) : undefined;
}

function paddedKeys(text: string): Candidate<Key>[] {
  const trimmed = text.trim();
  const unquoted = /^(["'])(.+)\1$/.exec(trimmed)?.[2];
  return [
    ...(trimmed !== text ? [mistaken(TRIMMED, bytes(trimmed))] : []),
    ...["\n", "\r\n", " "].map((end) => mistaken(SPACES, bytes(text + end))),
    mistaken(SPACES, bytes(` ${text}`)),
    mistaken(SPACES, bytes(` ${text} `)),
    mistaken(QUOTED, bytes(`"${text}"`)),
    mistaken(QUOTED, bytes(`'${text}'`)),
    ...(unquoted === undefined ? [] : [mistaken(QUOTED, bytes(unquoted))]),
  ];
}

function emptyKeys(): Candidate<Key>[] {
  return ["", "undefined", "null", "None"].map((text) => mistaken(EMPTY, bytes(text)));
}

function bytes(text: string): Key {
  return hmacKey(Buffer.from(text, "utf8"));
}

function hmacKey(bytes: Uint8Array): Key {
  return { kind: "hmac", bytes };
}
