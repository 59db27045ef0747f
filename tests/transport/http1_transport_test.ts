import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { isSuccess, type Outcome } from "../../src/domain/attempt.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import type { OutgoingRequest } from "../../src/transport/transport.ts";
import { http1Transport, type Resolver } from "../../src/transport/http1_transport.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type Replies, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { makeCertificates } from "./certificates.ts";

const LOOPBACK = ["127.0.0.0/8"];
const bytes = (text: string) => new TextEncoder().encode(text);
const never = () => new Promise<never>(() => {});

interface Setup {
  clock?: Clock;
  resolve?: Resolver;
  ca?: string[];
  maxIdle?: number;
  maxOpen?: number;
}

/** A transport for one test, and requests on it that may go to loopback. */
function aTransport({ clock = new FakeClock(), resolve, ca, maxIdle, maxOpen }: Setup = {}) {
  const transport = http1Transport({
    clock,
    ...(resolve && { resolve }),
    ...(ca && { tls: { ca } }),
    ...(maxIdle && { maxIdle }),
    ...(maxOpen && { maxOpen }),
  });
  return {
    transport,
    send: (request: Partial<OutgoingRequest> & { url: string }) =>
      transport.send({
        headers: [["Content-Type", "application/json"]],
        body: bytes("{}"),
        deadlineMs: 30_000,
        allowNetworks: LOOPBACK,
        pool: "a-subscription",
        ...request,
      }),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

/** What one POST to a server with these replies comes to. */
async function outcomeOf(replies: Replies): Promise<Outcome> {
  await using server = startRawServer(replies);
  await using it = aTransport();
  return await it.send({ url: server.url });
}

function failure(outcome: Outcome): { kind: string; message: string } {
  assert(outcome.kind === "failed", `answered: ${JSON.stringify(outcome)}`);
  return outcome.error;
}

function answer(outcome: Outcome) {
  assert(outcome.kind === "answered", `failed: ${JSON.stringify(outcome)}`);
  return outcome;
}

Deno.test("transport: an answer comes back with its status, headers, body and peer", async () => {
  const outcome = answer(
    await outcomeOf({
      status: 201,
      headers: [["X-Mixed-Case", "one"], ["X-Two", "2"]],
      body: "yes",
    }),
  );
  assertEquals(outcome.status, 201);
  assertEquals(outcome.headers.slice(0, 2), [["X-Mixed-Case", "one"], ["X-Two", "2"]]);
  assertEquals(new TextDecoder().decode(outcome.body), "yes");
  assertEquals(outcome.truncated, false);
  assertEquals(outcome.remoteAddress, "127.0.0.1");
});

Deno.test("transport: headers go out in their order and spelling, and nothing is made up", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  await it.send({
    url: `${server.url}hooks/a%20b?q=1&r`,
    headers: [["Content-Type", "application/json"], ["webhook-id", "1"], [
      "X-BookingScheduler-Signature",
      "s",
    ]],
    body: bytes("grüße"),
  });
  const [request] = await server.received(1);
  assertMatch(request!.head, /^POST \/hooks\/a%20b\?q=1&r HTTP\/1\.1\r\n/);
  assertEquals(
    request!.headers.filter(([name]) => !/^(host|connection|content-length)$/i.test(name)),
    [["Content-Type", "application/json"], ["webhook-id", "1"], [
      "X-BookingScheduler-Signature",
      "s",
    ]],
  );
  assertEquals(request!.header("host"), `127.0.0.1:${server.port}`);
  assertEquals(request!.text(), "grüße");
});

Deno.test("transport: a second request takes the connection of the first", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  for (let i = 0; i < 3; i++) await it.send({ url: server.url });
  assertEquals(server.connectionCount, 1);
});

Deno.test("transport: a request goes to its own URL, wherever its pool's last one went", async () => {
  await using one = startRawServer();
  await using other = startRawServer();
  await using it = aTransport();
  await it.send({ url: `${one.url}first` });
  await it.send({ url: `${one.url}second` });
  await it.send({ url: `${other.url}third` });
  const received = [...await one.received(2), ...await other.received(1)];
  assertEquals(received.map(({ head }) => head.split(" ")[1]), ["/first", "/second", "/third"]);
});

