import { Buffer } from "node:buffer";
import { assertJson, membersOf } from "../../domain/json_text.ts";
import {
  asAscii,
  asHtml,
  asPhp,
  type JsonTree,
  type Layout,
  LAYOUTS,
  sorted,
  spell,
  treesOf,
  withSlashes,
} from "./json_spelling.ts";
import { type Candidate, MAX_MISTAKES, type Mistake, mistaken, right } from "./mistake.ts";

/** Bytes that may have been signed, computed on demand. */
export type BodyCandidate = Candidate<() => Uint8Array | undefined>;

/**
 * The bodies that may have been signed, the correct one first. With `reserialised`, the correct one
 * is JSON.stringify(JSON.parse(body)) instead of the received bytes.
 */
export function bodiesOf(
  rawBody: Uint8Array,
  { reserialised, dataNames = [] }: {
    readonly reserialised: boolean;
    /** Members of the body that may hold the event's data. */
    readonly dataNames?: Iterable<string>;
  },
) {
  const text = utf8(rawBody);
  const alone = Array.from(
    dataNames,
    (name) => mistaken(dataAlone(name), () => memberOf(text, name)),
  );
  const respelled = [...respellings(text), ...alone];
  if (!reserialised) return [right(() => rawBody), ...damaged(rawBody), ...respelled].map(once);
  const rightBytes = reserialise(text);
  return [
    right(() => rightBytes),
    mistaken(AS_RECEIVED, () => rawBody),
    ...(rightBytes ? damaged(rightBytes) : []),
    ...respelled,
  ].map(once);
}

const SIGN_SENT_BYTES = "sign exactly the bytes that are sent";

const AS_RECEIVED: Mistake = {
  code: "body-as-received",
  was: "it was made over the body's own bytes",
  fix: "sign the result of JSON.stringify(JSON.parse(body))",
};

function dataAlone(name: string): Mistake {
  return {
    code: "data-alone",
    was: `it was made over "${name}" alone, not over the whole body`,
    fix: SIGN_SENT_BYTES,
  };
}

function memberOf(text: string | undefined, name: string): Uint8Array | undefined {
  if (text === undefined) return undefined;
  try {
    assertJson(text);
  } catch {
    return undefined;
  }
  const member = membersOf(text)?.find(([known]) => known === name)?.[1];
  return member === undefined ? undefined : Buffer.from(member);
}

const RE_SERIALISED: Mistake = {
  code: "re-serialised",
  was: "the body was parsed and serialised again before it was signed",
  fix: SIGN_SENT_BYTES,
};

const TRAILING_NEWLINE: Mistake = {
  code: "trailing-newline",
  was: "the body was signed with an extra or a missing line break at its end",
  fix: "beware of editors, echo and puts, which add one; " + SIGN_SENT_BYTES,
};

const LINE_ENDS: Mistake = {
  code: "line-ends",
  was: "the body was signed with different line breaks (CR LF or LF)",
  fix: SIGN_SENT_BYTES,
};

const BYTE_ORDER_MARK: Mistake = {
  code: "byte-order-mark",
  was: "the body was signed with an extra or a missing byte order mark",
  fix: SIGN_SENT_BYTES,
};

const LATIN_1: Mistake = {
  code: "latin-1",
  was: "the body was treated as Latin-1 instead of UTF-8 when it was signed",
  fix: "read and write it as UTF-8, or better, sign its bytes",
};

const SORTED: Mistake = {
  code: "sorted-keys",
  was: "the body was signed with its keys sorted",
  fix: SIGN_SENT_BYTES,
};

const NEWLINE = 0x0a, RETURN = 0x0d;
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The bytes as editors, shells and text decoders may change them. */
function damaged(bytes: Uint8Array): BodyCandidate[] {
  const found: BodyCandidate[] = [
    mistaken(TRAILING_NEWLINE, () => Buffer.concat([bytes, Buffer.from("\n")])),
    mistaken(TRAILING_NEWLINE, () => Buffer.concat([bytes, Buffer.from("\r\n")])),
  ];
  if (bytes.at(-1) === NEWLINE) {
    found.push(mistaken(TRAILING_NEWLINE, () => withoutLineEnd(bytes)));
  }
  if (bytes.includes(NEWLINE)) {
    const lines = () => latin1(bytes).replaceAll("\r\n", "\n");
    found.push(
      mistaken(LINE_ENDS, () => Buffer.from(lines(), "latin1")),
      mistaken(LINE_ENDS, () => Buffer.from(lines().replaceAll("\n", "\r\n"), "latin1")),
    );
  }
  const marked = MARK.equals(bytes.subarray(0, 3));
  found.push(
    mistaken(BYTE_ORDER_MARK, () => marked ? bytes.subarray(3) : Buffer.concat([MARK, bytes])),
  );
  if (bytes.some((byte) => byte > 0x7f)) {
    found.push(
      mistaken(LATIN_1, () => Buffer.from(utf8(bytes), "latin1")),
      mistaken(LATIN_1, () => Buffer.from(latin1(bytes), "utf8")),
    );
  }
  return found;
}

