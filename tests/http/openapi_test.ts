import { assert, assertEquals } from "@std/assert";
import { Validator } from "@seriousme/openapi-schema-validator";
import { type AppPorts, createApp } from "../../src/http/app.ts";
import { openapiText } from "../../src/http/openapi.ts";
import { ANSWERS } from "../../src/http/openapi_components.ts";
import { postedEvents, replayRequest, testRequest } from "../../src/http/schemas.ts";
import { cloudEventSchema, postedEventSchema } from "../../src/ingest/posted_event.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { verify } from "../receivers/recipes/recipes.ts";
import { VERSION } from "../../src/version.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aConformingDaemon, conforms, DOCUMENT } from "./conforming.ts";

Deno.test("openapi: the document is valid OpenAPI 3.1, with auth and without, under any path", async () => {
  for (const hasAuth of [true, false]) {
    for (const basePath of ["", "/hooks"]) {
      const document = JSON.parse(openapiText({ basePath, hasAuth }));
      const validator = new Validator();
      const { valid, errors } = await validator.validate(document);
      assertEquals([valid, errors], [true, undefined]);
      assertEquals(validator.version, "3.1");
      assertEquals(document.servers[0].url, basePath || "/");
    }
  }
});

Deno.test("openapi: calls need a token with auth, and none without", async () => {
  const auth = { publishers: [], operators: [] };
  for (const config of [aConfig({ auth }), aConfig()]) {
    await using daemon = await aDaemon(config);
    const { body } = await daemon.call("GET", "/openapi.json");
    const calls = Object.entries<Record<string, { security?: object[] }>>(body.paths)
      .flatMap(([path, item]) =>
        ["get", "post"].flatMap((method) => item[method] ? [{ path, method, ...item[method] }] : [])
      );
    assert(calls.length > 15);
    let refusals = 0;
    for (const { path, method, security } of calls) {
      const allowsAnyone = security!.length === 0 ||
        security!.some((one) => Object.keys(one).length === 0);
      assertEquals(allowsAnyone, body.paths[path][method].security.length === 0 || !config.auth);
      // The daemon does what the document says. From the eleventh refusal on, it delays answers.
      if (path === "/v1/stream" || (!allowsAnyone && ++refusals > 10)) continue;
      const at = path.replace("{id}", "none");
      const { status } = await daemon.call(
        method.toUpperCase(),
        at,
        method === "post" ? {} : undefined,
      );
      assertEquals(status !== 401, allowsAnyone, `${method} ${path}: ${status}`);
    }
  }
});

Deno.test("openapi: every route is documented, and everything documented is a route", () => {
  // Creating the routes doesn't use the ports.
  const routes = createApp({} as AppPorts).routes
    .filter(({ method }) => method !== "ALL")
    .filter(({ path }) => !isPage(path))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  const documented = Object.entries<object>(DOCUMENT.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((key) => key !== "parameters")
      .map((method) => `${method.toUpperCase()} ${path}`)
  );
  assertEquals(documented.sort(), [...new Set(routes)].sort());
});

/** The dashboard's pages are for people; the document is for programs. */
function isPage(path: string): boolean {
  return path === "/" || path.startsWith("/dashboard");
}

Deno.test("openapi: is served without a token, with this version", async () => {
  const auth = { publishers: [], operators: [] };
  await using daemon = await aConformingDaemon(aConfig({ auth }));
  const { status, headers, body } = await daemon.call("GET", "/openapi.json");
  assertEquals([status, headers.get("content-type")], [200, "application/json"]);
  assertEquals([body.openapi, body.info.version], ["3.1.1", VERSION]);
});

Deno.test("openapi: every reference resolves, and operation ids are unique", () => {
  const ids: string[] = [];
  walk(DOCUMENT, (name, value) => {
    if (name === "operationId") ids.push(value as string);
    if (name !== "$ref") return;
    const path = (value as string).replace(/^#\//, "").split("/");
    assert(path.reduce((at, step) => at?.[step], DOCUMENT), `${value} leads nowhere`);
  });
  assertEquals(ids.length, new Set(ids).size);
});

Deno.test("openapi: every example matches its schema", () => {
  const schemas = {
    ...ANSWERS,
    Event: postedEventSchema,
    Events: postedEvents,
    CloudEvent: cloudEventSchema,
    CloudEvents: cloudEventSchema.array(),
    TestRequest: testRequest,
    ReplayRequest: replayRequest,
  };
  for (const [name, schema] of Object.entries(schemas)) {
    const { examples } = DOCUMENT.components.schemas[name];
    assertEquals(examples.length, 1, `${name} has an example`);
    conforms(examples[0], schema);
  }
  for (const [status, response] of Object.entries<Response>(DOCUMENT.components.responses)) {
    const { example } = response.content["application/problem+json"]!;
    conforms(example, ANSWERS.Problem);
    assertEquals(String(example.status), status);
  }
});

interface Response {
  readonly content: Record<string, { readonly example: { readonly status: number } }>;
}

Deno.test("openapi: each profile's example verifies with its platform's recipe and the secret shown", () => {
  assertEquals(Object.keys(DOCUMENT.webhooks), [...BUILT_IN.keys()]);
  for (const [profile, { post }] of Object.entries<Webhook>(DOCUMENT.webhooks)) {
    const headers = new Headers({ "Content-Type": "application/json" });
    for (const { name, example } of post.parameters) headers.set(name, example);
    const [first] = Object.values(post.requestBody.content["application/json"].examples);
    const request = {
      headers,
      rawBody: new TextEncoder().encode(JSON.stringify(first!.value)),
      receivedAt: Date.UTC(2024, 2, 15, 10, 30),
    };
    const secret = /signed with the secret `([^`]+)`/.exec(post.description)![1]!;
    assertEquals(verify(profile, request, secret), {
      ok: true,
      event: first!.summary,
      signed: true,
    });
  }
});

interface Webhook {
  readonly post: {
    readonly description: string;
    readonly parameters: readonly { readonly name: string; readonly example: string }[];
    readonly requestBody: {
      readonly content: {
        readonly "application/json": {
          readonly examples: Record<string, { readonly summary: string; readonly value: unknown }>;
        };
      };
    };
  };
}

function walk(value: unknown, visit: (name: string, value: unknown) => void): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    visit(name, member);
    walk(member, visit);
  }
}
