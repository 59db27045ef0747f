import { compact, type JsonText, JsonTextError } from "../../domain/json_text.ts";

/**
 * A JSON text with a line for each value, its numbers as they are; undefined where it is none, or so
 * deep that its lines would be many times as long.
 */
export function prettyJson(text: string): string | undefined {
  try {
    return indent(compact(text));
  } catch (error) {
    if (error instanceof JsonTextError) return undefined;
    throw error;
  }
}

const MAX_LENGTH = 1024 * 1024;

/** Breaks a compact text into lines; undefined where these are too long. */
function indent(text: JsonText): string | undefined {
  let out = "", depth = 0;
  const newLine = () => "\n" + "  ".repeat(depth);
  for (let at = 0; at < text.length; at++) {
    if (out.length > MAX_LENGTH) return undefined;
    const character = text[at]!;
    if (character === '"') {
      const end = endOfString(text, at);
      out += text.slice(at, end);
      at = end - 1;
    } else if (character === "{" || character === "[") {
      const isEmpty = text[at + 1] === "}" || text[at + 1] === "]";
      out += character;
      if (isEmpty) out += text[++at];
      else {
        depth++;
        out += newLine();
      }
    } else if (character === "}" || character === "]") {
      depth--;
      out += newLine() + character;
    } else if (character === ",") out += character + newLine();
    else out += character === ":" ? ": " : character;
  }
  return out;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1;; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
}