function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  const end = bytes.at(-2) === RETURN ? -2 : -1;
  return bytes.subarray(0, end);
}

/** One way to lay out, escape, sort or end a text, and the mistakes it implies. */
interface Way<Value> {
  readonly mistakes: readonly Mistake[];
  readonly way: Value;
}

function layout(name: string, way: Layout, escape?: (text: string) => string) {
  const python = way === LAYOUTS.python;
  const mistake: Mistake = {
    code: python ? "python-separators" : "pretty-printed",
    was: `the body was formatted ${name} before it was signed`,
    fix: python
      ? `give json.dumps separators=(",", ":") and ensure_ascii=False, or better, ${SIGN_SENT_BYTES}`
      : SIGN_SENT_BYTES,
  };
  return { mistakes: [mistake], way: (tree: JsonTree) => (escape ?? same)(spell(tree, way)) };
}

const WAYS_TO_LAY_OUT: readonly Way<(tree: JsonTree) => string>[] = [
  { mistakes: [], way: (tree) => spell(tree, LAYOUTS.compact) },
  layout("over several lines with 2 spaces", LAYOUTS.twoSpaces),
  layout("over several lines with 4 spaces", LAYOUTS.fourSpaces),
  layout("over several lines with tabs", LAYOUTS.tabs),
  layout(`as Python's json.dumps does, with ", " and ": "`, LAYOUTS.python, asAscii),
  layout(`as Python's json.dumps does, with ", " and ": "`, LAYOUTS.python),
];

function escaping(name: string, way: (text: string) => string): Way<(text: string) => string> {
  const was = `the body was signed with ${name}`;
  return { mistakes: [{ code: "escaped-text", was, fix: SIGN_SENT_BYTES }], way };
}

const WAYS_TO_ESCAPE: readonly Way<(text: string) => string>[] = [
  { mistakes: [], way: same },
  escaping("its non-ASCII characters escaped, as Python's ensure_ascii does", asAscii),
  escaping("slashes and non-ASCII characters escaped, as PHP's json_encode does", asPhp),
  escaping("its slashes escaped, as PHP does", withSlashes),
  escaping('"<", ">" and "&" escaped, as Go\'s json.Marshal and Rails do', asHtml),
];

const WAYS_TO_ORDER: readonly Way<(tree: JsonTree) => JsonTree>[] = [
  { mistakes: [], way: same },
  { mistakes: [SORTED], way: sorted },
];

const WAYS_TO_END: readonly Way<string>[] = [
  { mistakes: [], way: "" },
  { mistakes: [TRAILING_NEWLINE], way: "\n" },
];

/** A JSON text as other libraries and settings serialise it, fewest mistakes first. */
function respellings(text: string): BodyCandidate[] {
  let trees: readonly JsonTree[] | undefined;
  const found: BodyCandidate[] = [];
  // With the text's own numbers, and with those that JavaScript parses; see `treesOf`.
  for (const index of [0, 1]) {
    for (const order of WAYS_TO_ORDER) {
      for (const laidOut of WAYS_TO_LAY_OUT) {
        for (const escape of WAYS_TO_ESCAPE) {
          for (const end of WAYS_TO_END) {
            const mistakes = [order, laidOut, escape, end].flatMap(({ mistakes }) => mistakes);
            if (mistakes.length > MAX_MISTAKES) continue;
            found.push({
              mistakes: mistakes.length === 0 ? [RE_SERIALISED] : mistakes,
              value: () => {
                trees ??= treesOf(text);
                const tree = trees[index];
                if (tree === undefined) return undefined;
                return Buffer.from(escape.way(laidOut.way(order.way(tree))) + end.way);
              },
            });
          }
        }
      }
    }
  }
  return found.sort((a, b) => a.mistakes.length - b.mistakes.length);
}

function once({ mistakes, value }: BodyCandidate): BodyCandidate {
  let made: { bytes: Uint8Array | undefined } | undefined;
  return { mistakes, value: () => (made ??= { bytes: value() }).bytes };
}

function reserialise(text: string): Uint8Array | undefined {
  try {
    return Buffer.from(JSON.stringify(JSON.parse(text)));
  } catch {
    return undefined;
  }
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function same<Value>(value: Value): Value {
  return value;
}
