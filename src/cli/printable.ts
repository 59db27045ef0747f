/**
 * Text from outside as one line that can't steer the terminal or break a table: control and format
 * characters are spelled out.
 */
export function printable(text: string): string {
  return spelledOut(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu);
}

/** The same for a text of several lines, which keeps its line ends and tabs. */
export function printableLines(text: string): string {
  return spelledOut(text, /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu);
}

function spelledOut(text: string, unprintable: RegExp): string {
  return text.replace(
    unprintable,
    (character) =>
      SHORT.get(character) ?? `\\u{${character.codePointAt(0)!.toString(16).padStart(4, "0")}}`,
  );
}

const SHORT = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);
