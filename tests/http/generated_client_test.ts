/** A client that openapi-typescript makes of the document that a daemon serves. */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../../packaging/bundle.ts";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aDirectory } from "../cli/captured.ts";
import { blocksOf } from "../docs/pages.ts";

const TOKEN = "a-token-of-an-operator-that-is-long";

/** A config and a lock of their own: what stands in deno.json is fetched by everybody who runs anything. */
const CONFIG = JSON.stringify({
  imports: {
    "openapi-fetch": "npm:openapi-fetch@0.17.0",
    "openapi-typescript": "npm:openapi-typescript@7.13.0",
  },
  lock: { path: join(ROOT, "tests/http/generated_client.lock"), frozen: true },
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
  },
});

/** Makes the client's types of the document at a URL. */
const GENERATE = `
import openapiTypescript, { astToString } from "openapi-typescript";

const document = await (await fetch(Deno.args[0]!)).json();
await Deno.writeTextFile(Deno.args[1]!, astToString(await openapiTypescript(document)));
`;

/** What a publisher and an operator would write; the types say which members there are. */
const PROGRAM = `
import createClient from "openapi-fetch";
import type { components, paths } from "./bellhook.ts";

const [url, token] = Deno.args;
const client = createClient<paths>({
  baseUrl: url!,
  ...(token && { headers: { Authorization: "Bearer " + token } }),
});
const event: components["schemas"]["Event"] = {
  id: "bk_1-created",
  type: "booking.created",
  scope: { property_id: "prop_1" },
  data: { total: 60 },
};
const posted = await client.POST("/v1/events", { body: event });
const again = await client.POST("/v1/events", {
  params: { header: { "Idempotency-Key": "one" } },
  body: [event],
});
const { data } = await client.GET("/v1/events/{id}", { params: { path: { id: "bk_1-created" } } });
const refused = await client.GET("/v1/deliveries", { params: { query: { limit: 501 } } });
const page = await client.GET("/v1/deliveries", { params: { query: { state: "pending", limit: 5 } } });
console.log(JSON.stringify({
  posted: posted.response.status,
  again: again.response.status,
  type: data?.type,
  deliveries: data?.deliveries.length,
  refused: refused.error?.errors?.[0]?.path,
  listed: page.data?.items.length,
}));
// @ts-expect-error: the document has no such state, and the compiler knows
void (() => client.GET("/v1/deliveries", { params: { query: { state: "lost" } } }));
`;

for (const hasAuth of [true, false]) {
  Deno.test(`openapi: a generated client compiles and runs, ${hasAuth ? "with" : "without"} auth`, async () => {
    const operators = [{ name: "ops", token: new Secret(TOKEN) }];
    await using daemon = await aDaemon(
      aConfig({ ...(hasAuth && { auth: { publishers: [], operators } }) }),
    );
    await using folder = await aDirectory({
      "deno.json": CONFIG,
      "generate.ts": GENERATE,
      "publish.ts": PROGRAM,
      "page.ts": await pageSample(),
    });
    await run(folder.path, "generate.ts", `${daemon.url}/openapi.json`, "bellhook.ts");
    await check(folder.path, "publish.ts", "page.ts");
    const said = await run(folder.path, "publish.ts", daemon.url, ...(hasAuth ? [TOKEN] : []));
    assertEquals(JSON.parse(said), {
      posted: 202,
      again: 200,
      type: "booking.created",
      deliveries: 0,
      refused: "limit",
      listed: 0,
    });
  });
}

/** What docs/publishers.md shows. */
async function pageSample(): Promise<string> {
  const blocks = blocksOf(await Deno.readTextFile("docs/publishers.md"));
  return blocks.find(({ language }) => language === "ts")!.text;
}

async function check(folder: string, ...programs: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "-q", ...programs],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
}

async function run(folder: string, program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", "-A", program, ...args],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(code, 0, text(stderr));
  return text(stdout);
}
