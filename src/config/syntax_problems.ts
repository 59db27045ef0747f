import { type ParseError, printParseErrorCode, visit } from "jsonc-parser";
import { MAX_DEPTH } from "../domain/json_text.ts";
import { quoted } from "../domain/quoted.ts";
import type { Problem } from "./config.ts";
import type { SourceText } from "./source_text.ts";

/**
 * Finds what is wrong with a text: errors of syntax, too many levels, keys that are given twice. A
 * text whose only fault is such a key is valid: the first value counts.
 */
export function findSyntaxProblems(
  source: SourceText,
): { readonly isValid: boolean; readonly problems: Problem[] } {
  const errors: ParseError[] = [];
  const problems: Problem[] = [];
  // By depth: the offset of each name's first use, in the objects around the current position.
  const firsts: Map<string, number>[] = [];
  let depth = 0, hasValue = false;
  const begin = (offset: number) => {
    hasValue = true;
    // The parser is recursive, so deep nesting must not reach it.
    if (++depth > 2 * MAX_DEPTH) throw new TooDeep(offset);
    (firsts[depth] ??= new Map()).clear();
  };
  const end = () => void depth--;
  try {
    visit(source.text, {
      onObjectBegin: begin,
      onObjectEnd: end,
      onArrayBegin: begin,
      onArrayEnd: end,
      onLiteralValue: () => void (hasValue = true),
      onObjectProperty(name, offset, _length, _line, _column, pathOf) {
        const first = firsts[depth]!;
        const earlier = first.get(name);
        if (earlier === undefined) return void first.set(name, offset);
        const { line } = source.position(earlier);
        problems.push(source.problem(offset, [...pathOf(), name], {
          message: `the key ${quoted(name)} is given twice, first on line ${line}`,
          fix: "keep one of them",
        }));
      },
      onError: (error, offset, length) => void errors.push({ error, offset, length }),
    }, { allowTrailingComma: true });
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    const message = `nested deeper than ${2 * MAX_DEPTH} levels`;
    return { isValid: false, problems: [source.problem(error.offset, [], { message })] };
  }
  const isValid = errors.length === 0 && hasValue;
  return { isValid, problems: isValid ? problems : syntaxProblems(source, errors) };
}

class TooDeep extends Error {
  constructor(readonly offset: number) {
    super();
  }
}

function syntaxProblems(source: SourceText, errors: readonly ParseError[]): Problem[] {
  if (errors.length === 0) {
    return [source.problem(0, [], { message: "the file is empty", fix: "write at least {}" })];
  }
  // After an error, the parser often reports another at the same offset. Only the first one helps.
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
