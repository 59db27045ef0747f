import { anyText } from "./any_text.ts";
import { fc } from "./properties.ts";

/**
 * JSON as publishers may write it: white space anywhere, numbers no JavaScript number can hold, keys
 * twice, keys that look like integers, `__proto__`, escapes where none are needed.
 */
export function anyJsonText(): fc.Arbitrary<string> {
  const space = fc.constantFrom("", "", "", " ", "\n", "\t \r\n");
  const string = fc.tuple(anyText({ maxLength: 8 }), fc.boolean())
    .map(([text, escaped]) => escaped ? escapedString(text) : JSON.stringify(text));
  const key = fc.oneof(fc.constantFrom('"1"', '"10"', '"2"', '"__proto__"', '"toJSON"'), string);
  const scalar = fc.oneof(
    fc.constantFrom("9007199254740993", "12345678901234567890", "1.10", "1e3", "-0", "1E+400"),
    fc.stringMatching(/^-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?$/),
    fc.constantFrom("true", "false", "null"),
    string,
  );
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      scalar,
      fc.array(tie("value"), { maxLength: 4 }).map((values) => `[${values.join(",")}]`),
      fc.array(fc.tuple(space, key, space, tie("value")), { maxLength: 5 }).map((members) =>
        `{${members.map(([a, name, b, member]) => `${a}${name}${b}:${a}${member}${b}`).join(",")}}`
      ),
    ),
  }));
  return fc.tuple(space, value, space).map((parts) => parts.join(""));
}

function escapedString(text: string): string {
  let escaped = "";
  for (let at = 0; at < text.length; at++) {
    escaped += `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`;
  }
  return `"${escaped}"`;
}
