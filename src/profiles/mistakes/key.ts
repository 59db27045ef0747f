import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject } from "node:crypto";
import type { Profile } from "../../domain/profile.ts";
import { Secret } from "../../domain/secret.ts";
import { signingKey } from "../signing_key.ts";
import { type Candidate, type Mistake, mistaken, right } from "./mistake.ts";

/** What a signature is held against: an HMAC key, or the public half of an Ed25519 pair. */
export type Key =
  | { readonly kind: "hmac"; readonly bytes: Uint8Array }
  | { readonly kind: "ed25519"; readonly publicKey: KeyObject };

/** The secrets of a subscription, and how its profile reads them. */
export interface Secrets {
  readonly secret: Secret;
  readonly previousSecret?: Secret;
  readonly form: Profile["secretForm"];
}

/** The keys that may have signed, the right one first; none is right where the form is not met. */
export function keysOf({ secret, previousSecret, form }: Secrets): Candidate<Key>[] {
  const found: Candidate<Key>[] = [];
  const key = keyOf(secret, form);
  if (key) found.push(right(key));
  const previous = previousSecret && keyOf(previousSecret, form);
  if (previous) found.push(mistaken(PREVIOUS, previous));
  if (key?.kind === "ed25519") return found;
  return [...found, ...(form === "text" ? misreadText(secret) : misreadStandard(secret, key))];
}

/** The key that a secret stands for; undefined where it is not in the profile's form. */
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

/** What stands before the key itself in an Ed25519 public key's DER (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

function publicKeyOf(secret: Secret): KeyObject | undefined {
  const base64 = /^whpk_([A-Za-z0-9+/]{43}=)$/.exec(secret.reveal())?.[1];
  if (base64 === undefined) return undefined;
  const key = Buffer.concat([SPKI_PREFIX, Buffer.from(base64, "base64")]);
  return createPublicKey({ key, format: "der", type: "spki" });
}

const PREVIOUS: Mistake = {
  word: "previous-secret",
  was: "it was made with the previous secret",
  fix: "give the new secret to whoever signs, and sign with both while it changes",
};

const NOT_DECODED: Mistake = {
  word: "secret-not-decoded",
  was: 'the secret\'s text was the key, with "whsec_" and undecoded',
  fix: 'take "whsec_" away and decode the rest as Base64: those bytes are the key',
};

const NOT_DECODED_WITHOUT_PREFIX: Mistake = {
  word: "secret-not-decoded",
  was: 'the key was the secret\'s text after "whsec_", undecoded',
  fix: 'decode what follows "whsec_" as Base64: those bytes are the key',
};

const GIVEN_WITHOUT_PREFIX: Mistake = {
  word: "secret-without-prefix",
  was: 'the secret given here lacks its "whsec_", and the signature was made with it',
  fix: 'write the secret as it was given out, "whsec_" and Base64',
};

const GIVEN_AS_HEX: Mistake = {
  word: "secret-as-hex",
  was: "the secret given here is the key in hex, and the signature was made with that key",
  fix: 'write it as "whsec_" and Base64 of the key',
};

const HEX_AS_KEY: Mistake = {
  word: "secret-as-hex",
  was: "the key in hex was used as a text, undecoded",
  fix: 'decode what follows "whsec_" as Base64: those bytes are the key',
};

const DECODED: Mistake = {
  word: "secret-decoded",
  was: "the secret was decoded before it was used as the key",
  fix: "use the bytes of the secret's text as they are",
};

const WITHOUT_PREFIX: Mistake = {
  word: "secret-without-prefix",
  was: 'the secret\'s text was the key without its "whsec_"',
  fix: "use the whole text of the secret, as it was given out",
};

const WITH_PREFIX: Mistake = {
  word: "secret-with-prefix",
  was: '"whsec_" was put before the secret\'s text',
  fix: "use the text of the secret as it was given out",
};

const SPACES: Mistake = {
  word: "secret-with-spaces",
  was: "the secret had a line end or spaces around it",
  fix: "trim what is read from a file or a variable, or write it with printf instead of echo",
};

const TRIMMED: Mistake = {
  word: "secret-trimmed",
  was: "the secret given here has a line end or spaces around it, and the signer's has not",
  fix: "take them away here",
};

const QUOTED: Mistake = {
  word: "secret-quoted",
  was: "the secret has quotation marks around it on one of the two sides",
  fix: "take them away: not every reader of an env file does",
};

const EMPTY: Mistake = {
  word: "secret-empty",
  was: 'it was made with no secret at all (an unset variable reads as empty or "undefined")',
  fix: "see that the secret reaches whoever signs",
};

/** The key's bytes, as people get a free text wrong. */
function misreadText(secret: Secret): Candidate<Key>[] {
  const text = secret.reveal();
  const bare = withoutPrefix(text);
  const found = [...around(text), ...nothing()];
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

/** The key's bytes, as people get a `whsec_` secret wrong. */
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
    // Under "either" a text without the prefix is a key by its bytes, and gone wrong as such.
    return [...found, ...around(text), ...nothing()];
  }
  found.push(
    mistaken(NOT_DECODED, bytes(text)),
    mistaken(NOT_DECODED_WITHOUT_PREFIX, bytes(bare)),
  );
  if (key?.kind === "hmac") {
    const hex = Buffer.from(key.bytes).toString("hex");
    found.push(mistaken(HEX_AS_KEY, bytes(hex)), mistaken(HEX_AS_KEY, bytes(hex.toUpperCase())));
  }
  for (const { mistakes, value } of around(text)) {
    found.push({ mistakes: [NOT_DECODED, ...mistakes], value });
  }
  for (const { mistakes, value } of around(bare)) {
    found.push({ mistakes: [NOT_DECODED_WITHOUT_PREFIX, ...mistakes], value });
  }
  return [...found, ...nothing()];
}

function withoutPrefix(text: string): string | undefined {
  return text.startsWith("whsec_") ? text.slice("whsec_".length) : undefined;
}

function around(text: string): Candidate<Key>[] {
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

function nothing(): Candidate<Key>[] {
  return ["", "undefined", "null", "None"].map((text) => mistaken(EMPTY, bytes(text)));
}

function bytes(text: string): Key {
  return hmacKey(Buffer.from(text, "utf8"));
}

function hmacKey(bytes: Uint8Array): Key {
  return { kind: "hmac", bytes };
}
