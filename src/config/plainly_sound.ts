import { createScanner } from "jsonc-parser";
import { MAX_DEPTH } from "../domain/json_text.ts";
import type { Slice } from "../runtime/slices.ts";

/** Tokens between two looks at the clock. */
const TOKENS = 1_000;

/**
 * Whether a text is JSONC without any fault and without a key given twice, found out in slices. The
 * parser, which holds the loop for as long as it reads, has to be asked only where this is false: it
 * says what is wrong, if anything is.
 */
export async function isPlainlySound(text: string, slice: Slice): Promise<boolean> {
  const scanner = createScanner(text.replace(/^\ufeff/, ""));
  const reading = new Reading();
  for (let tokens = 1;; tokens++) {
    const token = scanner.scan();
    if (scanner.getTokenError() !== NO_ERROR) return false;
    if (token === EOF) return reading.isWhole;
    const key = token === STRING ? () => scanner.getTokenValue() : undefined;
    if (!TRIVIA.has(token) && !reading.take(token, key)) return false;
    if (tokens % TOKENS === 0 && slice.isOver) await slice.rest();
  }
}

// SyntaxKind and ScanError are constant enums, whose numbers are part of jsonc-parser's interface.
const NO_ERROR = 0;
const OPEN_BRACE = 1, CLOSE_BRACE = 2, OPEN_BRACKET = 3, CLOSE_BRACKET = 4, COMMA = 5, COLON = 6;
const NULL = 7, TRUE = 8, FALSE = 9, STRING = 10, NUMBER = 11, EOF = 17;
const LINE_COMMENT = 12, BLOCK_COMMENT = 13, LINE_BREAK = 14, WHITE_SPACE = 15;

const SCALARS: ReadonlySet<number> = new Set([NULL, TRUE, FALSE, STRING, NUMBER]);
const TRIVIA: ReadonlySet<number> = new Set([
  LINE_COMMENT,
  BLOCK_COMMENT,
  LINE_BREAK,
  WHITE_SPACE,
]);

/** What may come next: an item is a member's key or an element. */
type Expected = "value" | "item" | "colon" | "end";

/** How far the grammar has come; trailing commas are taken. */
class Reading {
  #expected: Expected = "value";
  /** The keys of each object around, undefined for a list. */
  readonly #around: (Set<string> | undefined)[] = [];

  /** Whether one whole value was read, and nothing begun beside it. */
  get isWhole(): boolean {
    return this.#around.length === 0 && this.#expected === "end";
  }

  /** False where the token may not stand here. */
  take(token: number, key: (() => string) | undefined): boolean {
    const keys = this.#around.at(-1);
    const isInside = this.#around.length > 0;
    switch (token) {
      case COMMA:
        if (this.#expected !== "end" || !isInside) return false;
        this.#expected = "item";
        return true;
      case COLON:
        if (this.#expected !== "colon") return false;
        this.#expected = "value";
        return true;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        return this.#close(token === CLOSE_BRACE);
    }
    if (this.#expected === "item" && keys !== undefined) return this.#takeKey(keys, key?.());
    if (this.#expected !== "value" && this.#expected !== "item") return false;
    if (token === OPEN_BRACE || token === OPEN_BRACKET) {
      this.#around.push(token === OPEN_BRACE ? new Set() : undefined);
      this.#expected = "item";
      return this.#around.length <= 2 * MAX_DEPTH;
    }
    this.#expected = "end";
    return SCALARS.has(token);
  }

  #takeKey(keys: Set<string>, key: string | undefined): boolean {
    if (key === undefined || keys.has(key)) return false;
    keys.add(key);
    this.#expected = "colon";
    return true;
  }

  #close(isObject: boolean): boolean {
    const keys = this.#around.at(-1);
    if (this.#around.length === 0 || (keys !== undefined) !== isObject) return false;
    if (this.#expected !== "item" && this.#expected !== "end") return false;
    this.#around.pop();
    this.#expected = "end";
    return true;
  }
}