Deno.test("transport: connections are not shared between pools", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  await it.send({ url: server.url, pool: "one" });
  await it.send({ url: server.url, pool: "two" });
  assertEquals(server.connectionCount, 2);
});

Deno.test("transport: a connection is not used beyond its age", async () => {
  const clock = new FakeClock();
  await using server = startRawServer();
  await using it = aTransport({ clock });
  await it.send({ url: server.url });
  clock.advance(60_001);
  await it.send({ url: server.url });
  assertEquals(server.connectionCount, 2);
});

Deno.test("transport: an idle connection is kept for some seconds", async () => {
  const clock = new FakeClock();
  await using server = startRawServer();
  await using it = aTransport({ clock });
  await it.send({ url: server.url });
  clock.advance(3_900);
  await it.send({ url: server.url });
  assertEquals(server.connectionCount, 1);
  clock.advance(5_000);
  await until(() => server.openCount === 0, "nobody needs it: it is closed");
});

Deno.test("transport: a receiver that keeps connections for less is not asked too late", async () => {
  const clock = new FakeClock();
  await using server = startRawServer({ headers: [["Keep-Alive", "timeout=3, max=100"]] });
  await using it = aTransport({ clock });
  await it.send({ url: server.url });
  clock.advance(1_900);
  await it.send({ url: server.url });
  assertEquals(server.connectionCount, 1);
  clock.advance(2_100);
  await it.send({ url: server.url });
  assertEquals(server.connectionCount, 2);
});

Deno.test("transport: so many idle connections are kept and no more", async () => {
  await using server = startRawServer();
  await using it = aTransport({ maxIdle: 2 });
  for (const pool of ["one", "two", "three"]) await it.send({ url: server.url, pool });
  await until(() => server.openCount === 2, "one too many is closed");
  for (const pool of ["one", "two"]) await it.send({ url: server.url, pool });
  assertEquals(server.connectionCount, 3);
  await it.send({ url: server.url, pool: "three" });
  assertEquals(server.connectionCount, 4);
});

Deno.test("transport: requests at once have a connection each, and the next ones use those", async () => {
  const both = Promise.withResolvers<void>();
  await using server = startRawServer((_request, index) => {
    if (index === 1) both.resolve();
    return { after: both.promise };
  });
  await using it = aTransport();
  for (let round = 0; round < 3; round++) {
    await Promise.all([it.send({ url: server.url }), it.send({ url: server.url })]);
  }
  assertEquals(server.connectionCount, 2);
});

Deno.test("transport: a connection is not kept where its answer leaves a doubt", async () => {
  const answers = {
    "Connection: close": "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0": "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "204 with a body to come": "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
    "304 in chunks": "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    "more than the answer": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
  };
  for (const [name, raw] of Object.entries(answers)) {
    await using server = startRawServer({ raw: [raw] });
    await using it = aTransport();
    answer(await it.send({ url: server.url }));
    answer(await it.send({ url: server.url }));
    assertEquals(server.connectionCount, 2, name);
  }
  await using kept = startRawServer({
    raw: ["HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"],
  });
  await using it = aTransport();
  for (let i = 0; i < 2; i++) answer(await it.send({ url: kept.url }));
  assertEquals(kept.connectionCount, 1, "HTTP/1.0 with keep-alive");
});

Deno.test("transport: a kept connection that breaks after a byte of the answer costs the attempt", async () => {
  await using server = startRawServer([{}, { raw: ["H"], close: true }, { status: 202 }]);
  await using it = aTransport();
  await it.send({ url: server.url });
  assertEquals(failure(await it.send({ url: server.url })).kind, "reset");
  assertEquals(server.requests.length, 2);
});

Deno.test("transport: a body of megabytes arrives whole, a header in Latin-1 byte for byte", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  for (const length of [0, 65_000, 65_536, 5_000_001]) {
    const body = Uint8Array.from({ length }, (_, i) => i % 251);
    answer(await it.send({ url: server.url, body, headers: [["X-Name", "caf\xe9 \xff"]] }));
    const request = server.requests.at(-1)!;
    assertEquals(request.header("x-name"), "caf\xe9 \xff");
    assertEquals(request.header("content-length"), String(length));
    assert(request.body.every((byte, i) => byte === i % 251) && request.body.length === length);
  }
  assertEquals(server.connectionCount, 1);
});

