import { quoted } from "../domain/quoted.ts";

/** A name in braces in a profile's templates. */
export type Placeholder =
  | "body"
  | "body:encode64"
  | "body:reserialised"
  | "id"
  | "timestamp"
  | "uuid"
  | "type"
  | "signature";

/** The placeholders of a header's value. */
export const IN_HEADERS: readonly Placeholder[] = ["id", "timestamp", "uuid", "type"];
/** The placeholders of a signature header's value; `{signature}` is required. */
export const IN_SIGNATURE: readonly Placeholder[] = ["signature", ...IN_HEADERS];
/** The placeholders of the signed text. */
export const IN_SIGNED_TEXT: readonly Placeholder[] = [
  "body",
  "body:encode64",
  "body:reserialised",
  ...IN_HEADERS,
];

/** A parsed template: literal texts and placeholders, in order. */
export type Template = readonly (string | { readonly placeholder: Placeholder })[];

/** Parses a template. Throws an Error if `templateProblem` finds a problem. */
export function parseTemplate(text: string, known: readonly Placeholder[]): Template {
  const problem = templateProblem(text, known);
  if (problem !== undefined) {
    throw new Error(`cannot read the template ${quoted(text)}: ${problem}`);
  }
  return text.split(/(\{[^{}]*\})/).filter(Boolean).map((piece) =>
    piece.startsWith("{") ? { placeholder: piece.slice(1, -1) as Placeholder } : piece
  );
}

/** What is wrong with a template; undefined if nothing is. */
export function templateProblem(
  text: string,
  known: readonly Placeholder[],
): string | undefined {
  const names = [...text.matchAll(/\{([^{}]*)\}/g)].map((found) => found[1]!);
  const unknown = names.find((name) => !(known as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const list = known.map((name) => `"{${name}}"`).join(", ");
    return `${quoted(`{${unknown}}`)} is no placeholder here; there are ${list}`;
  }
  if (/[{}]/.test(text.replace(/\{[^{}]*\}/g, ""))) {
    return `${quoted(text)} has a brace without its partner; braces stand around placeholders only`;
  }
  return undefined;
}
