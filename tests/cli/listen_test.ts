import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { freePort } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { aDirectory, finish, start } from "./captured.ts";

Deno.test("listen: prints a line for each request, verified or not, until a signal", async () => {
  const listening = start(
    ["listen", "--profile", "roostsync", "--secret-env", "S", "--port", "0"],
    { environment: { S: "a secret" } },
  );
  const url = await until(() => /http:\/\/\S+(?=;)/.exec(listening.stderr)?.[0]);
  const response = await fetch(url, { method: "POST", body: `{"event":"booking.created"}` });
  await response.text();
  assertEquals(response.ok, false);
  listening.signal("SIGINT");
  assertEquals(await listening.exit, 0);
  assertMatch(listening.stdout, /^.*roostsync.*\n$/);
});

Deno.test("listen: fails as it is told to", async () => {
  const listening = start([
    "listen",
    "--profile",
    "booking-experts",
    "--port",
    "0",
    "--fail",
    "503",
  ]);
  const url = await until(() => /http:\/\/\S+(?=;)/.exec(listening.stderr)?.[0]);
  const response = await fetch(url, { method: "POST", body: "{}" });
  await response.text();
  assertEquals(response.status, 503);
  listening.signal("SIGTERM");
  assertEquals(await listening.exit, 0);
});

Deno.test("listen: ends once nobody reads what it prints", async () => {
  const listening = start(["listen", "--profile", "booking-experts", "--port", "0"], {
    hasReader: () => false,
  });
  const url = await until(() => /http:\/\/\S+(?=;)/.exec(listening.stderr)?.[0]);
  await fetch(url, { method: "POST", body: "{}" }).then((response) => response.text(), () => {});
  assertEquals(await listening.exit, 0);
});

Deno.test("listen: a secret that is needed and not there", async () => {
  const unnamed = await finish(["listen", "--profile", "roostsync"]);
  assertEquals(unnamed.exitCode, 2);
  assertStringIncludes(unnamed.stderr, "--secret-env");
  const empty = await finish(["listen", "--profile", "roostsync", "--secret-env", "NONE"]);
  assertEquals(empty.exitCode, 2);
  assertStringIncludes(empty.stderr, "NONE");
});

Deno.test("listen --subscription: profile, secret and port are the config's", async () => {
  const port = freePort();
  await using directory = await aDirectory();
  const config = (await finish(["init", "--local", directory.path])).stdout.trim();
  const customer = `${directory.path}/customers/local.json`;
  const text = await Deno.readTextFile(customer);
  await Deno.writeTextFile(customer, text.replace("8421", String(port)));
  const listening = start(["listen", "--subscription", "local", "-c", config]);
  await until(() => listening.stderr.includes(`http://127.0.0.1:${port}/`));
  const event = `{"type":"x","data":{}}`;
  const signed = await finish(
    ["sign", "--subscription", "local", "-c", config, "--event", "-", "--json"],
    { stdin: event },
  );
  const { headers, body } = JSON.parse(signed.stdout);
  const response = await fetch(`http://127.0.0.1:${port}/webhooks`, {
    method: "POST",
    headers,
    body,
  });
  await response.text();
  assertEquals(response.status, 200);
  listening.signal("SIGINT");
  assertEquals(await listening.exit, 0);
  assertStringIncludes(listening.stdout, "signature good");
});