Deno.test("transport: what would end the head or steer the connection is never written", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  const wrong = [["X", "a\r\nY: b"], ["X", "a\0"], ["X", "☃"], ["X Y", "a"], ["", "a"], ["X:", "a"]]
    .concat([["Host", "a"], ["content-length", "0"], ["Transfer-Encoding", "chunked"]]);
  for (const header of wrong) {
    const headers = [header as [string, string]];
    await assertRejects(() => it.send({ url: server.url, headers }), TypeError);
  }
  assertEquals(server.connectionCount, 0);
});

for (const protocol of ["http", "https"]) {
  Deno.test(`transport: ${protocol}: a kept connection that is closed before it is read costs no attempt`, async () => {
    const { ca, valid } = await makeCertificates();
    const address = { hostname: "127.0.0.1", port: 0 };
    const listener = protocol === "https"
      ? Deno.listenTls({ ...address, ...valid })
      : Deno.listen(address);
    await using it = aTransport({ ca: [ca] });
    const url = `${protocol}://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`;
    const accepted: Deno.Conn[] = [];
    const serving = (async () => {
      for await (const connection of listener) {
        accepted.push(connection);
        await connection.read(new Uint8Array(1_000));
        await connection.write(bytes("HTTP/1.1 204 No Content\r\n\r\n"));
      }
    })();
    assertEquals(answer(await it.send({ url })).status, 204);
    // Closed here, and posted to in the same turn: it can't know yet.
    accepted[0]!.close();
    assertEquals(answer(await it.send({ url })).status, 204);
    accepted[1]!.close();
    listener.close();
    await serving;
  });

  Deno.test(`transport: ${protocol}: a kept connection that is closed after it was read is a reset`, async () => {
    const { ca, valid } = await makeCertificates();
    const tls = protocol === "https" ? { tls: valid } : {};
    await using server = startRawServer([{}, { drop: true }], tls);
    await using it = aTransport({ ca: [ca] });
    assertEquals(answer(await it.send({ url: server.url })).status, 200);
    assertEquals(failure(await it.send({ url: server.url })), {
      kind: "reset",
      message: "the receiver closed the connection without an answer",
    });
    assertEquals([server.requests.length, server.connectionCount], [2, 1]);
  });
}

Deno.test("transport: a fresh connection that is closed unanswered is a reset, tried once", async () => {
  await using server = startRawServer({ drop: true });
  await using it = aTransport();
  const error = failure(await it.send({ url: server.url }));
  assertEquals(error, {
    kind: "reset",
    message: "the receiver closed the connection without an answer",
  });
  assertEquals(server.requests.length, 1);
});

Deno.test("transport: a connection that is closed amid the answer is a reset", async () => {
  const head = await outcomeOf({ raw: ["HTTP/1.1 200 OK\r\nContent-"], close: true });
  assertEquals(failure(head).message, "the receiver closed the connection amid the response head");
  const body = await outcomeOf({
    raw: ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"],
    close: true,
  });
  assertEquals(failure(body).message, "the receiver closed the connection amid the response body");
  const chunk = await outcomeOf({
    raw: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"],
    close: true,
  });
  assertEquals(failure(chunk).kind, "reset");
});

Deno.test("transport: what had come of an answer that broke off is kept, and doesn't count", async () => {
  const head = "HTTP/1.1 201 Created\r\nX-Trace: 7\r\n";
  for (const framing of ["Content-Length: 9\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n"]) {
    const outcome = await outcomeOf({ raw: [head + framing + "half"], close: true });
    assertEquals(failure(outcome).kind, "reset");
    assert(outcome.kind === "failed" && outcome.response !== undefined);
    const { status, headers, body, truncated } = outcome.response;
    assertEquals([status, headers[0], truncated], [201, ["X-Trace", "7"], true]);
    assertEquals(new TextDecoder().decode(body), "half");
    assertEquals(isSuccess(outcome, [[200, 299]]), false);
  }
  const before = await outcomeOf({ raw: ["HTTP/1.1 201 Crea"], close: true });
  assertEquals(before.kind === "failed" && before.response, undefined);
});

