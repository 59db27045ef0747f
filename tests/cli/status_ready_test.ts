import { assertEquals, assertStringIncludes } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { finish } from "./captured.ts";

Deno.test("status --ready: 0 while events are taken, and no token is asked for", async () => {
  const operators = [{ name: "ops", token: new Secret("a-token-that-is-long-enough-to-be-one") }];
  await using daemon = await aDaemon(aConfig({ auth: { publishers: [], operators } }));
  const { exitCode, stdout, stderr } = await finish(["status", "--ready", "--url", daemon.url]);
  assertEquals([exitCode, stdout, stderr], [0, "", "ready\n"]);
});

Deno.test("status --ready: 1 with the reason while none are taken, 4 where nobody answers", async () => {
  const body = `{"detail": "the disk is full"}`;
  await using server = startRawServer({ status: 503, body, close: true });
  const full = await finish(["status", "--ready", "--url", server.url]);
  assertEquals(full.exitCode, 1);
  assertStringIncludes(full.stderr, "the disk is full");
  const url = `http://127.0.0.1:${freePort()}`;
  assertEquals((await finish(["status", "--ready", "--url", url])).exitCode, 4);
});
