import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aDirectory, finish, start } from "./captured.ts";

const SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";

/** Serves one subscription until an attempt is logged; answers what was logged. */
async function logOf(args: readonly string[]): Promise<string> {
  await using receiver = startRawServer({ status: 503, body: "an answer's body" });
  const config = {
    server: { listen: "127.0.0.1:0" },
    subscriptions: [{
      id: "pms",
      url: `${receiver.url}hook?token=t0ken`,
      events: ["*"],
      secret: { env: "SECRET" },
      headers: { "X-Key": { env: "KEY" } },
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
    }],
  };
  await using directory = await aDirectory({ "config.json": JSON.stringify(config) });
  const serving = start(["serve", "-c", `${directory.path}/config.json`, ...args], {
    environment: {
      SECRET,
      KEY: "a-secret-key",
      https_proxy: "http://user:pr0xy-password@proxy.example:3128",
    },
  });
  const url = await until(() => /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(serving.stderr)?.[0]);
  const posted = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "booking.created", data: { guest: "Zoë" } }),
  });
  await posted.body?.cancel();
  await until(() => serving.stderr.includes("attempt failed"));
  serving.signal("SIGTERM");
  assertEquals(await serving.exit, 0);
  assertEquals(serving.stderr.match(/a proxy is set .*https_proxy/g)?.length, 1);
  for (
    const hidden of ["t0ken", SECRET, "a-secret-key", "Zoë", "an answer's body", "pr0xy-password"]
  ) {
    assert(!serving.stderr.includes(hidden), `${hidden} in ${serving.stderr}`);
  }
  return serving.stderr;
}

Deno.test("serve: logs logfmt where nobody watches, without bodies, secrets or queries", async () => {
  for (const line of (await logOf([])).trimEnd().split("\n")) assertStringIncludes(line, "time=");
});

Deno.test("serve --log json: every line is an object", async () => {
  const lines = (await logOf(["--log", "json"])).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  const attempts = lines.filter(({ msg }) => msg === "attempt failed");
  assertEquals(attempts.map(({ subscription, status }) => [subscription, status]), [["pms", 503]]);
});

Deno.test("serve --log: another format is no format", async () => {
  const { exitCode, stderr } = await finish(["serve", "--log", "xml"]);
  assertEquals(exitCode, 2);
  assertStringIncludes(stderr, "pretty, logfmt, json");
});