Deno.test("transport: a broken frame amid the body keeps the status that came", async () => {
  const raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense\r\n";
  const outcome = await outcomeOf({ raw: [raw, never()] });
  assertEquals(failure(outcome).kind, "protocol");
  assertEquals(outcome.kind === "failed" && outcome.response?.status, 200);
});

Deno.test("transport: of an idle connection and a wanted one, where there is room for one, the idle goes", async () => {
  await using one = startRawServer();
  await using other = startRawServer();
  await using it = aTransport({ maxOpen: 1 });
  for (const { url } of [one, other, one]) {
    assertEquals(answer(await it.send({ url })).status, 200);
    await until(() => one.openCount + other.openCount === 1, "one connection is open");
  }
  assertEquals(it.transport.connections, { inUse: 0, idle: 1 });
});

Deno.test("transport: a receiver that never takes TLS up holds two connections, however often it is tried", async () => {
  const clock = new FakeClock();
  await using it = aTransport({ clock });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const accepted: Deno.Conn[] = [];
  const url = `https://127.0.0.1:${port}/`;
  for (let attempt = 0; attempt < 5; attempt++) {
    const sending = it.send({ url, pool: `pool-${attempt}` });
    if (attempt < 2) accepted.push(await listener.accept());
    await new Promise((resolve) => setTimeout(resolve));
    clock.advance(30_000);
    assertEquals(failure(await sending).kind, attempt < 2 ? "timeout" : "tls");
  }
  assertEquals(it.transport.connections, { inUse: 2, idle: 0 });
  // It closes them: the next attempt is let through.
  for (const connection of accepted) connection.close();
  await until(() => it.transport.connections.inUse === 0, "they have ended");
  const sending = it.send({ url });
  (await listener.accept()).close();
  assertEquals(failure(await sending).kind, "tls");
});

Deno.test("transport: the connection that has been idle for longest makes room", async () => {
  const servers = [startRawServer(), startRawServer(), startRawServer()];
  await using it = aTransport({ maxOpen: 2 });
  for (const i of [0, 1, 0, 2]) {
    assertEquals(answer(await it.send({ url: servers[i]!.url })).status, 200);
  }
  await until(() => servers[1]!.openCount === 0, "the second's is closed");
  assertEquals(servers.map(({ openCount }) => openCount), [1, 0, 1]);
  for (const server of servers) await server.close();
});

Deno.test("transport: a body that only the connection's end delimits is read to it", async () => {
  const outcome = answer(
    await outcomeOf({ raw: ["HTTP/1.1 200 OK\r\n\r\nto the end"], close: true }),
  );
  assertEquals(new TextDecoder().decode(outcome.body), "to the end");
});

Deno.test("transport: 64 KiB of a body are kept, and more is not waited for", async () => {
  const whole = answer(await outcomeOf({ body: new Uint8Array(65_536) }));
  assertEquals([whole.body.length, whole.truncated], [65_536, false]);
  const endless = answer(
    await outcomeOf({
      raw: ["HTTP/1.1 200 OK\r\n\r\n", new Uint8Array(65_537).fill(97), never()],
    }),
  );
  assertEquals([endless.status, endless.body.length, endless.truncated], [200, 65_536, true]);
});

Deno.test("transport: no redirect is followed", async () => {
  await using other = startRawServer();
  const outcome = answer(await outcomeOf({ status: 307, headers: [["Location", other.url]] }));
  assertEquals(outcome.status, 307);
  assertEquals(other.requests.length, 0);
});

Deno.test("transport: interim answers are passed over", async () => {
  const outcome = answer(
    await outcomeOf({
      raw: ["HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"],
    }),
  );
  assertEquals(outcome.status, 204);
});

Deno.test("transport: what is no HTTP is a protocol failure", async () => {
  for (const raw of ["SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 abc\r\n\r\n", "\u0000\u0001\u0002"]) {
    const error = failure(await outcomeOf({ raw: [raw, never()] }));
    assertEquals(error.kind, "protocol", raw);
    assertStringIncludes(error.message, "the answer is not valid HTTP");
  }
});

