import type { Context } from "hono";
import type * as z from "zod";
import { compact } from "../domain/json_text.ts";
import type { Clock } from "../runtime/clock.ts";
import { readText } from "./body.ts";
import { ProblemError } from "./problem.ts";

/** The query of a request by its schema. Throws a 422 that names every wrong parameter. */
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
      errors: [{ path: twice, message: "stands twice; one value is taken" }],
    });
  }
  return checked(schema, context.req.query(), "the query is not valid");
}

/** The JSON body of an operator's request by its schema; no body at all stands for `{}`. */
export async function jsonBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
  { clock }: { clock: Clock },
): Promise<{ value: z.output<Schema>; text: string }> {
  let text = await readText(context.req.raw, { maxBytes: 256 * 1024, clock }) || "{}";
  let value: unknown;
  try {
    text = compact(text);
    value = JSON.parse(text);
  } catch (error) {
    throw new ProblemError({
      status: 400,
      title: "Bad Request",
      detail: `the body is no JSON: ${(error as Error).message}`,
    });
  }
  return { value: checked(schema, value, "the body is not valid"), text };
}

function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  detail: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ProblemError({
    status: 422,
    title: "Unprocessable Content",
    detail,
    errors: result.error.issues.flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => ({ path: key, message: "is not known here" }))
        : [{ path: issue.path.join("."), message: issue.message }]
    ),
  });
}
