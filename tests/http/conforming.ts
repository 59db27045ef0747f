import { assert, assertEquals } from "@std/assert";
import type * as z from "zod";
import type { Config } from "../../src/config/config.ts";
import type { DaemonPorts } from "../../src/daemon.ts";
import { openapiText } from "../../src/http/openapi.ts";
import { ANSWERS } from "../../src/http/openapi_components.ts";
import { aDaemon, type Answer, type TestDaemon } from "../support/a_daemon.ts";

/** The document as served. */
// deno-lint-ignore no-explicit-any
export const DOCUMENT: any = JSON.parse(openapiText({ basePath: "", hasAuth: true }));

/** A daemon whose every answer is checked against the OpenAPI document. */
export async function aConformingDaemon(
  config: Config,
  ports: Partial<DaemonPorts> = {},
): Promise<TestDaemon> {
  const daemon = await aDaemon(config, ports);
  return {
    ...daemon,
    async call(method, path, body, headers) {
      const answer = await daemon.call(method, path, body, headers);
      if (method !== "HEAD") assertDocumented(method, path, answer);
      return answer;
    },
  };
}

/** Fails if an answer's body doesn't match the schema, or has a member that the schema lacks. */
export function conforms(body: unknown, schema: z.ZodType): void {
  assertEquals(schema.parse(body), body);
}

function assertDocumented(method: string, path: string, answer: Answer): void {
  const what = `${method} ${path} → ${answer.status}`;
  const operation = documented(method, path);
  if (!operation) {
    // No such call, or the token is checked first.
    assert([401, 403, 404, 405].includes(answer.status), `${what}: is not in the document`);
    assertProblem(answer, what);
    return;
  }
  const response = resolve(operation.responses[answer.status]);
  assert(response, `${what}: the document has no such answer`);
  const mediaType = answer.headers.get("content-type")?.split(";")[0] ?? "";
  const content = response.content[mediaType];
  assert(content, `${what}: the document has no ${mediaType} for it`);
  if (mediaType === "application/problem+json") assertProblem(answer, what);
  else if (content.schema.$ref) conforms(answer.body, ANSWERS[nameOf(content.schema.$ref)]);
}

/** RFC 9457, with no members beyond those that the API documents. */
export function assertProblem(answer: Answer, what = ""): void {
  assertEquals(answer.headers.get("content-type"), "application/problem+json", what);
  conforms(answer.body, ANSWERS.Problem);
  assertEquals([answer.body.type, answer.body.status], ["about:blank", answer.status], what);
}

function documented(method: string, path: string) {
  const { pathname } = new URL(path, "http://daemon");
  const template = Object.keys(DOCUMENT.paths).find((candidate) =>
    new RegExp(`^${candidate.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(pathname)
  );
  return template && DOCUMENT.paths[template][method.toLowerCase()];
}

// deno-lint-ignore no-explicit-any
function resolve(response: any): any {
  if (!response?.$ref) return response;
  return DOCUMENT.components.responses[response.$ref.split("/").at(-1)];
}

function nameOf(ref: string): keyof typeof ANSWERS {
  return ref.split("/").at(-1) as keyof typeof ANSWERS;
}