Deno.test("transport: an upgrade or a 101 is a protocol failure", async () => {
  const raw = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
  assertEquals(failure(await outcomeOf({ raw: [raw, never()] })).kind, "protocol");
});

Deno.test("transport: a response head has a limit", async () => {
  const headers = Array.from({ length: 1_000 }, (_, i) => [`X-${i}`, "a".repeat(64)] as const);
  assertEquals(failure(await outcomeOf({ headers })), {
    kind: "protocol",
    message: "the response head is larger than 32KiB",
  });
});

Deno.test("transport: a refused connection says who refused", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  await using it = aTransport();
  assertEquals(await it.send({ url: `http://127.0.0.1:${port}/` }), {
    kind: "failed",
    error: { kind: "connect", message: `connection refused by 127.0.0.1:${port}` },
    remoteAddress: "127.0.0.1",
  });
});

Deno.test("transport: after a dead address the next one is tried", async () => {
  await using server = startRawServer();
  await using it = aTransport({ resolve: () => Promise.resolve(["127.0.0.9", "127.0.0.1"]) });
  const outcome = answer(await it.send({ url: `http://api.example:${server.port}/` }));
  assertEquals(outcome.remoteAddress, "127.0.0.1");
  assertEquals(server.requests[0]!.header("host"), `api.example:${server.port}`);
});

Deno.test("transport: a name that does not exist", async () => {
  const resolve = () => Promise.reject(Object.assign(new Error("?"), { code: "ENOTFOUND" }));
  await using it = aTransport({ resolve });
  const error = failure(await it.send({ url: "https://api.example/" }));
  assertEquals(error, { kind: "dns", message: "no such host api.example" });
});

Deno.test("deadline: a resolver that does not answer", async () => {
  const clock = new FakeClock();
  await using it = aTransport({ clock, resolve: never });
  const sending = it.send({ url: "https://api.example/", deadlineMs: 5_000 });
  clock.advance(5_000);
  assertEquals(failure(await sending), {
    kind: "timeout",
    message: "the deadline of 5s passed while resolving api.example",
  });
});

Deno.test("deadline: a receiver that never takes the TLS handshake up", async () => {
  const clock = new FakeClock();
  await using it = aTransport({ clock });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const sending = it.send({ url: `https://127.0.0.1:${port}/` });
  using _connection = await listener.accept();
  await _connection.read(new Uint8Array(1)); // the first of the handshake has arrived
  clock.advance(30_000);
  assertEquals(failure(await sending), {
    kind: "timeout",
    message: `the deadline of 30s passed while setting up TLS with 127.0.0.1:${port}`,
  });
});

Deno.test("deadline: a head that does not come", async () => {
  const clock = new FakeClock();
  await using server = startRawServer({ hang: true });
  await using it = aTransport({ clock });
  const sending = it.send({ url: server.url });
  await server.received(1);
  clock.advance(29_999);
  clock.advance(1);
  assertEquals(await sending, {
    kind: "failed",
    error: {
      kind: "timeout",
      message: "the deadline of 30s passed while waiting for the response",
    },
    remoteAddress: "127.0.0.1",
  });
});

Deno.test("deadline: each request has its own, however many began with it", async () => {
  const clock = new FakeClock();
  await using server = startRawServer([{}, { hang: true }]);
  await using it = aTransport({ clock });
  await it.send({ url: server.url });
  const ended: string[] = [];
  const starting = async (name: string, deadlineMs: number) => {
    const { message } = failure(await it.send({ url: server.url, deadlineMs }));
    ended.push(`${name} ${clock.monotonicMs()} ${message.slice(0, 19)}`);
  };
  const first = starting("first", 30_000);
  clock.advance(1_000);
  const second = starting("second", 30_000);
  const short = starting("short", 5_000);
  await server.received(4);
  for (let i = 0; i < 31; i++) {
    clock.advance(1_000);
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve)); // one turn
  }
  await Promise.all([first, second, short]);
  assertEquals(ended, [
    "short 6000 the deadline of 5s ",
    "first 30000 the deadline of 30s",
    "second 31000 the deadline of 30s",
  ]);
});

