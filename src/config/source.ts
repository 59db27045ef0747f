import { createScanner } from "jsonc-parser";
import { compact, type JsonText, JsonTextError } from "../domain/json_text.ts";
import type { Turn } from "../runtime/turn.ts";
import type { Problem } from "./config.ts";
import type { Mark } from "./memory.ts";
import type { Path } from "./problem.ts";
import { SourceText } from "./source_text.ts";
import { checkSyntax, type Ends } from "./syntax_check.ts";
import { findSyntaxProblems } from "./syntax_problems.ts";

/**
 * Parses JSONC. Returns a place for its root, or what is wrong with the syntax. It also reports keys that
 * are given twice. With the `ends` of `checkSyntax`, the text is known to be valid.
 */
export function parseSource(
  file: string,
  text: string,
  ends?: Ends,
): { root?: Place; problems: Problem[] } {
  const source = new Source(file, withoutMark(text), ends);
  const { isValid, problems } = ends ? { isValid: true, problems: [] } : findSyntaxProblems(source);
  if (!isValid) return { problems };
  const node = source.nodeFrom(0);
  return { root: new Place({ source, path: [], steps: [], node, anchor: node }), problems };
}

/** Like parseSource, but in slices if there is a turn. */
export async function readSource(file: string, text: string, turn: Turn | undefined) {
  return parseSource(file, text, turn && await checkSyntax(withoutMark(text), turn));
}

/** Without the byte order mark that editors put before a text. */
function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, "");
}

/** A place in a config file, with its value if there is one. */
export class Place {
  readonly #source: Source;
  readonly #node: Node | undefined;
  /** What a problem points at: the value, or else the nearest one around the place. */
  readonly #anchor: Node;
  #path: Path;
  /** The end of #path, which is only added when needed: most places have no problem. */
  #steps: Path;

  constructor({ source, path, steps, node, anchor }: {
    readonly source: Source;
    readonly path: Path;
    readonly steps: Path;
    readonly node: Node | undefined;
    readonly anchor: Node;
  }) {
    this.#source = source;
    this.#path = path;
    this.#steps = steps;
    this.#node = node;
    this.#anchor = anchor;
  }

