import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { until } from "../support/until.ts";
import { finish, start } from "./captured.ts";

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