Deno.test("deadline: a body that drips does not extend it", async () => {
  const clock = new FakeClock();
  await using it = aTransport({ clock });
  const drips = Array.from({ length: 50 }, () => "1\r\na\r\n");
  await using server = startRawServer({
    raw: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ...drips, never()],
  });
  const sending = it.send({ url: server.url });
  await server.received(1);
  for (let second = 0; second < 30; second++) {
    await Promise.resolve();
    clock.advance(1_000);
  }
  assertEquals(failure(await sending).kind, "timeout");
});

Deno.test("deadline: one that has passed closes the connection", async () => {
  const clock = new FakeClock();
  await using server = startRawServer({ hang: true });
  await using it = aTransport({ clock });
  const sending = it.send({ url: server.url });
  await server.received(1);
  clock.advance(30_000);
  await sending;
  await until(() => server.openCount === 0);
});

Deno.test("close(): breaks off what is under way and refuses what comes after", async () => {
  await using server = startRawServer({ hang: true });
  await using it = aTransport();
  const sending = it.send({ url: server.url });
  await server.received(1);
  await it.transport.close();
  const broken = { kind: "reset", message: "broken off by shutdown" };
  assertEquals(failure(await sending), broken);
  assertEquals(failure(await it.send({ url: server.url })), broken);
});

Deno.test("close(): closes idle connections", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  await it.send({ url: server.url });
  await it.transport.close();
  await until(() => server.openCount === 0);
});

Deno.test("guard: no spelling of a forbidden address is connected to", async () => {
  await using server = startRawServer();
  await using it = aTransport({ resolve: () => Promise.reject(new Error("nothing to resolve")) });
  const hosts = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]"];
  const mapped = ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::7f00:1]", "127.0.0.1."];
  const names = ["localhost", "localhost.", "api.localhost", "8.8.8.8@127.0.0.1"];
  for (const host of [...hosts, ...mapped, ...names]) {
    const url = `http://${host}:${server.port}/`;
    assertEquals(failure(await it.send({ url, allowNetworks: [] })).kind, "blocked", host);
  }
  assertEquals(server.connectionCount, 0);
});

Deno.test("guard: one forbidden address among the resolved ones blocks them all", async () => {
  await using server = startRawServer();
  const resolve = () => Promise.resolve(["93.184.216.34", "127.0.0.1"]);
  await using it = aTransport({ resolve });
  const url = `http://api.example:${server.port}/`;
  assertEquals(await it.send({ url, allowNetworks: [] }), {
    kind: "failed",
    error: {
      kind: "blocked",
      message: "api.example resolves to 127.0.0.1, which is no public address: nothing was sent; " +
        "allowNetworks can let it through",
    },
    remoteAddress: "127.0.0.1",
  });
  assertEquals(server.connectionCount, 0);
});

Deno.test("guard: a name is resolved once, and the connection goes to what was checked", async () => {
  await using server = startRawServer();
  const answers = [["127.0.0.1"], ["127.0.0.2"]];
  let asked = 0;
  await using it = aTransport({ resolve: () => Promise.resolve(answers[asked++]!) });
  const url = `http://api.example:${server.port}/`;
  const outcome = answer(await it.send({ url, allowNetworks: ["127.0.0.1/32"] }));
  assertEquals([outcome.remoteAddress, asked], ["127.0.0.1", 1]);
});

Deno.test("guard: an open connection is not lent to a request that may not go there", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  await it.send({ url: server.url });
  assertEquals(failure(await it.send({ url: server.url, allowNetworks: [] })).kind, "blocked");
});

Deno.test("guard: localhost goes to the loopback address that is allowed", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  const outcome = answer(await it.send({ url: `http://localhost:${server.port}/` }));
  assertEquals(outcome.remoteAddress, "127.0.0.1");
});

