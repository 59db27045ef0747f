import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { problem } from "../../src/http/problem.ts";
import {
  type Accepted,
  type Server,
  type ServerPorts,
  startServer,
} from "../../src/server/server.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

/** The HTTP server by itself, on real sockets. */

interface Started {
  readonly clock: FakeClock;
  readonly port: number;
  connect(): Promise<Visitor>;
  [Symbol.asyncDispose](): Promise<void>;
}

function start(
  handle: ServerPorts["handle"],
  { maxConnections = 100, listener: given, listen }: {
    maxConnections?: number;
    listener?: Deno.TcpListener;
    listen?: ServerPorts["listen"];
  } = {},
): Started & { readonly acceptErrors: unknown[] } {
  const clock = new FakeClock();
  const listener = given ?? Deno.listen({ hostname: "127.0.0.1", port: 0 });
  if (listen && !given) listener.close();
  const acceptErrors: unknown[] = [];
  const server: Server = startServer({
    clock,
    ownHost: `127.0.0.1:${listener.addr.port}`,
    listen: listen ?? (() => listener),
    handle,
    refuse: ({ status, message }) => problem({ status, title: "Refused", detail: message }),
    maxConnections,
    onAcceptFailed: (error) => acceptErrors.push(error),
  });
  const visitors: Visitor[] = [];
  return {
    clock,
    acceptErrors,
    port: listener.addr.port,
    async connect() {
      const visitor = new Visitor(
        await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
      );
      visitors.push(visitor);
      return visitor;
    },
    async [Symbol.asyncDispose]() {
      let closed = false;
      const closing = server.close(0).then(() => closed = true);
      await until(() => {
        clock.advance(1_000);
        return closed;
      }, "the server has closed");
      await closing;
      for (const visitor of visitors) await visitor.close();
    },
  };
}

class Visitor {
  text = "";
  hasEnded = false;
  readonly #connection: Deno.TcpConn;
  readonly #reading: Promise<void>;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.#reading = this.#read().catch(() => {}).finally(() => this.hasEnded = true);
  }

  async send(text: string): Promise<void> {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  async saw(part: string): Promise<string> {
    await until(() => this.text.includes(part), `an answer with ${part}; there is ${this.text}`);
    return this.text;
  }

  async ended(): Promise<void> {
    await until(() => this.hasEnded, "the server has closed the connection");
  }

  async close(): Promise<void> {
    try {
      this.#connection.close();
    } catch {
      // It is closed.
    }
    await this.#reading;
  }

  async #read(): Promise<void> {
    const piece = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await this.#connection.read(piece);
      if (count === null) return;
      for (const byte of piece.subarray(0, count)) this.text += String.fromCharCode(byte);
    }
  }
}

const echo: ServerPorts["handle"] = async (request) => {
  const bytes = await request.bytes();
  return Response.json({ method: request.method, url: request.url, bytes: bytes.length });
};

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

Deno.test("server: requests on one connection are answered in their order, also if sent at once", async () => {
  await using server = start(echo);
  const visitor = await server.connect();
  const chunks = "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
  await visitor.send(
    get("/1") + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
      `POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}\r\n` + get("/4"),
  );
  const text = await visitor.saw("http://a/4");
  const bodies = [...text.matchAll(/\{.*?\}/g)].map(([json]) => JSON.parse(json));
  assertEquals(bodies.map(({ url, bytes }) => [url, bytes]), [
    ["http://a/1", 0],
    ["http://a/2", 3],
    ["http://a/3", 5],
    ["http://a/4", 0],
  ]);
});

Deno.test("server: a request is read however it is cut into pieces", async () => {
  await using server = start(echo);
  const visitor = await server.connect();
  const text =
    "\r\nPOST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (const character of text) {
    await visitor.send(character);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertStringIncludes(await visitor.saw("bytes"), '"bytes":5');
});

Deno.test("server: a body that is broken off, or no body at all, ends the connection", async () => {
  let failure: unknown;
  await using server = start(async (request) => {
    try {
      await request.bytes();
    } catch (error) {
      failure = error;
    }
    return new Response("{}", { headers: { "content-type": "application/json" } });
  });
  for (
    const chunks of [
      "zz\r\n",
      "3\r\nabcd\r\n",
      "-1\r\n",
      " 3\r\nabc",
      "3\nabc",
      `${"1".repeat(20)}\r\n`,
    ]
  ) {
    failure = undefined;
    const visitor = await server.connect();
    await visitor.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    await visitor.send("\r\n".padEnd(5_000, "x"));
    await visitor.saw("connection: close");
    assert(failure instanceof Error, chunks);
    await visitor.close();
  }
});

