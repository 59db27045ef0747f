/** Malicious publishers, and malicious pages in a browser on this machine. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Config } from "../../src/config/config.ts";
import { Secret } from "../../src/domain/secret.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { anyJsonText } from "../support/any_json_text.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { usedMiB } from "./used_memory.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

const auth: NonNullable<Config["auth"]> = {
  publishers: [
    { name: "flooder", token: new Secret("the-token-of-the-flooder") },
    { name: "neighbour", token: new Secret("the-token-of-the-neighbour") },
  ],
  operators: [],
};
const FLOODER = { authorization: "Bearer the-token-of-the-flooder" };
const NEIGHBOUR = { authorization: "Bearer the-token-of-the-neighbour" };

/** A raw connection to a daemon. */
async function connect(daemon: TestDaemon) {
  const { hostname, port } = new URL(daemon.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  let read = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const piece of connection.readable) read += decoder.decode(piece);
  })().catch(() => {});
  const writer = connection.writable.getWriter();
  return {
    /** Latin-1. */
    send: (text: string) =>
      writer.write(Uint8Array.from(text, (character) => character.charCodeAt(0))).catch(() => {}),
    /** Waits until the answer contains this text; returns the answer. */
    async answer(part: string): Promise<string> {
      await until(() => read.includes(part), `an answer with ${part}`);
      return read;
    },
    ended: reading,
    async [Symbol.asyncDispose]() {
      await writer.abort().catch(() => {});
      try {
        connection.close();
      } catch {
        // The daemon has closed it first.
      }
      await reading;
    },
  };
}

type Connection = Awaited<ReturnType<typeof connect>>;

/** Opens this many connections, each of which sends this text and then nothing. */
async function stalled(
  daemon: TestDaemon,
  { count, text, stack }: { count: number; text: string; stack: AsyncDisposableStack },
): Promise<Connection[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => connect(daemon)));
  for (const connection of connections) {
    stack.use(connection);
    await connection.send(text);
  }
  return connections;
}

function head(length: number, headers: Record<string, string> = {}): string {
  const all = { "host": "127.0.0.1", "content-type": "application/json", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `POST /v1/events HTTP/1.1\r\n${lines}Content-Length: ${length}\r\n\r\n`;
}

Deno.test("slowloris: endless heads and bodies block nobody, and are disconnected", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemon(aConfig(), { clock });
  await using stack = new AsyncDisposableStack();
  await stalled(daemon, { stack, count: 200, text: "POST /v1/events HTTP/1.1\r\nX-Slow: " });
  const small = await stalled(daemon, { stack, count: 200, text: `${head(10_000)}{"type":` });
  // Together they would exceed the limit.
  const large = await stalled(daemon, { stack, count: 100, text: `${head(250_000)}{"type":` });
  await until(async () => {
    clock.advance(500);
    return (await daemon.call("POST", "/v1/events", EVENT)).status === 202;
  }, "the slow ones have made room");
  for (let i = 0; i < 20; i++) {
    assertEquals((await daemon.call("POST", "/v1/events", EVENT)).status, 202);
  }
  clock.advance(30_000);
  // Requests beyond the limit were refused at once.
  const answers = await Promise.all(
    [...small, ...large].map(async ({ answer }) => (await answer("\r\n\r\n")).slice(9, 12)),
  );
  assertEquals(new Set(answers), new Set(["408", "503"]));
});

Deno.test("slowloris: the daemon stops despite half-sent requests and unread answers", async () => {
  const clock = new FakeClock();
  const daemon = await aDaemon(aConfig(), { clock });
  await using stack = new AsyncDisposableStack();
  await stalled(daemon, { stack, count: 5, text: "POST /v1/events HTTP/1.1\r\nX-Slow: " });
  await stalled(daemon, { stack, count: 5, text: `${head(10_000)}{"type":` });
  await stalled(daemon, { stack, count: 5, text: `${head(250_000)}{"type":` });
  const many = "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(500);
  await stalled(daemon, { stack, count: 5, text: many });
  let stopped = false;
  const stopping = daemon.stop().then(() => stopped = true);
  await until(() => {
    clock.advance(100);
    return stopped;
  }, "the daemon has stopped");
  await stopping;
});

