import { quoted } from "../domain/quoted.ts";

/** What stands in braces in a profile's templates. */
export type Placeholder =
  | "body"
  | "body:encode64"
  | "body:reserialised"
  | "id"
  | "timestamp"
  | "uuid"
  | "type"
  | "signature";

/** What a header's template may hold. */
export const IN_HEADERS: readonly Placeholder[] = ["id", "timestamp", "uuid", "type"];
/** What the value of a signature header may hold: it must hold the signature. */
export const IN_SIGNATURE: readonly Placeholder[] = ["signature", ...IN_HEADERS];
/** What the text that is signed may hold. */
export const IN_SIGNED_TEXT: readonly Placeholder[] = [
  "body",
  "body:encode64",
  "body:reserialised",
  ...IN_HEADERS,
];

/** A template taken apart: literal texts and placeholders in their order. */
export type Template = readonly (string | { readonly placeholder: Placeholder })[];

/** Takes a template apart. Throws an Error for one that `templateProblem` objects to. */
export function parseTemplate(text: string, known: readonly Placeholder[]): Template {
  const problem = templateProblem(text, known);
  if (problem !== undefined) {
    throw new Error(`cannot read the template ${quoted(text)}: ${problem}`);
  }
  return text.split(/(\{[^{}]*\})/).filter(Boolean).map((piece) =>
    piece.startsWith("{") ? { placeholder: piece.slice(1, -1) as Placeholder } : piece
  );
}

/** What is wrong with a template; undefined where nothing is. */
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