Deno.test("server: a body that nobody reads is read over, and the next request is found", async () => {
  await using server = start((request) => Response.json({ url: request.url }));
  const visitor = await server.connect();
  await visitor.send(`POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n`);
  await visitor.send("x".repeat(300_000) + get("/2"));
  await visitor.saw("http://a/2");
});

Deno.test("server: Expect: 100-continue is answered when the body is wanted, and not before", async () => {
  await using server = start((request) =>
    request.url.endsWith("/wanted") ? echo(request, undefined) : Response.json({ refused: true })
  );
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`;
  const wanted = await server.connect();
  await wanted.send(head("/wanted"));
  await wanted.saw("HTTP/1.1 100 Continue\r\n\r\n");
  await wanted.send("abc");
  await wanted.saw('"bytes":3');
  const refused = await server.connect();
  await refused.send(head("/refused"));
  const text = await refused.saw("refused");
  assert(!text.includes("100 Continue"));
  assertStringIncludes(text, "connection: close");
});

Deno.test("server: silence, half a head and idleness each have an end", async () => {
  await using server = start(echo);
  const [silent, half, idle] = [
    await server.connect(),
    await server.connect(),
    await server.connect(),
  ];
  await half.send("GET / HTTP/1.1\r\nX: ");
  await idle.send(get("/"));
  await idle.saw("bytes");
  await until(() => {
    server.clock.advance(1_000);
    return half.hasEnded;
  }, "half a head has ended");
  assertStringIncludes(half.text, "HTTP/1.1 408 ");
  server.clock.advance(31_000);
  await silent.ended();
  assertEquals(silent.text, "");
  await idle.send(get("/again"));
  await idle.saw("/again");
  server.clock.advance(182_000);
  await idle.ended();
});

Deno.test("server: whoever does not read an answer is closed, and pins little of it", async () => {
  let asked = 0;
  await using server = start(() => {
    const stream = new ReadableStream({
      pull(controller) {
        asked++;
        controller.enqueue(new Uint8Array(64 * 1024));
      },
    }, { highWaterMark: 0 });
    return new Response(stream);
  });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await connection.write(new TextEncoder().encode(get("/")));
  // What the system takes for the reader is sent, and no more is asked for.
  let seen = -1, looks = 0;
  await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 25));
    looks = seen === asked ? looks + 1 : 0;
    seen = asked;
    return looks >= 4 && asked > 0;
  }, "it waits for the reader");
  assert(asked < 400, `${asked} pieces were asked for`);
  server.clock.advance(32_000);
  const ended = connection.readable.pipeTo(new WritableStream()).catch(() => {});
  await ended;
});

Deno.test("server: a stream ends where its reader goes away without a word", async () => {
  let cancelled = false;
  await using server = start(() =>
    new Response(new ReadableStream({ cancel: () => void (cancelled = true) }), {
      headers: { "content-type": "text/event-stream" },
    })
  );
  const visitor = await server.connect();
  await visitor.send(get("/"));
  await visitor.saw("event-stream");
  await visitor.close();
  await until(() => cancelled, "the stream was cancelled");
});

Deno.test("server: when all places are taken, who waits for nothing goes first, and who works stays", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = start(async (request) => {
    if (request.url.endsWith("/slow")) await gate.promise;
    return Response.json({ url: request.url });
  }, { maxConnections: 8 });
  const busy = await server.connect();
  await busy.send(get("/slow"));
  const kept = await server.connect();
  await kept.send(get("/kept"));
  await kept.saw("/kept");
  const silent: Visitor[] = [];
  for (let index = 0; index < 30; index++) silent.push(await server.connect());
  await until(
    () => silent.filter(({ hasEnded }) => hasEnded).length >= 23,
    "silent ones have gone",
  );
  for (let index = 0; index < 20; index++) {
    const visitor = await server.connect();
    await visitor.send(get(`/${index}`));
    await visitor.saw(`/${index}"`);
    await visitor.close();
  }
  assert(!busy.hasEnded);
  gate.resolve();
  await busy.saw("/slow");
});

