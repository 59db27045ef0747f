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

/** A value of a config file, or the lack of one, and where it stands. */
export class Place {
  readonly #source: Source;
  readonly #node: Node | undefined;
  /** What a problem points at: the value, or the nearest one around it. */
  readonly #anchor: Node;
  #path: Path;
  /** What is to be added to #path: most places are never told of. */
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

  /** The place that the steps lead to, whether a value stands there or not. */
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

  /** The members of an object in their order, the first of each name; none where it is no object. */
  members(): [name: string, value: Place][] {
    if (this.kind !== "object") return [];
    const seen = new Map<string, Place>();
    for (const { name, value } of this.#node!.members) {
      if (!seen.has(name)) seen.set(name, this.#place([name], value, value));
    }
    return [...seen];
  }

  /** The elements of a list; none where it is no list. */
  elements(): Place[] {
    return [...this.eachElement()];
  }

  /** As elements(), each made when it is asked for: what was read of it goes when it goes. */
  *eachElement(): Generator<Place> {
    let index = 0;
    for (const node of this.#node?.eachElement() ?? []) {
      yield this.#place([index++], node, node);
    }
  }

  /**
   * The value, numbers as JavaScript reads them. A key that would be a prototype gets a NUL at its
   * end, so that no library loses or obeys it; `ownName` takes it off again.
   */
  value(): unknown {
    return this.#node?.valueWith(safeName);
  }

  /** As value(), of an object whose list of that name stands there without its elements. */
  valueEmptied(name: string): unknown {
    return this.#node?.valueWith(safeName, name);
  }

  /** As value(), with every key as it stands in the file. */
  plainValue(): unknown {
    return this.#node?.valueWith((name) => name);
  }

  /** The source text of the value without comments, every number by its digits. */
  json(): JsonText {
    // What the parser took for a value is one; compact() adds the limit of depth.
    return compact(this.#node!.json());
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

  problem(message: string, fix?: string): Problem {
    return this.#source.problem(this.#anchor.offset, this.path, { message, fix });
  }

  /** A problem with the member of that name that points at the name instead of the value. */
  problemAtKey(name: string, message: string, fix?: string): Problem {
    const key = this.#node?.members.find((member) => member.name === name)?.keyOffset;
    const path = [...this.path, name];
    return this.#source.problem(key ?? this.#anchor.offset, path, { message, fix });
  }

  /** Where it is, to be told of later: it keeps nothing of what was read there. */
  mark(): Mark {
    const { message: _, ...mark } = this.problem("");
    return mark;
  }

  #place(steps: Path, node: Node | undefined, anchor: Node): Place {
    return new Place({ source: this.#source, path: this.path, steps, node, anchor });
  }
}

const NO_STEPS: Path = [];

/** The name as it stands in the file, of a key of `Place.value()`. */
export function ownName(name: string): string {
  return /^__proto__\0+$/.test(name) ? name.slice(0, -1) : name;
}

/** The key of `Place.value()` for a name as it stands in the file. */
export function safeName(name: string): string {
  return /^__proto__\0*$/.test(name) ? `${name}\0` : name;
}

/** The text of a valid file, and a scanner that finds the values in it. */
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

  /** Found one by one: whoever asks may read in each before the next is looked for. */
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

  /** The value that begins with the token at hand; the scanner stands at its end then. */
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

  /** Tokens are told by their first character: a bracket begins no other. */
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

/** By the first character; all others begin a number. */
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
 * A value of a text that is sound, by where it stands. What is in it is read when it is asked for,
 * so that a file of tens of thousands of subscriptions takes little more room than its text.
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

  /** Of an object, those with a repeated name too. */
  get members(): readonly Member[] {
    if (this.kind !== "object") return [];
    return this.#members ??= this.#source.membersOf(this);
  }

  eachElement(): Iterable<Node> {
    return this.kind === "array" ? this.#source.elementsOf(this) : [];
  }

  /** A node of its own each time: the list does not keep what is read of its elements. */
  element(index: number): Node | undefined {
    return this.#listed[index]?.unread();
  }

  unread(): Node {
    return new Node(this.#source, this.kind, this.offset, this.end);
  }

  /** `emptied` names a list of this object that is to be without its elements. */
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
        // fromEntries makes a key of its own even of `__proto__`, where an assignment would not.
        return Object.fromEntries(first);
      }
      case "array":
        return this.#listed.map((_, index) => this.element(index)!.valueWith(nameOf));
      case "number": {
        // Infinity is no number to a schema; where the size matters, the greatest is too great as well.
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
