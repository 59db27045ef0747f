import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import type { SignatureRule } from "../../../domain/profile.ts";
import type { Subscription } from "../../../domain/subscription.ts";
import { signingKey } from "../../../profiles/signing_key.ts";
import {
  IN_SIGNATURE,
  IN_SIGNED_TEXT,
  parseTemplate,
  type Template,
} from "../../../profiles/template.ts";

/** How a receiver tells that a request is genuine, as far as samples can show it. */
export type Scheme =
  /** The platform's own header. */
  | OwnScheme
  /** Standard Webhooks with a shared secret. */
  | { readonly kind: "standard"; readonly key: KeyForm }
  /** Standard Webhooks with a public key, which is no secret. */
  | { readonly kind: "ed25519"; readonly publicKey: string };

export interface OwnScheme {
  readonly kind: "own";
  readonly header: string;
  readonly algorithm: SignatureRule["algorithm"];
  readonly encoding: SignatureRule["encoding"];
  /** What is signed. */
  readonly over: readonly Piece[];
  /** The header's value. */
  readonly value: readonly Piece[];
  readonly key: KeyForm;
  /** What is signed can be made in JavaScript alone: the check for all other languages, if there is one. */
  readonly elsewhere?: Scheme | undefined;
}

/** A text's own bytes, or what is Base64 after `whsec_`. */
export type KeyForm = "text" | "base64";

export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "body"; readonly form: "raw" | "encode64" | "reserialised" }
  | { readonly kind: "header"; readonly name: "webhook-id" | "webhook-timestamp" }
  | { readonly kind: "signature" };

/** The scheme to show for a subscription; undefined where its requests are not signed. */
export function schemeOf(subscription: Subscription): Scheme | undefined {
  const { secret, profile, standardHeaders } = subscription;
  if (!secret) return undefined;
  const signing = signingKey(secret, profile.secretForm);
  if (signing.kind === "ed25519") {
    if (!standardHeaders) return undefined;
    const der = createPublicKey(signing.privateKey).export({ format: "der", type: "spki" });
    const publicKey = `whpk_${Buffer.from(der).subarray(-32).toString("base64")}`;
    return { kind: "ed25519", publicKey };
  }
  const isBase64 = profile.secretForm !== "text" && secret.reveal().startsWith("whsec_");
  const key: KeyForm = isBase64 ? "base64" : "text";
  const own = profile.signature && ownScheme(profile.signature, { key, standardHeaders });
  return own ?? (standardHeaders ? { kind: "standard", key } : undefined);
}

/** Undefined where a sample would need to know more than the request says. */
function ownScheme(
  { header, algorithm, encoding, over, value, separator }: SignatureRule,
  { key, standardHeaders }: { key: KeyForm; standardHeaders: boolean },
): OwnScheme | undefined {
  if (separator !== undefined) return undefined;
  const pieces = {
    over: piecesOf(parseTemplate(over, IN_SIGNED_TEXT), standardHeaders),
    value: piecesOf(parseTemplate(value, IN_SIGNATURE), standardHeaders),
  };
  const isJavaScripts = pieces.over?.some((piece) =>
    piece.kind === "body" && piece.form === "reserialised"
  );
  return pieces.over && pieces.value && {
    kind: "own",
    header,
    algorithm,
    encoding,
    over: pieces.over,
    value: pieces.value,
    key,
    ...(isJavaScripts && { elsewhere: standardHeaders ? { kind: "standard", key } : undefined }),
  };
}

function piecesOf(template: Template, standardHeaders: boolean): Piece[] | undefined {
  const pieces = template.map((piece): Piece | undefined => {
    if (typeof piece === "string") return { kind: "text", text: piece };
    switch (piece.placeholder) {
      case "body":
        return { kind: "body", form: "raw" };
      case "body:encode64":
        return { kind: "body", form: "encode64" };
      case "body:reserialised":
        return { kind: "body", form: "reserialised" };
      case "signature":
        return { kind: "signature" };
      case "id":
        return standardHeaders ? { kind: "header", name: "webhook-id" } : undefined;
      case "timestamp":
        return standardHeaders ? { kind: "header", name: "webhook-timestamp" } : undefined;
      default:
        return undefined;
    }
  });
  return pieces.every((piece) => piece !== undefined) ? pieces : undefined;
}