Deno.test("server: an accept that fails is tried again, by a new listener where the old one is broken", async () => {
  const real = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const failures = [new Error("Too many open files"), new Deno.errors.BadResource("gone")];
  let opened = 0;
  await using server = start(echo, {
    listener: real,
    listen() {
      opened++;
      return {
        accept: () => failures.length > 0 ? Promise.reject(failures.shift()) : real.accept(),
        close: () => real.close(),
      };
    },
  });
  await until(() => {
    server.clock.advance(100);
    return opened === 2;
  }, "it listens once more");
  const visitor = await server.connect();
  await visitor.send(get("/"));
  await visitor.saw("bytes");
  assertEquals(server.acceptErrors.length, 1, "it is told once a minute");
});

Deno.test("server: one that is broken off before it is accepted holds up nobody else", async () => {
  const real = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const gone = [new Deno.errors.NotConnected("gone"), new Deno.errors.ConnectionAborted("gone")];
  await using server = start(echo, {
    listener: real,
    listen: () => ({
      accept: () => gone.length > 0 ? Promise.reject(gone.shift()) : real.accept(),
      close: () => real.close(),
    }),
  });
  const visitor = await server.connect();
  await visitor.send(get("/"));
  await visitor.saw("bytes");
  assertEquals(server.acceptErrors, []);
});

Deno.test("server: HTTPS is told that this is HTTP", async () => {
  await using server = start(echo);
  const visitor = await server.connect();
  await visitor.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
  assertStringIncludes(await visitor.saw("HTTP/1.1 400"), "the port speaks HTTP");
  await visitor.ended();
});

Deno.test("server: one address from outside has half of the places at most", async () => {
  const closed = new Set<string>();
  const waiting: Deno.NetAddr[] = [];
  const knocking = Array.from({ length: 8 }, (_, index) => ({
    hostname: index === 0 ? "::ffff:198.51.100.9" : "203.0.113.7",
    port: 1_000 + index,
    transport: "tcp" as const,
  }));
  waiting.push(...knocking);
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const outside = {
    accept(): Promise<Accepted> {
      const remoteAddr = waiting.shift();
      if (!remoteAddr) return ended.promise;
      const gone = Promise.withResolvers<null>();
      return Promise.resolve({
        remoteAddr,
        read: () => gone.promise,
        write: (bytes) => Promise.resolve(bytes.length),
        closeWrite: () => Promise.resolve(),
        close() {
          closed.add(`${remoteAddr.hostname}:${remoteAddr.port}`);
          gone.resolve(null);
        },
      });
    },
    close: () => ended.reject(new Error("closed")),
  };
  await using server = start(echo, { maxConnections: 10, listen: () => outside });
  await until(() => closed.size === 2, "two of seven had to go");
  assertEquals([...closed], ["203.0.113.7:1001", "203.0.113.7:1002"]);
  assertEquals(server.acceptErrors, []);
});

Deno.test("server: HTTP/2 from the first byte is answered, and knows who asks", async () => {
  const peers: (string | undefined)[] = [];
  await using server = start((request, peer) => {
    peers.push(peer);
    return Response.json({ host: request.headers.get("host") });
  }, { maxConnections: 16 });
  const http = Deno.createHttpClient({ http1: false, http2: true });
  for (let index = 0; index < 3; index++) {
    const answer = await fetch(`http://127.0.0.1:${server.port}/`, { client: http });
    assertEquals(await answer.json(), { host: `127.0.0.1:${server.port}` });
  }
  http.close();
  assertEquals(new Set(peers), new Set(["127.0.0.1"]));
});

Deno.test("server: it closes although a request over HTTP/2 has no answer yet", async () => {
  const asked = Promise.withResolvers<void>();
  const never = Promise.withResolvers<Response>();
  const http = Deno.createHttpClient({ http1: false, http2: true });
  let failed: Promise<unknown>;
  {
    await using server = start(() => {
      asked.resolve();
      return never.promise;
    });
    failed = fetch(`http://127.0.0.1:${server.port}/`, { client: http }).catch((error) => error);
    await asked.promise;
  }
  assert(await failed instanceof Error);
  never.resolve(new Response());
  http.close();
});

