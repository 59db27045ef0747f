import type { Event } from "./event.ts";
import { canonicalScalar, type JsonText, NumberText } from "./json_text.ts";

/**
 * The dotted paths that a set of conditions asks for, as a tree of names: one walk of an event's data
 * finds the values at all of them.
 */
export class DataPaths {
  readonly root: PathNode = { index: NOT_ASKED, children: undefined };
  readonly #indexes = new Map<string, number>();

  constructor(paths: Iterable<string>) {
    for (const path of paths) this.#add(path);
  }

  /** How many different paths there are. */
  get size(): number {
    return this.#indexes.size;
  }

  /** A path's place among them; undefined where it was not asked for. */
  indexOf(path: string): number | undefined {
    return this.#indexes.get(path);
  }

  #add(path: string): void {
    if (this.#indexes.has(path)) return;
    let node = this.root;
    for (const name of path.split(".")) {
      node.children ??= new Map();
      let child = node.children.get(name);
      if (!child) node.children.set(name, child = { index: NOT_ASKED, children: undefined });
      node = child;
    }
    node.index = this.#indexes.size;
    this.#indexes.set(path, node.index);
  }
}

interface PathNode {
  /** Of the path that ends here. */
  index: number;
  children: Map<string, PathNode> | undefined;
}

const NOT_ASKED = -1;

/**
 * An event's scope and data, as conditions look at them. The data is walked once, when the first
 * condition asks, and what is told about a value is worked out once, however many subscriptions ask: a
 * stranger chooses the values, and an operator has any number of conditions.
 */
export class EventValues {
  readonly #event: Event;
  readonly #pathsOfAll: () => DataPaths;
  #paths: DataPaths | undefined;
  #data: ValuesAtPath[] | undefined;
  readonly #scope = new Map<string, string>();

  /** `paths` answers those of all the conditions that will ask; it is called where one does. */
  constructor(event: Event, paths: () => DataPaths) {
    this.#event = event;
    this.#pathsOfAll = paths;
  }

  /** The scope's value of a name, canonically spelled; undefined where it has none. */
  scope(name: string): string | undefined {
    const known = this.#scope.get(name);
    if (known !== undefined) return known;
    const text = this.#event.scope.get(name);
    if (text === undefined) return undefined;
    const canonical = canonicalScalar(text);
    this.#scope.set(name, canonical);
    return canonical;
  }

  /** The data's values at a path; an array stands for each of its elements. */
  at(path: string): ValuesAtPath {
    this.#paths ??= this.#pathsOfAll();
    const index = this.#paths.indexOf(path);
    if (index === undefined) throw new Error(`the event is not prepared for the path "${path}"`);
    this.#data ??= valuesIn(this.#event.data, this.#paths);
    return this.#data[index]!;
  }
}

function valuesIn(text: JsonText, paths: DataPaths): ValuesAtPath[] {
  const found = new Walk(text).findAll(paths.root);
  const spans = Array.from({ length: paths.size }, (): number[] => []);
  for (let at = 0; at < found.length; at += SPAN) {
    if (found[at] !== NOT_ASKED) spans[found[at]!]!.push(found[at + 1]!, found[at + 2]!);
  }
  return spans.map((ofPath) => new ValuesAtPath(text, ofPath));
}

/** A path's index, and where in the text its value begins and ends; an object ends where it begins. */
const SPAN = 3;

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN_BRACE = 0x7b, CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b, CLOSE_BRACKET = 0x5d, COMMA = 0x2c;

/** Goes over a valid, compact text from its beginning to its end, each character once. */
class Walk {
  readonly #text: JsonText;
  #at = 0;
  readonly #found: number[] = [];

  constructor(text: JsonText) {
    this.#text = text;
  }

  findAll(root: PathNode): readonly number[] {
    this.#value(root);
    return this.#found;
  }

  #value(node: PathNode): void {
    const from = this.#at;
    const code = this.#text.charCodeAt(from);
    if (code === OPEN_BRACKET) return this.#array(node);
    if (code === OPEN_BRACE) {
      if (node.index !== NOT_ASKED) this.#found.push(node.index, from, from);
      return node.children ? this.#object(node.children) : this.#skip();
    }
    this.#skip();
    if (node.index !== NOT_ASKED) this.#found.push(node.index, from, this.#at);
  }

  #array(node: PathNode): void {
    this.#at++;
    while (this.#text.charCodeAt(this.#at) !== CLOSE_BRACKET) {
      this.#value(node);
      if (this.#text.charCodeAt(this.#at) === COMMA) this.#at++;
    }
    this.#at++;
  }

  #object(children: Map<string, PathNode>): void {
    let ranges: Map<PathNode, Range> | undefined;
    this.#at++;
    while (this.#text.charCodeAt(this.#at) !== CLOSE_BRACE) {
      const child = children.get(this.#name());
      if (child) {
        ranges ??= new Map();
        // Of a name that stands twice, the last counts, as in every parser.
        const before = ranges.get(child);
        if (before) this.#forget(before);
        const from = this.#found.length;
        this.#value(child);
        ranges.set(child, { from, to: this.#found.length });
      } else this.#skip();
      if (this.#text.charCodeAt(this.#at) === COMMA) this.#at++;
    }
    this.#at++;
  }

  #forget({ from, to }: Range): void {
    if (to === this.#found.length) this.#found.length = from;
    else for (let at = from; at < to; at += SPAN) this.#found[at] = NOT_ASKED;
  }

  /** And its colon. */
  #name(): string {
    const from = this.#at;
    this.#skipString();
    const text = this.#text.slice(from + 1, this.#at - 1);
    this.#at++;
    return text.includes("\\") ? JSON.parse(`"${text}"`) : text;
  }

  #skip(): void {
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) this.#skipString();
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) this.#skipNested();
    else this.#skipPlain();
  }

  #skipNested(): void {
    let depth = 0;
    do {
      const code = this.#text.charCodeAt(this.#at);
      if (code === QUOTE) {
        this.#skipString();
        continue;
      }
      if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
      else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
      this.#at++;
    } while (depth > 0);
  }

  #skipString(): void {
    const text = this.#text;
    let end = this.#at;
    let isEscaped: boolean;
    do {
      end = text.indexOf('"', end + 1);
      let before = end;
      while (text.charCodeAt(before - 1) === BACKSLASH) before--;
      isEscaped = (end - before) % 2 === 1;
    } while (isEscaped);
    this.#at = end + 1;
  }

  /** A number or a word. */
  #skipPlain(): void {
    const { length } = this.#text;
    while (this.#at < length) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET) return;
      this.#at++;
    }
  }
}