  get path(): Path {
    if (this.#steps.length > 0) this.#path = [...this.#path, ...this.#steps];
    this.#steps = NO_STEPS;
    return this.#path;
  }

  get file(): string {
    return this.#source.file;
  }

  /** Whether there is a value here at all. */
  get exists(): boolean {
    return this.#node !== undefined;
  }

  get kind(): Kind | undefined {
    return this.#node?.kind;
  }

  /** The place that the steps lead to, whether it has a value or not. */
  at(...steps: Path): Place {
    let node = this.#node;
    let anchor = this.#anchor;
    for (const step of steps) {
      node = typeof step === "number"
        ? node?.element(step)
        : node?.members.find(({ name }) => name === step)?.value;
      anchor = node ?? anchor;
    }
    return this.#place(steps, node, anchor);
  }

  /** The members of an object in their order. Of several with one name, only the first. */
  members(): [name: string, value: Place][] {
    if (this.kind !== "object") return [];
    const seen = new Map<string, Place>();
    for (const { name, value } of this.#node!.members) {
      if (!seen.has(name)) seen.set(name, this.#place([name], value, value));
    }
    return [...seen];
  }

  /** The elements of a list. */
  elements(): Place[] {
    return [...this.eachElement()];
  }

  /** Like elements(), but makes them one at a time, so that each can be freed before the next. */
  *eachElement(): Generator<Place> {
    let index = 0;
    for (const node of this.#node?.eachElement() ?? []) {
      yield this.#place([index++], node, node);
    }
  }

  /**
   * The value, with JavaScript's numbers. The key `__proto__` gets a NUL at its end, so that no
   * library drops it or sets a prototype. `ownName` removes it again.
   */
  value(): unknown {
    return this.#node?.valueWith(safeName);
  }

  /** Like value(), but the list of that name has no elements. */
  valueEmptied(name: string): unknown {
    return this.#node?.valueWith(safeName, name);
  }

  /** Like value(), but every key is as in the file. */
  plainValue(): unknown {
    return this.#node?.valueWith((name) => name);
  }

  /** The source text of the value, without comments. Numbers keep their digits. */
  json(): JsonText {
    // It is valid JSON; compact() also checks the depth.
    return compact(this.#node!.json());
  }

  /** Like json(), or a Problem if receivers couldn't parse the value. */
  tryJson(): JsonText | Problem {
    try {
      return this.json();
    } catch (error) {
      if (!(error instanceof JsonTextError)) throw error;
      return this.problem(error.message);
    }
  }

  problem(message: string, fix?: string): Problem {
    return this.#source.problem(this.#anchor.offset, this.path, { message, fix });
  }

  /** A problem that points at the name of a member instead of its value. */
  problemAtKey(name: string, message: string, fix?: string): Problem {
    const key = this.#node?.members.find((member) => member.name === name)?.keyOffset;
    const path = [...this.path, name];
    return this.#source.problem(key ?? this.#anchor.offset, path, { message, fix });
  }

  /** Its position, for a problem that is reported later. Unlike the place, it keeps no text in memory. */
  mark(): Mark {
    const { message: _, ...mark } = this.problem("");
    return mark;
  }

  #place(steps: Path, node: Node | undefined, anchor: Node): Place {
    return new Place({ source: this.#source, path: this.path, steps, node, anchor });
  }
}

const NO_STEPS: Path = [];

/** The name in the file, for a key of `Place.value()`. */
export function ownName(name: string): string {
  return /^__proto__\0+$/.test(name) ? name.slice(0, -1) : name;
}

/** The key of `Place.value()`, for a name in the file. */
export function safeName(name: string): string {
  return /^__proto__\0*$/.test(name) ? `${name}\0` : name;
}

/** The text of a valid file, with a scanner that finds its values. */
class Source extends SourceText {
  readonly #scanner: ReturnType<typeof createScanner>;
  readonly #ends: Ends | undefined;

  constructor(file: string, text: string, ends: Ends | undefined) {
    super(file, text);
    this.#ends = ends;
    this.#scanner = createScanner(text, true);
  }

  /** The first value from an offset on. */
  nodeFrom(offset: number): Node {
    this.#scanner.setPosition(offset);
    this.#scanner.scan();
    return this.#takeNode();
  }

  membersOf(object: Node): Member[] {
    const members: Member[] = [];
    this.#scanner.setPosition(object.offset + 1);
    while (this.#next() !== CLOSE_BRACE) {
      if (this.#token() === COMMA) continue;
      const keyOffset = this.#scanner.getTokenOffset();
      const name = JSON.parse(this.#tokenText()) as string;
      this.#next(); // the colon
      this.#next();
      members.push({ name, keyOffset, value: this.#takeNode() });
    }
    return members;
  }

  /** Finds them one at a time. The caller may look into each before it takes the next. */
  *elementsOf(list: Node): Generator<Node> {
    for (let from = list.offset + 1;;) {
      this.#scanner.setPosition(from);
      if (this.#next() === COMMA) this.#next();
      if (this.#token() === CLOSE_BRACKET) return;
      const node = this.#takeNode();
      from = node.end;
      yield node;
    }
  }

  /** The value that begins with the current token. Moves the scanner to its end. */
  #takeNode(): Node {
    const offset = this.#scanner.getTokenOffset();
    const kind = KINDS.get(this.#token()) ?? "number";
    const known = this.#ends?.get(offset);
    if (known !== undefined) {
      this.#scanner.setPosition(known);
      return new Node(this, kind, offset, known);
    }
    let depth = 0;
    for (let token = this.#token();; token = this.#next()) {
      if (token === OPEN_BRACE || token === OPEN_BRACKET) depth++;
      else if (token === CLOSE_BRACE || token === CLOSE_BRACKET) depth--;
      if (depth === 0) break;
    }
    const end = this.#scanner.getTokenOffset() + this.#scanner.getTokenLength();
    return new Node(this, kind, offset, end);
  }

  #next(): number {
    this.#scanner.scan();
    return this.#token();
  }

  /** The first character of the current token, which tells its kind. */
  #token(): number {
    return this.text.charCodeAt(this.#scanner.getTokenOffset());
  }

  #tokenText(): string {
    const offset = this.#scanner.getTokenOffset();
    return this.text.slice(offset, offset + this.#scanner.getTokenLength());
  }
}

type Kind = "object" | "array" | "string" | "number" | "boolean" | "null";

const OPEN_BRACE = 0x7b, CLOSE_BRACE = 0x7d, OPEN_BRACKET = 0x5b, CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

/** By the first character. All other characters begin a number. */
const KINDS: ReadonlyMap<number, Kind> = new Map([
  [OPEN_BRACE, "object"],
  [OPEN_BRACKET, "array"],
  [0x22, "string"],
  [0x74, "boolean"],
  [0x66, "boolean"],
  [0x6e, "null"],
]);

interface Member {
  readonly name: string;
  readonly keyOffset: number;
  readonly value: Node;
}

/**
 * A value in a valid text, by its position. Its content is only read when needed, so that a file with
 * tens of thousands of subscriptions takes little more memory than its text.
 */
class Node {
  readonly #source: Source;
  readonly kind: Kind;
  readonly offset: number;
  readonly end: number;
  #members: readonly Member[] | undefined;
  #elements: readonly Node[] | undefined;

  constructor(source: Source, kind: Kind, offset: number, end: number) {
    this.#source = source;
    this.kind = kind;
    this.offset = offset;
    this.end = end;
  }

  /** The members of an object, including those with a repeated name. */
  get members(): readonly Member[] {
    if (this.kind !== "object") return [];
    return this.#members ??= this.#source.membersOf(this);
  }

  eachElement(): Iterable<Node> {
    return this.kind === "array" ? this.#source.elementsOf(this) : [];
  }

  /** A new node each time, so that the list does not keep the content of its elements. */
  element(index: number): Node | undefined {
    return this.#listed[index]?.unread();
  }

  unread(): Node {
    return new Node(this.#source, this.kind, this.offset, this.end);
  }

  /** `emptied` is the name of a member: if it's a list, its elements are left out. */
  valueWith(nameOf: (name: string) => string, emptied?: string): unknown {
    switch (this.kind) {
      case "object": {
        const first = new Map<string, unknown>();
        for (const { name, value } of this.members) {
          const key = nameOf(name);
          if (first.has(key)) continue;
          const isEmptied = name === emptied && value.kind === "array";
          first.set(key, isEmptied ? [] : value.valueWith(nameOf));
        }
        // Unlike an assignment, fromEntries makes an own key even of `__proto__`.
        return Object.fromEntries(first);
      }
      case "array":
        return this.#listed.map((_, index) => this.element(index)!.valueWith(nameOf));
      case "number": {
        // Schemas refuse Infinity. The greatest number exceeds their limits as well.
        const value = Number(this.#text);
        return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));
      }
      default:
        return JSON.parse(this.#text);
    }
  }

  json(): string {
    switch (this.kind) {
      case "object": {
        const first = new Map<string, string>();
        for (const { name, value } of this.members) {
          if (!first.has(name)) first.set(name, `${JSON.stringify(name)}:${value.json()}`);
        }
        return `{${[...first.values()].join(",")}}`;
      }
      case "array":
        return `[${this.#listed.map((_, index) => this.element(index)!.json()).join(",")}]`;
      default:
        return this.#text;
    }
  }

  get #listed(): readonly Node[] {
    if (this.kind !== "array") return [];
    return this.#elements ??= [...this.#source.elementsOf(this)];
  }

  get #text(): string {
    return this.#source.text.slice(this.offset, this.end);
  }
}