Deno.test("flood: a publisher with too many requests in progress is refused, others are not", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemon(aConfig({ auth }), { clock });
  await using stack = new AsyncDisposableStack();
  const text = head(1_000, FLOODER) + '{"type":';
  await stalled(daemon, { stack, count: 512, text });
  const refused = await until(async () => {
    const answer = await daemon.call("POST", "/v1/events", EVENT, FLOODER);
    return answer.status === 429 ? answer : undefined;
  }, "the flooder has too much under way");
  assertEquals(refused.headers.get("retry-after"), "1");
  assertStringIncludes(refused.body.detail, '"flooder" has too many requests under way');
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, NEIGHBOUR)).status, 202);
  clock.advance(500);
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, FLOODER)).status, 202);
});

Deno.test("flood: a publisher with too large bodies in progress is refused, others are not", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemon(aConfig({ auth }), { clock });
  await using stack = new AsyncDisposableStack();
  const text = head(256 * 1024, FLOODER) + '{"type":';
  await stalled(daemon, { stack, count: 32, text });
  await until(async () => {
    return (await daemon.call("POST", "/v1/events", EVENT, FLOODER)).status === 429;
  }, "the flooder has too much under way");
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, NEIGHBOUR)).status, 202);
});

Deno.test("flood: without auth, everyone is refused with 503", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemon(aConfig(), { clock });
  await using stack = new AsyncDisposableStack();
  await stalled(daemon, { stack, count: 64, text: `${head(256 * 1024)}{"type":` });
  const refused = await until(async () => {
    const answer = await daemon.call("POST", "/v1/events", EVENT);
    return answer.status === 503 ? answer : undefined;
  }, "too much is under way");
  assertEquals(refused.headers.get("retry-after"), "1");
  assertEquals(refused.headers.get("content-type"), "application/problem+json");
});

Deno.test("flood: a body larger than the limit is accepted alone, if maxBody allows it", async () => {
  const { server } = aConfig();
  const config = aConfig({ auth, server: { ...server, maxBodyBytes: 24 * 1024 * 1024 } });
  await using daemon = await aDaemon(config);
  const event = { type: "t", data: "x".repeat(20 * 1024 * 1024) };
  assertEquals((await daemon.call("POST", "/v1/events", event, FLOODER)).status, 202);
});

Deno.test("flood: everything answered with 202 is stored; all other answers say when to try again", async () => {
  await using daemon = await aDaemon(aConfig({ auth }));
  const flood = Array.from(
    { length: 1_500 },
    () => daemon.call("POST", "/v1/events", EVENT, FLOODER),
  );
  for (let i = 0; i < 5; i++) {
    assertEquals((await daemon.call("POST", "/v1/events", EVENT, NEIGHBOUR)).status, 202);
  }
  for (const { status, body, headers } of await Promise.all(flood)) {
    if (status === 202) assert(typeof body.id === "string");
    else assertEquals([status, headers.get("retry-after")], [429, "1"]);
  }
});

