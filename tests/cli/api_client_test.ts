import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ApiClient } from "../../src/cli/api_client.ts";
import { CommandError } from "../../src/cli/exit_code.ts";
import { startRawServer } from "../support/raw_server.ts";
import { aHouse } from "./a_house.ts";
import { aDirectory, finish } from "./captured.ts";

const TYPE = ["Content-Type", "application/problem+json"] as const;

async function errorFor(status: number, body: unknown): Promise<CommandError> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  await using server = startRawServer({ status, headers: [TYPE], body: text, close: true });
  using client = new ApiClient({ url: server.url });
  return await assertRejects(() => client.post("/v1/events", "{}"), CommandError);
}

Deno.test("ApiClient: statuses become exit codes", async () => {
  const expected = {
    400: 2,
    401: 5,
    403: 5,
    404: 3,
    409: 1,
    413: 2,
    415: 2,
    422: 2,
    429: 1,
    503: 1,
  };
  for (const [status, exitCode] of Object.entries(expected)) {
    const error = await errorFor(Number(status), { detail: "words" });
    assertEquals<number>(error.exitCode, exitCode, status);
    assertStringIncludes(error.message, "words");
  }
});

Deno.test("ApiClient: a problem is told with the paths of its errors", async () => {
  const error = await errorFor(422, {
    title: "Unprocessable Content",
    detail: "no event",
    errors: [{ path: "type", message: "is missing" }, { path: "", message: "odd" }],
  });
  assertEquals(error.message, "no event\n  type: is missing\n  odd");
});

Deno.test("ApiClient: an answer of something else is no riddle", async () => {
  const error = await errorFor(502, "<html>");
  assertStringIncludes(error.message, "said 502, but not as a Bellhook daemon does");
});

Deno.test("ApiClient: another server is no daemon that could be reached, whatever it answers", async () => {
  const expected = { 200: 4, 302: 4, 401: 5, 403: 5, 404: 4, 422: 4, 500: 4, 501: 4, 502: 4 };
  for (const [status, expectedCode] of Object.entries(expected)) {
    for (const body of ["ok", `{"message":"not found"}`]) {
      if (status === "200" && body !== "ok") continue;
      await using server = startRawServer({ status: Number(status), body, close: true });
      const { exitCode, stderr } = await finish(["pause", "guests", "--url", server.url]);
      assertEquals<number>(exitCode, expectedCode, `${status} ${body}`);
      assertStringIncludes(stderr, `said ${status}, but not as a Bellhook daemon does`);
    }
  }
});

Deno.test("ApiClient: the token goes along", async () => {
  await using server = startRawServer({ body: "{}", close: true });
  await finish(["reload", "--url", server.url], { environment: { BELLHOOK_TOKEN: "t0k3n" } });
  assertEquals(server.requests[0]!.header("authorization"), "Bearer t0k3n");
  // As $(cat token) leaves it where the file has lines of Windows.
  await finish(["reload", "--url", server.url], { environment: { BELLHOOK_TOKEN: "t0k3n\r\n" } });
  assertEquals(server.requests[1]!.header("authorization"), "Bearer t0k3n");
});

Deno.test("ApiClient: a token that no header can carry is not valid, and is not told", async () => {
  await using server = startRawServer({ body: "{}", close: true });
  for (const token of ["t0kén", "t0\nk3n", "t0 k3n", "t0\0k3n", "“t0k3n”"]) {
    const { exitCode, stdout, stderr } = await finish(["status", "--url", server.url], {
      environment: { BELLHOOK_TOKEN: token },
    });
    assertEquals([exitCode, stdout], [2, ""], token);
    assertStringIncludes(stderr, "BELLHOOK_TOKEN");
    assert(!stderr.includes("t0"), stderr);
  }
  assertEquals(server.requests.length, 0);
});

Deno.test("ApiClient: a daemon on this machine is asked directly, whatever HTTP_PROXY names", async () => {
  await using house = await aHouse();
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const { url } = house.daemon;
  const asked = [["HTTP_PROXY", url], [
    "all_proxy",
    url.replace("127.0.0.1", "localhost"),
  ]] as const;
  for (const [variable, url] of asked) {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-A", main, "status", "--all", "--url", url],
      env: { [variable]: "http://127.0.0.1:9", NO_PROXY: "", no_proxy: "" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals(code, 0, text(stderr));
    assertStringIncludes(text(stdout), "guests");
  }
});

Deno.test("ApiClient: no daemon is exit code 4, by TCP and by socket", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  await using directory = await aDirectory();
  for (const url of [`http://127.0.0.1:${port}`, `unix:${directory.path}/none.sock`]) {
    const { exitCode, stdout, stderr } = await finish(["reload", "--url", url]);
    assertEquals([exitCode, stdout], [4, ""]);
    assertStringIncludes(stderr, `no daemon answers at ${url}`);
  }
});

Deno.test("ApiClient: the daemon is where --url, BELLHOOK_URL or the config file says", async () => {
  await using said = startRawServer({ body: "{}", close: true });
  await using inEnvironment = startRawServer({ body: "{}", close: true });
  await using inFile = startRawServer({ body: "{}", close: true });
  await using directory = await aDirectory({
    "config.json": `{ /* no secrets needed */ "server": {"listen": "127.0.0.1:${inFile.port}"},
      "subscriptions": [{"secret": {"env": "NOT_THERE"}}] }`,
  });
  const config = { BELLHOOK_CONFIG: `${directory.path}/config.json` };
  const environment = { ...config, BELLHOOK_URL: inEnvironment.url };
  await finish(["reload", "--url", said.url], { environment });
  await finish(["reload"], { environment });
  await finish(["reload"], { environment: config });
  assertEquals(
    [said, inEnvironment, inFile].map(({ url, requests }) =>
      // The whole URL on a machine that has a proxy.
      requests.map(({ target }) => URL.parse(target, url)?.pathname)
    ),
    [["/-/reload"], ["/-/reload"], ["/-/reload"]],
  );
});

Deno.test("ApiClient: a password in the daemon's URL is not told", async () => {
  await using other = startRawServer({ status: 404, body: "none", close: true });
  const said = [
    [4, `http://user:hunt@er2@127.0.0.1:9/`, "no daemon answers at http://…@127.0.0.1:9/"],
    [2, `ftp://user:hunter2@127.0.0.1/`, '"ftp://…@127.0.0.1/" is no URL of a daemon'],
    [4, `http://:hunter2@127.0.0.1:${other.port}`, "what answers at http://…@127.0.0.1:"],
  ] as const;
  for (const [expectedCode, url, words] of said) {
    const { exitCode, stderr } = await finish(["status", "--url", url]);
    assertEquals<number>(exitCode, expectedCode, stderr);
    assertStringIncludes(stderr, words);
    assert(!/hunter2|er2/.test(stderr), stderr);
  }
});

Deno.test("ApiClient: a byte order mark before the config file is not part of it", async () => {
  await using server = startRawServer({ body: "{}", close: true });
  await using directory = await aDirectory({
    "config.json": `\ufeff{"server": {"listen": "127.0.0.1:${server.port}"}}`,
  });
  await finish(["reload", "-c", `${directory.path}/config.json`]);
  assertEquals(server.requests.length, 1);
});

Deno.test("ApiClient: a URL of no kind it knows is not valid", async () => {
  assertEquals((await finish(["reload", "--url", "localhost:8420"])).exitCode, 2);
});
