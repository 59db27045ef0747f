import * as z from "zod";
import { quoted } from "../domain/quoted.ts";
import { type Findings, type Path, splitFix } from "./problem.ts";
import type { Problem } from "./config.ts";
import { ownName, type Place } from "./source.ts";
import { suggestion } from "./suggestion.ts";

/** A value of that type in which anything may be missing: invalid parts have been taken out. */
export type PartlyValid<T> = unknown extends T ? T
  : T extends readonly (infer Element)[] ? readonly (PartlyValid<Element> | undefined)[]
  : T extends object ? { readonly [Key in keyof T]?: PartlyValid<T[Key]> | undefined }
  : T;

/**
 * Checks a value against its schema and reports everything that is wrong with it. Returns the parts
 * that are valid, so that they can be checked further.
 */
export function checkShape<Schema extends z.ZodType>(
  { place, schema, value = place.value() }: {
    readonly place: Place;
    readonly schema: Schema;
    /** What is checked, if it isn't the whole value of the place. */
    readonly value?: unknown;
  },
  findings: Findings,
): PartlyValid<z.infer<Schema>> | undefined {
  const parsed = schema.safeParse(value);
  if (parsed.success) return value as PartlyValid<z.infer<Schema>>;
  const root = { value };
  for (const issue of leavesOf(parsed.error.issues, value)) {
    findings.add(...problemsOf(issue, place, schema));
    takeOut(root, issue);
  }
  return root.value as PartlyValid<z.infer<Schema>> | undefined;
}

type Issue = z.core.$ZodIssue;

/** The issues. That of a union is replaced by those of the alternative that was most likely meant. */
function leavesOf(issues: readonly Issue[], value: unknown, prefix: PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    const whole = { ...issue, path } as Issue;
    if (issue.code !== "invalid_union" || issue.errors.length === 0) return [whole];
    const here = valueAt(value, path);
    // An alternative for another kind of value was not meant.
    const meant = issue.errors
      .filter((branch) => !branch.some((one) => one.path.length === 0 && isOfOtherKind(one)))
      .sort((a, b) => a.length - b.length);
    const best = meant[0];
    if (best === undefined) return [whole];
    const missing = meant.flatMap((branch) => branch.filter((one) => isMissing(one, here)));
    const undecided = meant.length > 1 && best.length === meant[1]!.length;
    if (!undecided) return leavesOf(withoutEchoes(best, here), value, path);
    const strange = best.filter((one) => one.code === "unrecognized_keys");
    if (strange.length > 0 && missing.length > 0) return leavesOf(strange, value, path);
    if (missing.length < meant.length) return leavesOf(best, value, path);
    const keys = missing.map((one) => quoted(String(one.path[0])));
    const message = `one of ${[...new Set(keys)].join(", ")} is missing`;
    return [{
      code: "custom",
      path,
      message,
      input: undefined,
      params: { fix: "add one of them" },
    }];
  });
}

/** Leaves out missing keys if there is an unknown one: it is most likely a misspelling of them. */
function withoutEchoes(branch: readonly Issue[], here: unknown): Issue[] {
  return branch.some((one) => one.code === "unrecognized_keys")
    ? branch.filter((one) => !isMissing(one, here) || one.path.length !== 1)
    : [...branch];
}

function isOfOtherKind(issue: Issue): boolean {
  return issue.code === "invalid_type" || issue.code === "invalid_value" ||
    issue.code === "invalid_union" && issue.errors.length > 0 &&
      issue.errors.every((branch) =>
        branch.some((one) => one.path.length === 0 && isOfOtherKind(one))
      );
}

function isMissing(issue: Issue, around: unknown): boolean {
  return issue.path.length > 0 && valueAt(around, issue.path) === undefined;
}

function problemsOf(issue: Issue, root: Place, schema: z.ZodType): Problem[] {
  const path = issue.path.map((step) => typeof step === "number" ? step : ownName(String(step)));
  const place = root.at(...path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(ownName(key), place, knownKeys(schema, path)));
  }
  if (!place.exists && issue.code !== "custom") return [missingKey(path, root)];
  const { message, fix } = explain(issue, place);
  return [place.problem(message, fix)];
}

function unknownKey(key: string, place: Place, known: readonly string[]): Problem {
  if (known.includes(key)) {
    const others = place.members().map(([name]) => name)
      .filter((name) => name !== key && known.includes(name)).map(quoted);
    const message = others.length > 0
      ? `the key ${quoted(key)} does not go with ${others.join(", ")}`
      : `the key ${quoted(key)} does not go here`;
    return place.problemAtKey(key, message, "keep one of them");
  }
  const free = known.filter((name) => !place.at(name).exists);
  return place.problemAtKey(key, `the key ${quoted(key)} is unknown`, suggestion(key, free));
}

function missingKey(path: Path, root: Place): Problem {
  const name = quoted(String(path.at(-1)));
  return root.at(...path).problem(`the key ${name} is missing`, `add ${name}`);
}