Deno.test("tls: certificates are checked by name, date and authority", async (t) => {
  const { ca, valid, expired } = await makeCertificates();
  const resolve = () => Promise.resolve(["127.0.0.1"]);
  const clock = new FakeClock(Date.now());

  async function outcomeFor(host: string, tls: typeof valid, trusted: string[] | undefined) {
    await using server = startRawServer({ body: "secure" }, { tls });
    await using it = aTransport({ clock, resolve, ...(trusted && { ca: trusted }) });
    const outcome = await it.send({ url: `https://${host}:${server.port}/` });
    return { outcome, served: server.requests.length };
  }

  await t.step("a good one serves, by name and by address", async () => {
    for (const host of ["api.example", "127.0.0.1", "api.example."]) {
      const { outcome } = await outcomeFor(host, valid, [ca]);
      assertEquals(answer(outcome).remoteAddress, "127.0.0.1", host);
    }
  });

  const refusals = [
    {
      host: "other.example",
      tls: valid,
      trusted: [ca],
      message: "certificate is for api.example, 127.0.0.1, not other.example",
    },
    {
      host: "api.example",
      tls: expired,
      trusted: [ca],
      message: "certificate expired on 2024-01-01",
    },
    {
      host: "api.example",
      tls: valid,
      trusted: undefined,
      message: `certificate of api.example was issued by "Test-CA", which is not trusted here`,
    },
  ];
  for (const { message, host, tls, trusted } of refusals) {
    await t.step(message, async () => {
      const { outcome, served } = await outcomeFor(host, tls, trusted);
      assertEquals(failure(outcome), { kind: "tls", message });
      assertEquals(served, 0);
    });
  }

  await t.step("a large body and a large answer pass over TLS", async () => {
    const body = Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 251);
    await using server = startRawServer({ body: body.slice(0, 60_000) }, { tls: valid });
    await using it = aTransport({ clock, resolve, ca: [ca] });
    const outcome = answer(await it.send({ url: `https://api.example:${server.port}/`, body }));
    assertEquals([outcome.body.length, outcome.truncated], [60_000, false]);
    assertEquals(server.requests[0]!.body.length, 1_000_000);
  });

  await t.step("a connection over TLS is kept and used again", async () => {
    await using server = startRawServer({}, { tls: valid });
    await using it = aTransport({ clock, resolve, ca: [ca] });
    const url = `https://api.example:${server.port}/`;
    answer(await it.send({ url }));
    answer(await it.send({ url }));
    assertEquals(server.connectionCount, 1);
  });
});

Deno.test("tls: a receiver that speaks plain HTTP", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using it = aTransport();
  const sending = it.send({ url: `https://127.0.0.1:${port}/` });
  using connection = await listener.accept();
  await connection.write(bytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assertEquals(failure(await sending).kind, "tls");
});

/** A listener that takes no connection any more: what is sent to it vanishes, as into a firewall. */
async function aBlackHole() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = listener.addr as Deno.NetAddr;
  const filling = await Promise.all(
    [1, 2].map(() => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  return {
    port,
    [Symbol.dispose]() {
      for (const connection of filling) connection.close();
      listener.close();
    },
  };
}

Deno.test("deadline: a connection that is never taken", async () => {
  const clock = new FakeClock();
  using hole = await aBlackHole();
  await using it = aTransport({ clock });
  const sending = it.send({ url: `http://127.0.0.1:${hole.port}/` });
  await new Promise((resolve) => setTimeout(resolve)); // one turn: it connects
  clock.advance(30_000);
  assertEquals(failure(await sending), {
    kind: "timeout",
    message: `the deadline of 30s passed while connecting to 127.0.0.1:${hole.port}`,
  });
});

Deno.test("transport: an address that does not answer leaves time for the next", async () => {
  const clock = new FakeClock();
  const waits: number[] = [];
  const watched: Clock = {
    wall: () => clock.wall(),
    monotonicMs: () => clock.monotonicMs(),
    after(ms, callback) {
      waits.push(ms);
      return clock.after(ms, callback);
    },
  };
  using hole = await aBlackHole();
  await using server = startRawServer({}, { hostname: "127.0.0.2", port: hole.port });
  await using it = aTransport({
    clock: watched,
    resolve: () => Promise.resolve(["127.0.0.1", "127.0.0.2"]),
  });
  const sending = it.send({ url: `http://api.example:${hole.port}/` });
  await until(() => waits.includes(250), "the wait for the first address has begun");
  clock.advance(250);
  assertEquals(answer(await sending).remoteAddress, "127.0.0.2");
  assertEquals(server.requests.length, 1);
});
