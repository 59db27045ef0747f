import { Buffer } from "node:buffer";
import type { SignatureRule } from "../../domain/profile.ts";
import { IN_SIGNATURE, parseTemplate, type Placeholder } from "../template.ts";
import { DIGEST_LENGTHS } from "./digest.ts";
import { type Candidate, MAX_MISTAKES, type Mistake, mistaken, right } from "./mistake.ts";

/** The format of a signature header. */
export type ValueRule =
  & Pick<SignatureRule, "encoding" | "value">
  & {
    /** Separates several complete values, as in Standard Webhooks. */
    readonly valueSeparator?: string;
    /** Separates several signatures within one value. */
    readonly separator?: string;
  };

/** The signatures that a header may contain, as bytes, correctly formatted ones first. */
export function readingsOf(value: string, rule: ValueRule): Candidate<Uint8Array>[] {
  const texts = rule.valueSeparator === undefined ? [value] : value.split(rule.valueSeparator);
  const found = texts.flatMap((text) =>
    signatureTexts(text, rule).flatMap(({ mistakes, value }) =>
      bytesOf(value, rule.encoding).map((bytes) => ({
        mistakes: [...mistakes, ...bytes.mistakes],
        value: bytes.value,
      }))
    )
  );
  return found.filter(({ mistakes }) => mistakes.length <= MAX_MISTAKES)
    .sort((a, b) => a.mistakes.length - b.mistakes.length);
}

/** The placeholders' values in a text; undefined if the text doesn't match the template. */
export function readTemplate(
  template: string,
  text: string,
): ReadonlyMap<Placeholder, string> | undefined {
  const names: Placeholder[] = [];
  const source = parseTemplate(template, IN_SIGNATURE).map((piece) => {
    if (typeof piece === "string") return literal(piece);
    const before = names.indexOf(piece.placeholder);
    if (before >= 0) return `\\${before + 1}`;
    names.push(piece.placeholder);
    return piece.placeholder === "timestamp" ? "(\\d+)" : "(.+)";
  });
  const match = new RegExp(`^${source.join("")}$`).exec(text);
  return match ? new Map(names.map((name, index) => [name, match[index + 1]!])) : undefined;
}

/** The codes of all mistakes in a value's format that are checked. */
export function valueMistakeCodes({ value, encoding }: ValueRule): string[] {
  const { prefix } = affixesOf(value);
  return [
    ...(prefix === "" ? ["prefix-added"] : ["prefix-missing", "prefix-doubled", "wrong-prefix"]),
    "quoted",
    ...(encoding === "hex"
      ? ["upper-case-hex", "base64-for-hex"]
      : ["hex-for-base64", "base64url", "unpadded-base64"]),
    "base64-of-hex",
  ];
}

function literal(text: string): string {
  return text.replace(/[^\w\s]/g, "\\$&");
}

const QUOTED: Mistake = {
  code: "quoted",
  was: "the header's value is in quotation marks",
  fix: "remove them",
};