Deno.test("bodies: too large, too deep, or not text is refused, and nothing is stored", async () => {
  await using daemon = await aDaemon(aConfig());
  const depth = (count: number) => "[".repeat(count) + "]".repeat(count);
  const bodies: [number, string | Uint8Array<ArrayBuffer>][] = [
    [413, `{"type":"t","data":"${"x".repeat(256 * 1024)}"}`],
    [413, " ".repeat(8 * 1024 * 1024)],
    [400, `{"type":"t","data":${depth(101)}}`],
    [400, `{"type":"t","data":${depth(100_000)}}`],
    [400, `{"type":"t","data":${"[".repeat(100_000)}`],
    [400, `{"type":"t","data":${'{"a":'.repeat(40_000)}`],
    [422, depth(100)],
    [400, depth(120_000)],
    [400, new Uint8Array([0xff, 0xfe, 0x00])],
    [400, new Uint8Array([...new TextEncoder().encode('{"type":"t","data":"'), 0xc3, 0x22, 0x7d])],
    [400, new Uint8Array(1_000)],
    [400, '\ufeff{"type":"t","data":1} x'],
    [422, `{"type":"t","type":"u","data":1}`],
    [422, `{"type":"t","data":1,"__proto__":{"id":"x"}}`],
    [422, `{"type":"t","data":1,"constructor":{"prototype":{"id":"x"}}}`],
    [422, `{"type":"t","data":1,"toString":1}`],
    [422, `{"type":{"__proto__":"t"},"data":1}`],
    [422, `{"__proto__":{"type":"t","data":1}}`],
    [422, `{"type":"t","data":1,"scope":{"__proto__":{"a":1}}}`],
    [422, `[${Array(1_001).fill('{"type":"t","data":1}').join(",")}]`],
    [422, `{"type":"t\\u0000","data":1}`],
    [422, `{"type":"t\\ud800","data":1}`],
    [422, `{"type":"t","data":1,"id":"${"x".repeat(257)}"}`],
  ];
  for (const [expected, body] of bodies) {
    const response = await fetch(`${daemon.url}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const { detail } = await response.json();
    const shown = typeof body === "string" ? body.slice(0, 60) : String(body.slice(0, 9));
    assertEquals(response.status, expected, `${shown}: ${detail}`);
  }
  assertEquals((await daemon.call("GET", "/v1/events")).body.items, []);
});

Deno.test("bodies: __proto__ and constructor are ordinary keys", async () => {
  await using receiver = startRawServer();
  await using daemon = await aDaemon(aConfig({
    subscriptions: [aSubscription({
      url: receiver.url,
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
    })],
  }));
  const data = `{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}},"toJSON":1}`;
  const scope = `{"__proto__":"a","constructor":"b","toString":"c"}`;
  const { body, status } = await daemon.call(
    "POST",
    "/v1/events",
    `{"type":"t","scope":${scope},"data":${data}}`,
  );
  assertEquals(status, 202);
  const [request] = await receiver.received(1);
  assertStringIncludes(request!.text(), `"data":${data}`);
  const response = await fetch(`${daemon.url}/v1/events/${body.id}`);
  assertStringIncludes(await response.text(), `"scope":${scope},"data":${data}`);
  assertEquals(({} as { admin?: boolean }).admin, undefined);
});

Deno.test("bodies: encoded ones are refused", async () => {
  await using daemon = await aDaemon(aConfig());
  for (const encoding of ["gzip", "br", "gzip, identity", "x"]) {
    const headers = { "content-encoding": encoding };
    assertEquals((await daemon.call("POST", "/v1/events", EVENT, headers)).status, 415, encoding);
  }
  const zipped = new Blob([JSON.stringify(EVENT)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  const response = await fetch(`${daemon.url}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: await new Response(zipped).bytes(),
  });
  assertEquals(response.status, 415);
  assertStringIncludes((await response.json()).detail, '"gzip" is not taken');
  const headers = { "content-encoding": "Identity" };
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, headers)).status, 202);
});