/** A stretch of what was found. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** What is at a path: any number of scalars and objects. Each answer is prepared when first asked for. */
export class ValuesAtPath {
  readonly #text: JsonText;
  readonly #spans: readonly number[];
  #spellings: ReadonlySet<JsonText> | undefined;
  #canonicalNumbers: ReadonlySet<string> | undefined;
  #strings: readonly string[] | undefined;
  #reversed: readonly string[] | undefined;
  #numbers: Extremes | undefined;

  constructor(text: JsonText, spans: readonly number[]) {
    this.#text = text;
    this.#spans = spans;
  }

  get isEmpty(): boolean {
    return this.#spans.length === 0;
  }

  /** Whether a scalar is among them, given as canonicalScalar spells it. */
  has(canonical: string): boolean {
    // All else is spelled in one way only.
    if (!IS_NUMBER.test(canonical)) return this.#distinct().has(canonical);
    this.#canonicalNumbers ??= new Set(
      Array.from(this.#distinct(), (text) => IS_NUMBER.test(text) ? canonicalScalar(text) : ""),
    );
    return this.#canonicalNumbers.has(canonical);
  }

  hasPrefix(prefix: string): boolean {
    return hasPrefix(this.#sorted(), prefix);
  }

  hasSuffix(suffix: string): boolean {
    this.#reversed ??= this.#sorted().map(reversed).sort();
    return hasPrefix(this.#reversed, reversed(suffix));
  }

  /** Numbers compare exactly, texts by code unit (so ISO dates compare by time); mixed never hold. */
  compares(operator: ">" | ">=" | "<" | "<=", operand: NumberText | string): boolean {
    const { lowest, highest } = operand instanceof NumberText
      ? this.#numberExtremes()
      : { lowest: this.#sorted()[0], highest: this.#sorted().at(-1) };
    const best = operator.startsWith(">") ? highest : lowest;
    if (best === undefined) return false;
    const order = compare(best, operand);
    if (order === 0) return operator.endsWith("=");
    return order > 0 ? operator.startsWith(">") : operator.startsWith("<");
  }

  /** The first few, as they are shown to people. */
  shown(): string {
    const some: string[] = [];
    for (let at = 0; at < this.#spans.length; at += 2) {
      if (some.length === MAX_SHOWN) return [...some, "…"].join(", ");
      const text = this.#text.slice(this.#spans[at], this.#spans[at + 1]);
      some.push(text === "" ? "an object" : shortened(text));
    }
    return some.join(", ");
  }

  /** The scalars as they are spelled, each once. */
  #distinct(): ReadonlySet<JsonText> {
    if (this.#spellings) return this.#spellings;
    const spellings = new Set<JsonText>();
    for (let at = 0; at < this.#spans.length; at += 2) {
      const from = this.#spans[at]!, to = this.#spans[at + 1]!;
      if (to > from) spellings.add(this.#text.slice(from, to));
    }
    return this.#spellings = spellings;
  }

  /** The strings among them, in order. */
  #sorted(): readonly string[] {
    return this.#strings ??= [...this.#distinct()].filter((text) => text.startsWith('"'))
      .map((text) => text.includes("\\") ? JSON.parse(text) as string : text.slice(1, -1))
      .sort();
  }

  #numberExtremes(): Extremes {
    if (this.#numbers) return this.#numbers;
    let lowest: NumberText | undefined, highest: NumberText | undefined;
    for (const text of this.#distinct()) {
      if (!IS_NUMBER.test(text)) continue;
      const number = new NumberText(text);
      if (!lowest || number.compare(lowest) < 0) lowest = number;
      if (!highest || number.compare(highest) > 0) highest = number;
    }
    return this.#numbers = { lowest, highest };
  }
}

interface Extremes {
  readonly lowest: NumberText | undefined;
  readonly highest: NumberText | undefined;
}

const IS_NUMBER = /^[-\d]/;
const MAX_SHOWN = 5;
/** Answers and pages repeat a value for every subscription that does not want it. */
const LONGEST_SHOWN = 100;

/** A value as it is shown to people: long ones by their beginning. */
export function shortened(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function compare(value: NumberText | string, operand: NumberText | string): number {
  if (value instanceof NumberText) return value.compare(operand as NumberText);
  return value < operand ? -1 : value > operand ? 1 : 0;
}

/** Whether one of the texts, which are in order, begins so. */
function hasPrefix(sorted: readonly string[], prefix: string): boolean {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < prefix) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.startsWith(prefix) ?? false;
}

/** By code units: it need not be a text that anybody reads. */
function reversed(text: string): string {
  return text.split("").reverse().join("");
}
