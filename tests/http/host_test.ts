import { assertEquals } from "@std/assert";
import { join } from "node:path";
import type { Config } from "../../src/config/config.ts";
import { Secret } from "../../src/domain/secret.ts";
import { latin1 } from "../../src/domain/latin1.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type Answer, type TestDaemon } from "../support/a_daemon.ts";
import { assertProblem } from "./conforming.ts";

/** The Host header. Requests that no client library would send go through a raw socket. */

const auth: Config["auth"] = {
  publishers: [],
  operators: [{ name: "ada", token: new Secret("op-token") }],
};

const CALLS = [
  "POST /v1/events",
  "POST /v1/events?source=desk",
  "POST /v1/match",
  "PUT /v1/events",
  "GET /v1/events?limit=1",
  "GET /v1/deliveries/dlv_1",
  "GET /-/healthy",
  "GET /metrics",
  "GET /nope",
  "GET /",
  "GET /dashboard/deliveries?state=exhausted",
  "POST /dashboard/sign-in",
];

/** Invalid hosts. */
const UNREADABLE = [
  "a b",
  "localhost:99999",
  "localhost:http",
  "[::1",
  "[::g]",
  "a<b",
  "a%",
  "a%zz",
  "a/v1",
  "a?b",
  "a#b",
  "ada@localhost",
  "a, b",
  "\xff\xfe",
];

async function answerTo(
  daemon: TestDaemon,
  { call, version = "1.1", head }: { call: string; version?: string; head: string },
): Promise<Answer> {
  const url = daemon.url;
  const connection = url.startsWith("unix:")
    ? await Deno.connect({ transport: "unix", path: url.slice("unix:".length) })
    : await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const rest = `Authorization: Bearer op-token\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
  const text = `${call} HTTP/${version}\r\n${head}${rest}`;
  const writer = connection.writable.getWriter();
  await writer.write(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  const answer = latin1(new Uint8Array(await new Response(connection.readable).arrayBuffer()));
  const [top = "", body = ""] = answer.split("\r\n\r\n");
  const [status = "", ...lines] = top.split("\r\n");
  const headers = new Headers(
    lines.map((line) => line.split(/: (.*)/).slice(0, 2) as [string, string]),
  );
  const isJson = headers.get("content-type")?.includes("json");
  return { status: Number(status.split(" ")[1]), headers, body: isJson ? JSON.parse(body) : body };
}

async function assertRefused(daemon: TestDaemon, request: { call: string; head: string }) {
  const answer = await answerTo(daemon, request);
  assertEquals([answer.status, request], [400, request]);
  assertProblem(answer, request.head);
}

Deno.test("Host: an invalid one is 400 on every path", async () => {
  await using daemon = await aDaemon(aConfig({ auth }));
  for (const call of CALLS) {
    for (const host of UNREADABLE) await assertRefused(daemon, { call, head: `Host: ${host}\r\n` });
  }
});

Deno.test("Host: an invalid one is 400 on a Unix socket as well", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { server } = aConfig();
    const listen = { kind: "unix", path: join(folder, "s.sock") } as const;
    await using daemon = await aDaemon(aConfig({ server: { ...server, listen } }));
    for (const call of CALLS) {
      for (const host of ["a b", "localhost:99999", "a/v1", "ada@localhost"]) {
        await assertRefused(daemon, { call, head: `Host: ${host}\r\n` });
      }
    }
    const { status } = await answerTo(daemon, {
      call: "GET /v1/events",
      head: "Host: localhost\r\n",
    });
    assertEquals(status, 200);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Host: without auth, one that only resembles loopback is 400", async () => {
  await using daemon = await aDaemon(aConfig());
  for (const call of CALLS) {
    for (const host of ["localhost:99999", "127.0.0.999"]) {
      await assertRefused(daemon, { call, head: `Host: ${host}\r\n` });
    }
  }
});

Deno.test("Host: the answer says what is wrong and how to fix it", async () => {
  await using daemon = await aDaemon(aConfig({ auth }));
  const { body } = await answerTo(daemon, { call: "POST /v1/events", head: "Host: a b\r\n" });
  assertEquals(
    body.detail,
    'Host "a b" cannot be read as a host and a port; ' +
      'send the daemon\'s own, as in "Host: 127.0.0.1:8420"',
  );
});

Deno.test("Host: a host in the target takes precedence, and is 400 if invalid", async () => {
  await using daemon = await aDaemon(aConfig({ auth }));
  for (const path of ["/v1/events", "/-/healthy", "/"]) {
    const head = "Host: localhost\r\n";
    await assertRefused(daemon, { call: `POST http://localhost:99999${path}`, head });
    await assertRefused(daemon, { call: `POST http://localhost:99999${path}`, head });
  }
  const call = "GET http://hooks.example.com/-/healthy";
  assertEquals((await answerTo(daemon, { call, head: "Host: localhost\r\n" })).status, 200);
});

Deno.test("Host: with auth, any valid name is served", async () => {
  await using daemon = await aDaemon(aConfig({ auth }));
  const call = "GET /v1/events";
  const hosts = ["hooks.example.com", "hooks.example.com:8420", "[2001:db8::1]:80", "a_b", "h:"];
  for (const host of [...hosts, ...hosts]) {
    const head = `Host: ${host}\r\n`;
    assertEquals((await answerTo(daemon, { call, head })).status, 200, host);
    await assertRefused(daemon, { call, head: `Host: ${host}:99999\r\n` });
  }
  assertEquals((await answerTo(daemon, { call, version: "1.0", head: "" })).status, 200);
});

Deno.test("Host: without auth, only loopback is served, in any spelling", async () => {
  await using daemon = await aDaemon(aConfig());
  const statusFor = async (host: string) =>
    (await answerTo(daemon, { call: "GET /-/healthy", head: `Host: ${host}\r\n` })).status;
  const loopback = ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.8.9.10", "127.1"]
    .concat(["2130706433", "0x7f.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[0::0001]", "[::0.0.0.1]"])
    .concat(["[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[0:0:0:0:0:ffff:127.1.2.3]"]);
  for (const host of loopback) {
    assertEquals([host, await statusFor(host)], [host, 200]);
    assertEquals([host, await statusFor(`${host}:8420`)], [host, 200]);
  }
  const foreign = ["127.0.0.1.evil.example", "localhost.evil.example", "127.1.evil.example"]
    .concat(["localhost..", ".localhost", "evil.localhost", "evil-localhost", "localhostx"])
    .concat(["127", "0", "0.0.0.0", "128.0.0.1", "126.255.255.255", "2147483648", "127.0.0.1.2"])
    .concat(["[::]", "[::2]", "[::127.0.0.1]", "[::ffff:126.0.0.1]", "[::ffff:0:127.0.0.1]"])
    .concat(["[64:ff9b::127.0.0.1]", "[fe80::1]", "evil@127.0.0.1", "127.0.0.1/", "%6cocalhost"])
    .concat(["localhost.#evil.example", "localhost.?evil.example", "[::1].evil.example"]);
  for (const host of foreign) {
    assertEquals([host, await statusFor(host)], [host, 403]);
    assertEquals([host, await statusFor(`${host}:8420`)], [host, 403]);
  }
});