Deno.test("server: a body that comes after a streamed answer is no part of the next request", async () => {
  await using server = start((request) =>
    request.url.endsWith("/stream")
      ? new Response(ReadableStream.from([new Uint8Array(1)]))
      : Response.json({ url: request.url })
  );
  const visitor = await server.connect();
  await visitor.send("GET /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  await visitor.saw("0\r\n\r\n");
  await visitor.send("hello");
  await visitor.send(get("/next"));
  await visitor.saw("http://a/next");
});

Deno.test("server: whoever says that no more requests come is still answered, by any text", async () => {
  for (const type of ["application/json", "text/plain; version=0.0.4", "text/css"]) {
    await using server = start(() =>
      new Response("all of it", { headers: { "content-type": type } })
    );
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await connection.write(new TextEncoder().encode(get("/")));
    await connection.closeWrite();
    assertStringIncludes(await new Response(connection.readable).text(), "all of it", type);
  }
});

Deno.test("server: a head that ends after its 408 is no request any more", async () => {
  const asked: string[] = [];
  await using server = start((request) => {
    asked.push(request.method);
    return Response.json({});
  });
  const visitor = await server.connect();
  await visitor.send("PUT / HTTP/1.1\r\nX: ");
  await until(() => {
    server.clock.advance(1_000);
    return visitor.text.includes("HTTP/1.1 408 ");
  }, "the head is late");
  // Where the place of what was skipped is read again, this comes to a head.
  await visitor.send(`late\r\n\r\n${"x".repeat(20)}`);
  for (let index = 0; index < 5; index++) {
    const other = await server.connect();
    await other.send(get("/"));
    await other.saw("{}");
  }
  server.clock.advance(7_000);
  await visitor.ended();
  assertEquals(asked, Array(5).fill("GET"));
});

Deno.test("server: whoever comes in the moment of closing is not waited for", async () => {
  const coming = Promise.withResolvers<Accepted>();
  let isClosed = false;
  const server = startServer({
    clock: new FakeClock(),
    ownHost: "a",
    listen: () => ({ accept: () => coming.promise, close: () => {} }),
    handle: () => Response.json({}),
    refuse: () => new Response(),
    maxConnections: 10,
    onAcceptFailed: () => {},
  });
  const closing = server.close(1_000);
  coming.resolve({
    remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
    read: () => new Promise(() => {}),
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close: () => void (isClosed = true),
  });
  await closing;
  assert(isClosed);
});

Deno.test("server: HTTP/1.0 is told that its connection goes on, and a stream ends with it", async () => {
  await using server = start((request) =>
    request.url.endsWith("/stream")
      ? new Response(ReadableStream.from([new Uint8Array(1)]))
      : Response.json({ url: request.url })
  );
  const ask = (path: string) => `GET ${path} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n`;
  const visitor = await server.connect();
  await visitor.send(ask("/one"));
  assertStringIncludes(await visitor.saw("/one"), "connection: keep-alive\r\n");
  await visitor.send(ask("/stream"));
  await visitor.saw("connection: close\r\n");
  await visitor.ended();
});

Deno.test("server: whoever sends thousands of requests, or chunks, at once takes turns with others", async () => {
  const chunks = "1\r\na\r\n2;x\r\nbc\r\n".repeat(20_000);
  const texts = [
    get("/").repeat(2_000),
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}` +
    `11\r\n${"x".repeat(17)}\r\n0\r\nTrailer: t\r\n\r\n`,
  ];
  for (const text of texts) {
    const coming = [new TextEncoder().encode(text)];
    const wires = [Promise.withResolvers<Accepted>(), Promise.withResolvers<Accepted>()];
    const accepting = [...wires];
    const ended = Promise.withResolvers<void>();
    const read: number[] = [];
    const server = startServer({
      clock: new FakeClock(),
      ownHost: "a",
      listen: () => ({
        accept: () => accepting.shift()!.promise,
        close: () => wires[1]!.reject(new Error("closed")),
      }),
      handle: async (request) => {
        read.push((await request.bytes()).length);
        return Response.json({});
      },
      refuse: () => new Response(),
      maxConnections: 10,
      onAcceptFailed: () => {},
    });
    let turns = 0;
    const counting = setInterval(() => turns++, 0);
    // All that it reads and writes is done at once.
    wires[0]!.resolve({
      remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
      read(into) {
        const [rest] = coming;
        if (!rest?.length) return Promise.resolve(null);
        const count = Math.min(rest.length, into.length);
        into.set(rest.subarray(0, count));
        coming[0] = rest.subarray(count);
        return Promise.resolve(count);
      },
      write: (bytes) => Promise.resolve(bytes.length),
      closeWrite: () => Promise.resolve(),
      close: () => ended.resolve(),
    });
    await ended.promise;
    clearInterval(counting);
    await server.close(0);
    assertEquals(read, text === texts[0] ? Array(2_000).fill(0) : [60_017]);
    assert(turns > 5, `others had ${turns} turns`);
  }
});
