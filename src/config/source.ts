import {
  createScanner,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { compact, type JsonText, JsonTextError, MAX_DEPTH } from "../domain/json_text.ts";
import { quoted } from "../domain/quoted.ts";
import type { Problem } from "./config.ts";
import { formatPath, type Path } from "./problem.ts";

/** Reads JSONC: a place for its root, or what is wrong with the syntax. Repeated keys are found. */
export function parseSource(
  file: string,
  text: string,
): { root?: Place; problems: Problem[] } {
  const source = new Source(file, text.replace(/^\ufeff/, ""));
  // The parser is recursive: what nests too deep for it must not reach it.
  const tooDeepAt = offsetOfDepth(source.text, 2 * MAX_DEPTH);
  if (tooDeepAt !== undefined) {
    const message = `nested deeper than ${2 * MAX_DEPTH} levels`;
    return { problems: [source.problem(tooDeepAt, [], { message })] };
  }
  const errors: ParseError[] = [];
  const node = parseTree(source.text, errors, { allowTrailingComma: true });
  if (errors.length > 0 || node === undefined) return { problems: syntaxProblems(source, errors) };
  const root = new Place(source, [], node, node);
  return { root, problems: repeatedKeys(root) };
}

/** A value of a config file, or the lack of one, and where it stands. */
export class Place {
  readonly #source: Source;
  readonly #node: Node | undefined;
  /** What a problem points at: the value, or the nearest one around it. */
  readonly #anchor: Node;
  readonly path: Path;

  constructor(source: Source, path: Path, node: Node | undefined, anchor: Node) {
    this.#source = source;
    this.path = path;
    this.#node = node;
    this.#anchor = anchor;
  }

  get file(): string {
    return this.#source.file;
  }

  /** Whether there is a value here at all. */
  get exists(): boolean {
    return this.#node !== undefined;
  }

  get kind(): "object" | "array" | "string" | "number" | "boolean" | "null" | undefined {
    return this.#node?.type as "object" | undefined;
  }

  /** The place that the steps lead to, whether a value stands there or not. */
  at(...steps: Path): Place {
    let node = this.#node;
    let anchor = this.#anchor;
    for (const step of steps) {
      node = typeof step === "number"
        ? node?.type === "array" ? node.children?.[step] : undefined
        : propertiesOf(node).find(([name]) => name === step)?.[2];
      anchor = node ?? anchor;
    }
    return new Place(this.#source, [...this.path, ...steps], node, anchor);
  }

  /** The members of an object in their order, the first of each name; none where it is no object. */
  members(): [name: string, value: Place][] {
    const seen = new Map<string, Place>();
    for (const [name, , value] of propertiesOf(this.#node)) {
      if (seen.has(name)) continue;
      seen.set(name, new Place(this.#source, [...this.path, name], value, value));
    }
    return [...seen];
  }

  /** The elements of a list; none where it is no list. */
  elements(): Place[] {
    if (this.#node?.type !== "array") return [];
    return (this.#node.children ?? []).map((node, index) =>
      new Place(this.#source, [...this.path, index], node, node)
    );
  }

  /**
   * The value, numbers as JavaScript reads them. A key that would be a prototype gets a NUL at its
   * end, so that no library loses or obeys it; `ownName` takes it off again.
   */
  value(): unknown {
    return this.#valueWith(safeName);
  }

  /** As value(), with every key as it stands in the file. */
  plainValue(): unknown {
    return this.#valueWith((name) => name);
  }

  #valueWith(nameOf: (name: string) => string): unknown {
    switch (this.kind) {
      case "object":
        // fromEntries makes a key of its own even of `__proto__`, where an assignment would not.
        return Object.fromEntries(
          this.members().map(([name, place]) => [nameOf(name), place.#valueWith(nameOf)]),
        );
      case "array":
        return this.elements().map((place) => place.#valueWith(nameOf));
      case "number": {
        // Infinity is no number to a schema; where the size matters, the greatest is too great as well.
        const value = this.#node!.value as number;
        return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));
      }
      default:
        return this.#node?.value;
    }
  }

  /** The source text of the value without comments, every number by its digits. */
  json(): JsonText {
    // What the parser took for a value is one; compact() adds the limit of depth.
    return compact(this.#json());
  }

  /** As json(); a Problem where no receiver could read the value. */
  tryJson(): JsonText | Problem {
    try {
      return this.json();
    } catch (error) {
      if (!(error instanceof JsonTextError)) throw error;
      return this.problem(error.message);
    }
  }

  #json(): string {
    switch (this.kind) {
      case "object":
        return `{${
          this.members().map(([name, place]) => `${JSON.stringify(name)}:${place.#json()}`).join(
            ",",
          )
        }}`;
      case "array":
        return `[${this.elements().map((place) => place.#json()).join(",")}]`;
      case "string":
        return JSON.stringify(this.#node!.value);
      default: {
        const { offset, length } = this.#node!;
        return this.#source.text.slice(offset, offset + length);
      }
    }
  }

  problem(message: string, fix?: string): Problem {
    return this.#source.problem(this.#anchor.offset, this.path, { message, fix });
  }

  /** A problem with the member of that name that points at the name instead of the value. */
  problemAtKey(name: string, message: string, fix?: string): Problem {
    const key = propertiesOf(this.#node).find(([own]) => own === name)?.[1] ?? this.#anchor;
    return this.#source.problem(key.offset, [...this.path, name], { message, fix });
  }

  /** Where it is, in words, for another problem that points here. */
  where(from: Place): string {
    const { line } = this.#source.position(this.#anchor.offset);
    return this.file === from.file ? `on line ${line}` : `in ${this.file}:${line}`;
  }

  /** The problems of names that stand in this object more than once. */
  repeated(): Problem[] {
    const first = new Map<string, Node>();
    const problems: Problem[] = [];
    for (const [name, key] of propertiesOf(this.#node)) {
      const earlier = first.get(name);
      if (earlier === undefined) {
        first.set(name, key);
        continue;
      }
      const { line } = this.#source.position(earlier.offset);
      problems.push(this.#source.problem(key.offset, [...this.path, name], {
        message: `the key ${quoted(name)} is given twice, first on line ${line}`,
        fix: "keep one of them",
      }));
    }
    return problems;
  }

  /** Values of every property, also of those whose name is a repeated one. */
  allValues(): Place[] {
    return this.kind === "array"
      ? this.elements()
      : propertiesOf(this.#node).map(([name, , value]) =>
        new Place(this.#source, [...this.path, name], value, value)
      );
  }
}

/** The name as it stands in the file, of a key of `Place.value()`. */
export function ownName(name: string): string {
  return /^__proto__\0+$/.test(name) ? name.slice(0, -1) : name;
}

/** The key of `Place.value()` for a name as it stands in the file. */
export function safeName(name: string): string {
  return /^__proto__\0*$/.test(name) ? `${name}\0` : name;
}

/** A file's text, and where its lines begin. */
class Source {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: readonly number[];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    this.#lineStarts = [0, ...[...text.matchAll(/\r\n|\r|\n/g)].map((m) => m.index + m[0].length)];
  }

  /** Line and column of an offset, from 1. */
  position(offset: number): { line: number; column: number } {
    let low = 0, high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#lineStarts[low]! + 1 };
  }

  problem(
    offset: number,
    path: Path,
    { message, fix }: { message: string; fix?: string | undefined },
  ): Problem {
    const place = { file: this.file, ...this.position(offset), path: formatPath(path) };
    return { ...place, message, ...(fix !== undefined && { fix }) };
  }
}

function propertiesOf(node: Node | undefined): [name: string, key: Node, value: Node][] {
  if (node?.type !== "object") return [];
  return (node.children ?? []).map(({ children }) => {
    const [key, value] = children as [Node, Node];
    return [key.value as string, key, value];
  });
}

function repeatedKeys(place: Place): Problem[] {
  return [...place.repeated(), ...place.allValues().flatMap(repeatedKeys)];
}

/** Where nesting passes a depth; undefined where it does not. */
function offsetOfDepth(text: string, limit: number): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  // Tokens are told by their first character: a bracket begins no other.
  for (scanner.scan(); scanner.getTokenOffset() < text.length; scanner.scan()) {
    const first = text[scanner.getTokenOffset()];
    if (first === "{" || first === "[") depth++;
    if (first === "}" || first === "]") depth--;
    if (depth > limit) return scanner.getTokenOffset();
  }
  return undefined;
}

function syntaxProblems(source: Source, errors: readonly ParseError[]): Problem[] {
  if (errors.length === 0) {
    return [source.problem(0, [], { message: "the file is empty", fix: "write at least {}" })];
  }
  // The parser stumbles on after a fault; what it says of the same spot again is an echo.
  const first = new Map(errors.toReversed().map((error) => [error.offset, error]));
  return [...first.values()].toReversed().map(({ error, offset }) =>
    source.problem(offset, [], SYNTAX[printParseErrorCode(error)] ?? { message: "this is no JSON" })
  );
}

/** By the parser's names of its errors. */
const SYNTAX: Readonly<Record<string, { message: string; fix?: string }>> = {
  InvalidSymbol: {
    message: "this is no JSON value",
    fix: 'put texts and keys in double quotes: "…"',
  },
  InvalidNumberFormat: { message: "this is no JSON number" },
  PropertyNameExpected: {
    message: "a key is expected here",
    fix: 'write "key": value',
  },
  ValueExpected: { message: "a value is expected here" },
  ColonExpected: { message: 'a ":" is expected here' },
  CommaExpected: { message: 'a "," is expected before this' },
  CloseBraceExpected: { message: 'a "}" is expected here' },
  CloseBracketExpected: { message: 'a "]" is expected here' },
  EndOfFileExpected: {
    message: "the file goes on after its value",
    fix: "keep one value: { … }",
  },
  InvalidCommentToken: { message: "this is no comment" },
  UnexpectedEndOfComment: {
    message: "the comment has no end",
    fix: 'close it with "*/"',
  },
  UnexpectedEndOfString: {
    message: "the text has no end on this line",
    fix: "close it with a double quote",
  },
  UnexpectedEndOfNumber: { message: "the number has no end" },
  InvalidUnicode: {
    message: "the text holds a \\u without four hexadecimal digits",
  },
  InvalidEscapeCharacter: {
    message: "the text holds a \\ before a character that knows none",
    fix: 'write "\\\\" for a backslash',
  },
  InvalidCharacter: {
    message: "the text holds a control character",
    fix: "write it as an escape such as \\t",
  },
};
