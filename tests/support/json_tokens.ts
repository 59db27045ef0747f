/**
 * A JSON text's tokens, white space left out: strings by what they say, all else by how it is spelled.
 * Two texts with the same tokens hold the same values in the same order, digit for digit.
 */
export function jsonTokens(text: string): string[] {
  JSON.parse(text);
  const token =
    /[\s]+|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\]:,]/g;
  return text.match(token)!
    .filter((found) => found.trim() !== "")
    .map((found) => found.startsWith('"') ? `"${JSON.parse(found)}` : found);
}