/** An issue in our words. It never repeats a value that could be a secret. */
function explain(issue: Issue, place: Place): { message: string; fix?: string | undefined } {
  switch (issue.code) {
    case "invalid_type":
      return mismatch([EXPECTED[issue.expected] ?? issue.expected], place);
    case "invalid_union": {
      if (issue.message === "a secret is written into the file") {
        const fix = 'put it elsewhere and name the place: {"env": "NAME"}, {"file": "/path"} or ' +
          '{"credential": "name"}';
        return { message: issue.message, fix };
      }
      return mismatch(kindsOf(issue), place);
    }
    case "invalid_value": {
      const known = issue.values.map(String);
      if (place.kind !== "string") return mismatch(known.map(quoted), place);
      const found = place.value() as string;
      return {
        message: `${quoted(found)} is none of the words for this`,
        fix: suggestion(found, known),
      };
    }
    case "too_small":
      if (issue.origin === "array") {
        return { message: "the list is empty", fix: "add one, or more" };
      }
      if (issue.origin === "string") return { message: "the text is empty" };
      return { message: `${place.json()} is less than ${issue.minimum}` };
    case "too_big":
      if (issue.origin === "array") return { message: `the list has more than ${issue.maximum}` };
      if (issue.origin === "string") {
        return { message: `the text has more than ${issue.maximum} characters` };
      }
      return { message: `${place.json()} is more than ${issue.maximum}` };
    default: {
      const fix = (issue as { params?: { fix?: string } }).params?.fix;
      return fix === undefined ? splitFix(issue.message) : { message: issue.message, fix };
    }
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  null: "null",
  array: "a list",
  object: "an object",
  record: "an object",
};

function mismatch(expected: readonly string[], place: Place): { message: string; fix?: string } {
  const wanted = [...new Set(expected)];
  const found = FOUND[place.kind!];
  const list = wanted.length > 1
    ? `${wanted.slice(0, -1).join(", ")} or ${wanted.at(-1)}`
    : wanted[0]!;
  if (place.kind === "number" && wanted.includes("a whole number")) {
    return { message: `expected ${list}, found ${place.json()}` };
  }
  const message = `expected ${list}, found ${found}`;
  return wanted.length === 1 && wanted[0] === "a list"
    ? { message, fix: "put it in brackets: […]" }
    : { message };
}

const FOUND = {
  object: "an object",
  array: "a list",
  string: "a text",
  number: "a number",
  boolean: "true or false",
  null: "null",
} as const;

function kindsOf(issue: Issue): string[] {
  if (issue.code === "invalid_type") return [EXPECTED[issue.expected] ?? issue.expected];
  if (issue.code === "invalid_value") return issue.values.map((value) => quoted(String(value)));
  if (issue.code !== "invalid_union") return [];
  return issue.errors.flatMap((branch) =>
    branch.filter((one) => one.path.length === 0).flatMap((one) => kindsOf(one))
  );
}

function takeOut(root: { value: unknown }, issue: Issue): void {
  const path = ["value", ...issue.path];
  const around = valueAt(root, path.slice(0, -1));
  if (issue.code === "unrecognized_keys") {
    const holder = valueAt(root, path);
    if (isObject(holder)) { for (const key of issue.keys) delete holder[key]; }
    return;
  }
  // Elements keep their index, because it leads to the place of a value.
  if (isObject(around)) around[path.at(-1) as string] = undefined;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, step) => isObject(at) && Object.hasOwn(at, step) ? at[step as string] : undefined,
    value,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object";
}

interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

const jsonSchemas = new WeakMap<z.ZodType, JsonSchema>();

/** The keys that an object at that path may have, in any of the alternatives. */
function knownKeys(schema: z.ZodType, path: Path): string[] {
  let root = jsonSchemas.get(schema);
  if (root === undefined) {
    root = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
    jsonSchemas.set(schema, root);
  }
  const defs = root.$defs ?? {};
  let at = alternatives(root, defs);
  for (const step of path) {
    at = at.flatMap((one) => {
      if (typeof step === "number") return one.items ? alternatives(one.items, defs) : [];
      const next = one.properties && Object.hasOwn(one.properties, step)
        ? one.properties[step]
        : one.additionalProperties;
      return typeof next === "object" ? alternatives(next, defs) : [];
    });
  }
  return [...new Set(at.flatMap((one) => Object.keys(one.properties ?? {})))];
}

function alternatives(
  schema: JsonSchema,
  defs: Readonly<Record<string, JsonSchema>>,
): JsonSchema[] {
  const name = schema.$ref?.replace(/^#\/\$defs\//, "");
  const target = name === undefined ? undefined : defs[name];
  return [
    schema,
    ...(target ? alternatives(target, defs) : []),
    ...[...(schema.anyOf ?? []), ...(schema.allOf ?? [])].flatMap((one) => alternatives(one, defs)),
  ];
}
