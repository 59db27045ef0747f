import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import { AddressOrder } from "../../src/transport/address_order.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type RawServer, type Replies, startRawServer } from "../support/raw_server.ts";
import { makeCertificates } from "./certificates.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve));

/** A transport for which every name has these addresses, on a clock that goes when told to. */
function aTransport(addresses: string[], { ca, maxOpen }: { ca?: string; maxOpen?: number } = {}) {
  const clock = new FakeClock();
  const lookups: string[] = [];
  const transport = http1Transport({
    clock,
    resolve: (name) => {
      lookups.push(name);
      return Promise.resolve(addresses);
    },
    ...(ca && { tls: { ca: [ca] } }),
    ...(maxOpen && { maxOpen }),
  });
  return {
    clock,
    lookups,
    send: (url: string) =>
      transport.send({
        url,
        headers: [],
        body: new TextEncoder().encode("{}"),
        deadlineMs: 30_000,
        allowNetworks: ["127.0.0.0/8"],
        pool: "a-subscription",
      }),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

function peerOf(outcome: Outcome): string | undefined {
  assertEquals(outcome.kind, "answered", JSON.stringify(outcome));
  return outcome.remoteAddress;
}

/** An address that takes no connection any more: what is sent to it vanishes, as into a firewall. */
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

/** Servers at 127.0.0.1, 127.0.0.2 and so on, on one port. */
function serversAt(...replies: Replies[]): { servers: RawServer[]; port: number } {
  const first = startRawServer(replies[0]);
  const { port } = first;
  const others = replies.slice(1).map((reply, i) =>
    startRawServer(reply, { hostname: `127.0.0.${i + 2}`, port })
  );
  return { servers: [first, ...others], port };
}

Deno.test("addresses in turn: a dead one delays the next by a quarter of a second", async () => {
  using hole = await aBlackHole();
  await using server = startRawServer({}, { hostname: "127.0.0.2", port: hole.port });
  await using it = aTransport(["127.0.0.1", "127.0.0.2"]);
  const sending = it.send(`http://api.example:${hole.port}/`);
  for (let i = 0; i < 5; i++) await turn();
  it.clock.advance(249);
  for (let i = 0; i < 5; i++) await turn();
  assertEquals(server.connectionCount, 0);
  it.clock.advance(1);
  assertEquals(peerOf(await sending), "127.0.0.2");
});

Deno.test("addresses in turn: without a descriptor to spare the dead one is given up after a while", async () => {
  using hole = await aBlackHole();
  await using _ = startRawServer({}, { hostname: "127.0.0.2", port: hole.port });
  await using it = aTransport(["127.0.0.1", "127.0.0.2"], { maxOpen: 1 });
  const sending = it.send(`http://api.example:${hole.port}/`);
  for (let i = 0; i < 5; i++) await turn();
  it.clock.advance(250);
  for (let i = 0; i < 5; i++) await turn();
  it.clock.advance(5_000);
  assertEquals(peerOf(await sending), "127.0.0.2");
});

Deno.test("addresses in turn: a handshake that fails moves on to the next", async () => {
  const { ca, valid, expired } = await makeCertificates();
  const broken = startRawServer({}, { tls: expired });
  await using _ = startRawServer({}, { tls: valid, hostname: "127.0.0.2", port: broken.port });
  await using it = aTransport(["127.0.0.1", "127.0.0.2"], { ca });
  assertEquals(peerOf(await it.send(`https://api.example:${broken.port}/`)), "127.0.0.2");
  await broken.close();
});

Deno.test("addresses in turn: a handshake that hangs has the next tried beside it", async () => {
  const { ca, valid } = await makeCertificates();
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  await using server = startRawServer({}, { tls: valid, hostname: "127.0.0.2", port });
  await using it = aTransport(["127.0.0.1", "127.0.0.2"], { ca });
  const sending = it.send(`https://api.example:${port}/`);
  using _ = await silent.accept();
  for (let i = 0; i < 5; i++) await turn();
  it.clock.advance(2_000);
  assertEquals(peerOf(await sending), "127.0.0.2");
  assertEquals(server.requests.length, 1);
});

Deno.test("addresses in turn: where all certificates are wrong it is a TLS failure", async () => {
  const { expired } = await makeCertificates();
  const one = startRawServer({}, { tls: expired });
  const two = startRawServer({}, { tls: expired, hostname: "127.0.0.2", port: one.port });
  await using it = aTransport(["127.0.0.1", "127.0.0.2"]);
  const outcome = await it.send(`https://api.example:${one.port}/`);
  assert(outcome.kind === "failed");
  assertEquals(outcome.error.kind, "tls");
  assertEquals(one.requests.length + two.requests.length, 0);
  await one.close();
  await two.close();
});

for (
  const [words, reply] of [
    ["breaks the connection off", { drop: true }],
    ["answers 503", { status: 503, close: true }],
  ] as const
) {
  Deno.test(`addresses in turn: after one that ${words} the next attempt starts at another`, async () => {
    const { servers, port } = serversAt(reply, { close: true });
    await using it = aTransport(["127.0.0.1", "127.0.0.2"]);
    const url = `http://api.example:${port}/`;
    assertEquals((await it.send(url)).remoteAddress, "127.0.0.1");
    for (let i = 0; i < 3; i++) assertEquals(peerOf(await it.send(url)), "127.0.0.2");
    assertEquals(servers.map(({ requests }) => requests.length), [1, 3]);
    for (const server of servers) await server.close();
  });
}

Deno.test("addresses in turn: the one that answered is tried first from then on", async () => {
  const { servers, port } = serversAt({ close: true }, { close: true });
  await servers[0]!.close();
  await using it = aTransport(["127.0.0.1", "127.0.0.2"]);
  const url = `http://api.example:${port}/`;
  assertEquals(peerOf(await it.send(url)), "127.0.0.2");
  const back = startRawServer({ close: true }, { port });
  assertEquals(peerOf(await it.send(url)), "127.0.0.2");
  await servers[1]!.close();
  await back.close();
});

Deno.test("addresses in turn: a receiver that closes its connections costs one lookup in ten seconds", async () => {
  await using server = startRawServer({ close: true });
  await using it = aTransport(["127.0.0.1"]);
  const url = `http://api.example:${server.port}/`;
  for (let i = 0; i < 100; i++) {
    peerOf(await it.send(url));
    it.clock.advance(200);
  }
  assertEquals([it.lookups.length, server.connectionCount], [2, 100]);
});

Deno.test("addresses in turn: a hundred at once, to a receiver that closes, share a lookup", async () => {
  await using server = startRawServer({ close: true });
  await using it = aTransport(["127.0.0.1"]);
  const url = `http://api.example:${server.port}/`;
  for (const outcome of await Promise.all(Array.from({ length: 100 }, () => it.send(url)))) {
    peerOf(outcome);
  }
  assertEquals(it.lookups.length, 1);
});

Deno.test("AddressOrder: the families take turns, as RFC 8305 has it", () => {
  const order = new AddressOrder();
  const mixed = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"];
  assertEquals(order.order("a", mixed), ["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"]);
  assertEquals(order.order("a", mixed.toReversed()), [
    "192.0.2.1",
    "2001:db8::3",
    "2001:db8::2",
    "2001:db8::1",
  ]);
});

Deno.test("AddressOrder: of those that failed, the one that did so first is tried first", () => {
  const order = new AddressOrder();
  for (const address of ["b", "a"]) order.report("h", address, { ok: false });
  assertEquals(order.order("h", ["a", "b", "c"]), ["c", "b", "a"]);
  order.report("h", "a", { ok: true });
  assertEquals(order.order("h", ["a", "b", "c"]), ["a", "c", "b"]);
  assertEquals(order.order("another", ["a", "b", "c"]), ["a", "b", "c"]);
});
