import { assertJson, compact } from "../../domain/json_text.ts";

/** A parsed JSON text: the text of a scalar, or the parts of an object or array in order. */
export type JsonTree = string | {
  readonly brackets: "{}" | "[]";
  /** The name is JSON text; empty in an array. */
  readonly parts: readonly (readonly [name: string, value: JsonTree])[];
};

/** The whitespace of a JSON text. */
export interface Layout {
  /** The indent of each level; undefined for one line. */
  readonly indent?: string;
  readonly comma: string;
  readonly colon: string;
}

/** The usual layouts of JSON libraries. */
export const LAYOUTS = {
  compact: { comma: ",", colon: ":" },
  twoSpaces: { indent: "  ", comma: ",", colon: ": " },
  fourSpaces: { indent: "    ", comma: ",", colon: ": " },
  tabs: { indent: "\t", comma: ",", colon: ": " },
  /** Python's json.dumps without further arguments. */
  python: { comma: ", ", colon: ": " },
} as const satisfies Record<string, Layout>;

/** The body's tree with numbers and keys unchanged, and, if different, as JavaScript parses them. */
export function treesOf(body: string): readonly JsonTree[] {
  try {
    assertJson(body);
    const exact = compact(body);
    const byJavaScript = JSON.stringify(JSON.parse(body));
    return exact === byJavaScript
      ? [treeOf(exact)]
      : [treeOf(exact), treeOf(compact(byJavaScript))];
  } catch {
    // Not JSON, or nested too deeply: it can't be serialised in another way.
    return [];
  }
}

/** Serialises a tree. Empty objects and arrays stay on one line, as in every library. */
export function spell(tree: JsonTree, layout: Layout, outer = ""): string {
  if (typeof tree === "string") return tree;
  const [open, close] = tree.brackets;
  if (tree.parts.length === 0) return tree.brackets;
  const inner = outer + (layout.indent ?? "");
  const start = layout.indent === undefined ? "" : `\n${inner}`;
  const end = layout.indent === undefined ? "" : `\n${outer}`;
  let text = open!;
  let divider = start;
  for (const [name, value] of tree.parts) {
    text += divider + (name === "" ? "" : name + layout.colon) + spell(value, layout, inner);
    divider = layout.comma + start;
  }
  return text + end + close;
}

/** The tree with the members of every object sorted by name, as in canonical JSON and Go's maps. */
export function sorted(tree: JsonTree): JsonTree {
  if (typeof tree === "string") return tree;
  const parts = tree.parts.map(([name, value]) => [name, sorted(value)] as const);
  if (tree.brackets === "[]") return { brackets: "[]", parts };
  // By the unescaped names: escapes would change the order.
  const named = parts.map((part) => ({ name: JSON.parse(part[0]) as string, part }));
  named.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return { brackets: "{}", parts: named.map(({ part }) => part) };
}

// The whole text can be escaped at once: these characters occur only in strings.

/** Python's ensure_ascii. */
export function asAscii(text: string): string {
  return text.replace(/[\x7f-\uffff]/g, escaped);
}

/** PHP's json_encode. */
export function asPhp(text: string): string {
  return text.replace(/\//g, "\\/").replace(/[\x80-\uffff]/g, escaped);
}

/** PHP's json_encode with JSON_UNESCAPED_UNICODE: escapes only slashes. */
export function withSlashes(text: string): string {
  return text.replace(/\//g, "\\/");
}

/** Go's json.Marshal and Rails' to_json. */
export function asHtml(text: string): string {
  return text.replace(/[<>&\u2028\u2029]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Parses a valid compact text. */
function treeOf(text: string): JsonTree {
  let at = 0;
  return value();

  function value(): JsonTree {
    if (text[at] === "{") return parts("{}");
    if (text[at] === "[") return parts("[]");
    return scalar();
  }

  function parts(brackets: "{}" | "[]"): JsonTree {
    const found: [string, JsonTree][] = [];
    at++;
    while (text[at] !== brackets[1]) {
      if (text[at] === ",") at++;
      let name = "";
      if (brackets === "{}") {
        name = scalar();
        at++;
      }
      found.push([name, value()]);
    }
    at++;
    return { brackets, parts: found };
  }

  function scalar(): string {
    const pattern = text[at] === '"' ? STRING : PLAIN;
    pattern.lastIndex = at;
    const found = pattern.exec(text)![0];
    at += found.length;
    return found;
  }
}

const STRING = /"(?:[^"\\]|\\.)*"/y;
const PLAIN = /[^,\]}]+/y;
