import type { Context } from "hono";
import type * as z from "zod";
import type { Config } from "../config/config.ts";
import { assertWholeCharacters } from "../domain/half_characters.ts";
import { compact } from "../domain/json_text.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Intake } from "./intake.ts";
import { ProblemError } from "./problem.ts";

/** Parses a request's query. Throws a 422 that names every wrong parameter. */
export function query<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): z.output<Schema> {
  const names = [...new URL(context.req.url).searchParams.keys()];
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) {
    throw new ProblemError({
      status: 422,
      title: "Unprocessable Content",
      detail: "the query is not valid",
      errors: [{ path: twice, message: "is repeated; give one value" }],
    });
  }
  return checked(schema, context.req.query(), "the query is not valid");
}

/** What reading a body needs. */
export interface BodyPorts {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly intake: Intake;
}

/** Parses the JSON body of an operator's request. No body means `{}`. */
export async function jsonBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
  ports: BodyPorts,
): Promise<{ value: z.output<Schema>; text: string }> {
  let text = await bodyText(context, ports) || "{}";
  let value: unknown;
  try {
    text = compact(text);
    assertWholeCharacters(text);
    value = JSON.parse(text);
  } catch (error) {
    throw new ProblemError({
      status: 400,
      title: "Bad Request",
      detail: `the body cannot be read as JSON: ${(error as Error).message}`,
    });
  }
  return { value: checked(schema, value, "the body is not valid"), text };
}

/** The body of an operator's request; the same size limit applies as for publishers. */
export function bodyText(context: Context, { config, clock, intake }: BodyPorts): Promise<string> {
  return intake.readText(context.req.raw, { maxBytes: config().server.maxBodyBytes, clock });
}

function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  detail: string,
): z.output<Schema> {
  const result = schema.safeParse(value, { error: sayWhatIsWrong });
  if (result.success) return result.data;
  throw new ProblemError({
    status: 422,
    title: "Unprocessable Content",
    detail,
    errors: result.error.issues.flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => ({ path: key, message: "is unknown" }))
        : [{ path: issue.path.join("."), message: issue.message }]
    ),
  });
}

/** An `error` function for zod, with this API's messages. */
export function sayWhatIsWrong(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? "is missing" : `must be ${EXPECTED[issue.expected]}`;
    case "invalid_value":
      return `must be one of ${issue.values.join(", ")}`;
    case "too_small":
      return `must be ${issue.minimum}${charactersOf(issue)} or more`;
    case "too_big":
      return `must be ${issue.maximum}${charactersOf(issue)} or less`;
    default:
      return undefined;
  }
}

function charactersOf({ origin }: { origin: string }): string {
  return origin === "string" ? " characters" : "";
}

const EXPECTED: { readonly [type: string]: string } = {
  array: "an array",
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
};