interface Malformed {
  readonly method: string;
  readonly path: string;
  /** Latin-1. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** A connection for consecutive requests; fetch would take longer than the daemon. */
async function asker(daemon: TestDaemon) {
  const { hostname, port } = new URL(daemon.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const buffer = new Uint8Array(128 * 1024);
  return {
    async ask(
      { method, path, headers, body }: Malformed,
    ): Promise<{ status: number; text: string }> {
      const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
      const all = { host: "127.0.0.1", ...headers, "content-length": String(bytes.length) };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const head = `${method} ${path} HTTP/1.1\r\n${lines}\r\n`;
      const request = new Uint8Array(head.length + bytes.length);
      request.set(Uint8Array.from(head, (character) => character.charCodeAt(0)));
      request.set(bytes, head.length);
      for (let at = 0; at < request.length;) at += await connection.write(request.subarray(at));
      let answer = "";
      for (;;) {
        const end = answer.indexOf("\r\n\r\n") + 4;
        const length = Number(/content-length: (\d+)/.exec(answer)?.[1] ?? NaN);
        if (end >= 4 && answer.length >= end + length) {
          return { status: Number(answer.slice(9, 12)), text: answer.slice(end) };
        }
        const count = await connection.read(buffer);
        if (count === null) throw new Error(`the daemon closed the connection: ${head}`);
        for (const byte of buffer.subarray(0, count)) answer += String.fromCharCode(byte);
      }
    },
    [Symbol.dispose]: () => connection.close(),
  };
}

/** Malformed requests. */
function malformed(): fc.Arbitrary<Malformed> {
  const json = { "content-type": "application/json" };
  const post = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = json,
  ) => ({
    path: "/v1/events",
    method: "POST",
    headers,
    body,
  });
  const event =
    `{"id":"e1","type":"t","timestamp":"2024-01-01T00:00:00Z","scope":{"a":1},"data":{}}`;
  const noEvent = anyJsonText().filter((text) => !/"type"/.test(text));
  const wrong = anyJsonText().filter((text) => !/^\s*"/.test(text));
  const word = anyText({ maxLength: 20 }).map((text) =>
    encodeURIComponent(
      text.toWellFormed(),
    )
  );
  const latin = fc.string({
    unit: fc.integer({ min: 0x21, max: 0xff }).map((code) =>
      code === 0x7f ? "x" : String.fromCharCode(code)
    ),
  });
  return fc.oneof(
    fc.nat(event.length - 1).map((length) => post(event.slice(0, length))),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => post(new Uint8Array([...bytes, 0xff]))),
    noEvent.map((text) => post(text)),
    noEvent.map((text) => post(text, { "content-type": "application/cloudevents+json" })),
    wrong.map((text) => post(`{"type":${text},"data":1}`)),
    wrong.map((text) => post(`{"type":"t","id":${text},"data":1}`)),
    wrong.map((text) => post(`{"type":"t","timestamp":${text},"data":1}`)),
    noEvent.filter((text) => !text.trim().startsWith("{")).map((text) =>
      post(`{"type":"t","scope":${text},"data":1}`)
    ),
    noEvent.map((text) => post(`{"type":"t","data":1,"more":${text}}`)),
    noEvent.map((text) => post(`[{"type":"t","data":1},${text}]`)),
    latin.map((text) => post(event, { "content-type": `text/${text}` })),
    latin.map((text) => post(event, { ...json, "idempotency-key": `é${text}` })),
    word.map((text) => ({ method: "GET", path: `/v1/deliveries/x${text}`, headers: {}, body: "" })),
    word.map((text) => ({ method: "GET", path: `/v1/events/x${text}`, headers: {}, body: "" })),
    word.map((text) => ({
      method: "GET",
      path: `/v1/deliveries?state=x${text}`,
      headers: {},
      body: "",
    })),
    word.map((text) => ({
      method: "GET",
      path: `/v1/deliveries?cursor=x${text}`,
      headers: {},
      body: "",
    })),
    word.map((text) => ({
      method: "GET",
      path: `/v1/events?since=x${text}`,
      headers: {},
      body: "",
    })),
    word.map((text) => ({ method: "GET", path: `/v1/x${text}?${text}`, headers: {}, body: "" })),
    word.map((text) => ({ method: "PUT", path: `/v1/events?${text}`, headers: {}, body: "" })),
    noEvent.map((body) => ({ method: "POST", path: "/v1/match", headers: json, body })),
    noEvent.map((body) => ({ method: "POST", path: "/v1/replays", headers: json, body })),
    word.map((text) => ({
      method: "POST",
      path: `/v1/subscriptions/x${text}/test`,
      headers: {},
      body: "",
    })),
    word.map((text) => ({
      method: "POST",
      path: `/v1/deliveries/x${text}/retry`,
      headers: {},
      body: "",
    })),
  );
}

Deno.test("malformed requests: ten thousand of them get a 4xx each, and leave nothing behind", async () => {
  await using daemon = await aDaemon(aConfig({ subscriptions: [aSubscription()] }));
  using stack = new DisposableStack();
  const askers = await Promise.all(Array.from({ length: 10 }, () => asker(daemon)));
  for (const one of askers) stack.use(one);
  const batch = (numRuns: number) =>
    fc.assert(
      fc.asyncProperty(
        fc.array(malformed(), { minLength: 50, maxLength: 50 }),
        async (requests) => {
          await Promise.all(askers.map(async ({ ask }, index) => {
            for (const request of requests.slice(5 * index, 5 * index + 5)) {
              const { status, text } = await ask(request);
              const what = `${JSON.stringify(request)}: ${status} ${text}`;
              assert(status >= 400 && status < 500 && text.includes(`"status":${status}`), what);
            }
          }));
        },
      ),
      { numRuns, endOnFailure: true },
    );
  await batch(20);
  const beforeMiB = usedMiB();
  await batch(180);
  const grownMiB = usedMiB() - beforeMiB;
  assert(grownMiB < 4, `grew by ${grownMiB} MiB`);
  assertEquals((await daemon.call("GET", "/v1/events")).body.items, []);
});

Deno.test("malformed requests: anything but HTTP is disconnected", async () => {
  await using daemon = await aDaemon(aConfig());
  const host = "Host: 127.0.0.1\r\n";
  const refused = [
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0".repeat(100),
    `GET /v1/events HTTP/1.1\r\n${host}Host: evil.example\r\n\r\n`,
    `POST /v1/events HTTP/1.1\r\n${host}Content-Length: -3\r\n\r\n`,
    `POST /v1/events HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    `POST /v1/events HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `GET /v1/events HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`,
    `GET /v1/events HTTP/1.1\r\n${host}${"X: y\r\n".repeat(2_000)}\r\n`,
    `GET /v1/events HTTP/1.1\r\n${host}X: ${"y".repeat(1_000_000)}\r\n\r\n`,
    `GET /${"y".repeat(100_000)} HTTP/1.1\r\n${host}\r\n`,
  ];
  for (const text of refused) {
    await using connection = await connect(daemon);
    await connection.send(text);
    assert((await connection.answer("\r\n\r\n")).startsWith("HTTP/1.1 400 "), text.slice(0, 80));
    await connection.ended;
  }
});

Deno.test("request headers: no text from a publisher starts a new line", async () => {
  await using receiver = startRawServer();
  const standard = BUILT_IN.get("standard")!;
  await using daemon = await aDaemon(aConfig({
    subscriptions: [aSubscription({
      url: receiver.url,
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      profile: {
        ...standard,
        headers: [["X-Type", "is {type}"], ["X-Ids", "{id}; {uuid}; {timestamp}"]],
        signature: {
          header: "X-Signature",
          algorithm: "sha256",
          encoding: "hex",
          over: "{type}{id}{body}",
          value: "{type} {id} {signature}",
        },
      },
    })],
  }));
  const attempts = [
    "\r\nX-Evil: 1",
    "\nX-Evil: 1",
    "\rX-Evil: 1",
    "\u2028X-Evil:1",
    "\u0085X-Evil:1",
  ];
  const encoded = ["%0d%0aX-Evil:1", "\\r\\nX-Evil:1", "ü\u010d\u010aX-Evil:1", "嘊嘍X-Evil:1"];
  let accepted = 0;
  for (const text of [...attempts, ...encoded]) {
    for (const name of ["type", "id"]) {
      const event = { ...EVENT, [name]: `a${text}`, scope: { s: text }, metadata: text };
      const { status, body } = await daemon.call("POST", "/v1/events", event);
      assert(status === 202 || status === 422, JSON.stringify(body));
      if (status === 202) accepted++;
    }
  }
  assert(accepted >= 2 * encoded.length);
  for (const { head } of await receiver.received(accepted)) {
    const lines = head.trimEnd().split("\r\n").slice(1);
    assert(lines.every((line) => /^[A-Za-z-]+: [\x20-\x7e]*$/.test(line)), head);
    assert(!lines.some((line) => line.startsWith("X-Evil")), head);
  }
});

Deno.test("a malicious page: a foreign Host or Origin is refused on every path", async () => {
  await using daemon = await aDaemon(aConfig());
  const { port } = new URL(daemon.url);
  const own = `127.0.0.1:${port}`;
  const foreign: [name: string, headers: string][] = [
    ["a rebound name", `Host: evil.example:${port}\r\n`],
    ["a name that begins well", `Host: 127.0.0.1.evil.example:${port}\r\n`],
    ["a name that ends well", `Host: evil-localhost:${port}\r\n`],
    ["a user before it", `Host: evil@127.0.0.1:${port}\r\n`],
    ["another address", `Host: 192.168.1.7:${port}\r\n`],
    ["no host at all", "Host:\r\n"],
    ["a foreign page", `Host: ${own}\r\nOrigin: https://evil.example\r\n`],
    ["a page of another port", `Host: ${own}\r\nOrigin: http://127.0.0.1:1\r\n`],
    ["a page without an origin", `Host: ${own}\r\nOrigin: null\r\n`],
    ["a page of a local name", `Host: ${own}\r\nOrigin: http://localhost.evil.example\r\n`],
    ["an extension", `Host: ${own}\r\nOrigin: chrome-extension://abc\r\n`],
  ];
  const calls = ["POST /v1/events", "GET /v1/subscriptions", "GET /v1/stream", "GET /metrics"]
    .concat(["POST /-/reload", "GET /", "GET /openapi.json", "GET /-/ready"]);
  for (const [name, headers] of foreign) {
    for (const call of calls) {
      await using connection = await connect(daemon);
      await connection.send(`${call} HTTP/1.1\r\n${headers}Content-Length: 0\r\n\r\n`);
      const answer = await connection.answer("\r\n\r\n");
      assert(answer.startsWith("HTTP/1.1 403 "), `${call} by ${name}: ${answer}`);
      assert(!/access-control/i.test(answer), answer);
    }
  }
});

Deno.test("a malicious page: CORS preflights are not allowed", async () => {
  await using daemon = await aDaemon(aConfig());
  const { status, headers } = await daemon.call("OPTIONS", "/v1/events", undefined, {
    "origin": "https://evil.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
  });
  assertEquals(status, 403);
  assertEquals([...headers.keys()].filter((name) => name.startsWith("access-control")), []);
});

Deno.test("tokens: an almost correct one is refused like any other", async () => {
  await using daemon = await aDaemon(aConfig({ auth }));
  const right = "the-token-of-the-neighbour";
  const wrong = ["", " ", "x", right.slice(0, -1), `${right}x`, right.toUpperCase(), `${right} x`]
    .map((token) => `Bearer ${token}`)
    .concat([`Basic ${btoa(`neighbour:${right}`)}`, right, `Bearer, ${right}`, "Bearer"]);
  const answers = await Promise.all(
    wrong.map((authorization) => daemon.call("POST", "/v1/events", EVENT, { authorization })),
  );
  assertEquals(new Set(answers.map(({ status }) => status)), new Set([401]));
  assert(!answers.some(({ body }) => JSON.stringify(body).includes("the-token")));
  assertEquals((await daemon.call("POST", "/v1/events", EVENT, NEIGHBOUR)).status, 202);
});

Deno.test("tokens: are compared by their digests, in constant time", async () => {
  // Constant time can't be measured reliably, so check in the source where a token's text is used.
  const text = await Deno.readTextFile("src/http/access.ts");
  assertEquals(text.match(/\.reveal\(\)/g)?.length, 1);
  assertStringIncludes(text, "digest(token.reveal())");
  assert(
    !/(===|!==|==|!=|\.equals\().*(token|digest)/i.test(text.replaceAll("token === undefined", "")),
  );
});