/** The texts in a value that may be the signature. */
function signatureTexts(text: string, rule: ValueRule): Candidate<string>[] {
  const found: Candidate<string>[] = [];
  const whole = readTemplate(rule.value, text)?.get("signature");
  for (const signature of several(whole, rule)) found.push(right(signature));
  const inner = /^(["'])(.*)\1$/.exec(text)?.[2];
  if (inner !== undefined) {
    const unquoted = readTemplate(rule.value, inner)?.get("signature");
    for (const signature of several(unquoted, rule)) found.push(mistaken(QUOTED, signature));
  }
  return [...found, ...otherwisePrefixed(text, rule)];
}

function several(signatures: string | undefined, { separator }: ValueRule): string[] {
  if (signatures === undefined) return [];
  return separator === undefined ? [signatures] : signatures.split(separator);
}

function otherwisePrefixed(text: string, { value }: ValueRule): Candidate<string>[] {
  const { prefix, suffix, simple } = affixesOf(value);
  if (!simple) return [];
  const body = suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  const [, named, rest] = /^([A-Za-z][A-Za-z0-9_-]{0,9}\s?[=:,]\s?)(.+)$/.exec(body) ?? [];
  if (prefix === "") {
    if (named === undefined) return [];
    return [mistaken({
      code: "prefix-added",
      was: `"${named}" is before the signature`,
      fix: "remove it",
    }, rest!)];
  }
  const found: Candidate<string>[] = [mistaken({
    code: "prefix-missing",
    was: `the prefix "${prefix}" is missing`,
    fix: `add "${prefix}" before the signature`,
  }, body)];
  if (body.startsWith(prefix + prefix)) {
    found.push(mistaken({
      code: "prefix-doubled",
      was: `the prefix "${prefix}" is repeated`,
      fix: "write it once",
    }, body.slice(2 * prefix.length)));
  }
  if (named !== undefined && named !== prefix) {
    found.push(mistaken({
      code: "wrong-prefix",
      was: `"${named}" is before the signature`,
      fix: `write "${prefix}" instead`,
    }, rest!));
  }
  return found;
}

/** The text around the signature; `simple` unless it contains placeholders. */
function affixesOf(value: string): { prefix: string; suffix: string; simple: boolean } {
  const at = value.indexOf("{signature}");
  const prefix = value.slice(0, at), suffix = value.slice(at + "{signature}".length);
  return { prefix, suffix, simple: !(prefix + suffix).includes("{") };
}

const UPPER_CASE: Mistake = {
  code: "upper-case-hex",
  was: "the hex digits are in upper case",
  fix: "write them in lower case",
};

const BASE64_FOR_HEX: Mistake = {
  code: "base64-for-hex",
  was: "the signature is in Base64",
  fix: "write it in lower-case hex",
};

const HEX_FOR_BASE64: Mistake = {
  code: "hex-for-base64",
  was: "the signature is in hex",
  fix: "write its bytes in Base64",
};

const BASE64URL: Mistake = {
  code: "base64url",
  was: 'the signature is in URL-safe Base64, with "-" and "_"',
  fix: 'use standard Base64, with "+", "/" and "="',
};

const UNPADDED: Mistake = {
  code: "unpadded-base64",
  was: 'the Base64 has no "=" padding at the end',
  fix: "use padded Base64",
};

function base64OfHex(encoding: SignatureRule["encoding"]): Mistake {
  return {
    code: "base64-of-hex",
    was: "the signature is the Base64 of hex digits",
    fix: encoding === "hex" ? "write the hex digits themselves" : "encode the digest's bytes",
  };
}

function bytesOf(text: string, encoding: SignatureRule["encoding"]): Candidate<Uint8Array>[] {
  const hex = hexBytes(text);
  if (hex) {
    const mistakes = [
      ...(encoding === "base64" ? [HEX_FOR_BASE64] : []),
      ...(/[A-F]/.test(text) ? [UPPER_CASE] : []),
    ];
    return [{ mistakes, value: hex }];
  }
  const bytes = base64Bytes(text);
  if (bytes === undefined) return [];
  const inner = hexBytes(bytes.toString("latin1"));
  if (inner) return [mistaken(base64OfHex(encoding), inner)];
  if (!DIGEST_LENGTHS.has(bytes.length)) return [];
  if (encoding === "hex") return [mistaken(BASE64_FOR_HEX, bytes)];
  if (/[-_]/.test(text)) return [mistaken(BASE64URL, bytes)];
  return [text.endsWith("=") || bytes.length % 3 === 0 ? right(bytes) : mistaken(UNPADDED, bytes)];
}

function hexBytes(text: string): Buffer | undefined {
  if (!/^[0-9A-Fa-f]+$/.test(text) || !DIGEST_LENGTHS.has(text.length / 2)) return undefined;
  return Buffer.from(text, "hex");
}

/** Decodes either alphabet, padded fully or not at all; undefined if the encoding isn't canonical. */
function base64Bytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  const bare = text.replace(/={1,2}$/, "").replaceAll("-", "+").replaceAll("_", "/");
  if (bytes.toString("base64").replace(/=+$/, "") !== bare) return undefined;
  return text.endsWith("=") && text.length % 4 !== 0 ? undefined : bytes;
}
