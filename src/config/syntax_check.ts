import { createScanner } from "jsonc-parser";
import { MAX_DEPTH } from "../domain/json_text.ts";
import type { Turn } from "../runtime/turn.ts";

/** How many tokens are read between two looks at the clock. */
const TOKENS = 1_000;

/** The ends of values that take long to skip, by where they begin. */
export type Ends = ReadonlyMap<number, number>;

/**
 * Checks the syntax of JSONC in slices. Returns undefined if there is any error, or a key that is
 * given twice. Only then must the parser say what is wrong: it blocks the event loop while it reads.
 */
export async function checkSyntax(text: string, turn: Turn): Promise<Ends | undefined> {
  const scanner = createScanner(text);
  const grammar = new Grammar();
  for (let tokens = 1;; tokens++) {
    const token = scanner.scan();
    if (scanner.getTokenError() !== NO_ERROR) return undefined;
    if (token === EOF) return grammar.isWhole ? grammar.ends : undefined;
    const key = token === STRING ? () => scanner.getTokenValue() : undefined;
    if (!TRIVIA.has(token) && !grammar.take(token, scanner.getTokenOffset(), key)) return undefined;
    if (tokens % TOKENS === 0 && turn.isOver) await turn.rest();
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

/** What may come next. An item is the key of a member, or an element. */
type Expected = "value" | "item" | "colon" | "end";

/** How many characters make a value that takes long to skip. */
const LONG = 10_000;

/** Takes tokens one by one, as long as they follow the grammar. Trailing commas are allowed. */
class Grammar {
  #expected: Expected = "value";
  readonly #around: { readonly beginsAt: number; readonly keys: Set<string> | undefined }[] = [];
  readonly ends = new Map<number, number>();

  /** Whether the tokens so far are exactly one complete value. */
  get isWhole(): boolean {
    return this.#around.length === 0 && this.#expected === "end";
  }

  /** Returns false if the token is not allowed here. */
  take(token: number, at: number, key: (() => string) | undefined): boolean {
    const around = this.#around.at(-1);
    switch (token) {
      case COMMA:
        if (this.#expected !== "end" || !around) return false;
        this.#expected = "item";
        return true;
      case COLON:
        if (this.#expected !== "colon") return false;
        this.#expected = "value";
        return true;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        return this.#close(token === CLOSE_BRACE, at + 1);
    }
    if (this.#expected === "item" && around?.keys) return this.#takeKey(around.keys, key?.());
    if (this.#expected !== "value" && this.#expected !== "item") return false;
    if (token === OPEN_BRACE || token === OPEN_BRACKET) {
      this.#around.push({ beginsAt: at, keys: token === OPEN_BRACE ? new Set() : undefined });
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

  #close(isObject: boolean, endsAt: number): boolean {
    const closed = this.#around.pop();
    if (!closed || (closed.keys !== undefined) !== isObject) return false;
    if (this.#expected !== "item" && this.#expected !== "end") return false;
    if (endsAt - closed.beginsAt > LONG) this.ends.set(closed.beginsAt, endsAt);
    this.#expected = "end";
    return true;
  }
}
