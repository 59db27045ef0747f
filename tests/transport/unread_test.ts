import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { makeCertificates } from "./certificates.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const turn = () => new Promise((resolve) => setTimeout(resolve));

/**
 * A server that answers the first request of each connection. The second lies unread in its system, and
 * then it closes: the system answers with a reset.
 */
async function aServerThatLeavesRequestsUnread(protocol: string) {
  const { ca, valid } = await makeCertificates();
  const address = { hostname: "127.0.0.1", port: 0 };
  const listener = protocol === "https"
    ? Deno.listenTls({ ...address, ...valid })
    : Deno.listen(address);
  const accepted: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      accepted.push(connection);
      await connection.read(new Uint8Array(100_000));
      await connection.write(bytes("HTTP/1.1 204 No Content\r\n\r\n"));
    }
  })();
  return {
    ca,
    url: `${protocol}://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`,
    accepted,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      for (const connection of accepted) {
        try {
          connection.close();
        } catch {
          // The test has closed it.
        }
      }
    },
  };
}

function aTransport(ca: string) {
  const transport = http1Transport({ clock: systemClock, tls: { ca: [ca] } });
  return {
    send: (url: string, body = bytes("{}"), deadlineMs = 30_000) =>
      transport.send({
        url,
        headers: [],
        body,
        deadlineMs,
        allowNetworks: ["127.0.0.0/8"],
        pool: "a-subscription",
      }),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

function statusOf(outcome: Outcome): number {
  assert(outcome.kind === "answered", JSON.stringify(outcome));
  return outcome.status;
}

for (const protocol of ["http", "https"]) {
  for (
    const [size, body] of [["small", bytes("{}")], ["large", new Uint8Array(300_000)]] as const
  ) {
    // Deno's TLS reads what is left before it closes: that is no reset.
    if (protocol === "https" && size === "small") continue;
    Deno.test(`unread: ${protocol}: a reset with a ${size} request unread on a kept connection costs no attempt`, async () => {
      await using server = await aServerThatLeavesRequestsUnread(protocol);
      await using it = aTransport(server.ca);
      assertEquals(statusOf(await it.send(server.url)), 204);
      const sending = it.send(server.url, body);
      for (let i = 0; i < 10; i++) await turn(); // it is written, and nobody reads it
      server.accepted[0]!.close();
      assertEquals(statusOf(await sending), 204);
      assertEquals(server.accepted.length, 2);
    });
  }
}

Deno.test("unread: the fresh connection's reset is final", async () => {
  await using server = await aServerThatLeavesRequestsUnread("http");
  await using it = aTransport(server.ca);
  assertEquals(statusOf(await it.send(server.url)), 204);
  const listener = Deno.listen({ hostname: "127.0.0.2", port: Number(new URL(server.url).port) });
  const resetting = (async () => {
    for await (const connection of listener) {
      // Closed with the request unread.
      for (let i = 0; i < 10; i++) await turn();
      connection.close();
    }
  })();
  const outcome = await it.send(server.url.replace("127.0.0.1", "127.0.0.2"));
  assert(outcome.kind === "failed");
  assertEquals(outcome.error, {
    kind: "reset",
    message: "the receiver closed the connection without an answer",
  });
  listener.close();
  await resetting;
});

Deno.test("unread: what was read and then closed unanswered has failed, even on a kept connection", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let reads = 0;
  const serving = (async () => {
    for await (const connection of listener) {
      for (const answer of ["HTTP/1.1 204 No Content\r\n\r\n", ""]) {
        await connection.read(new Uint8Array(100_000));
        reads++;
        await connection.write(bytes(answer));
      }
      connection.close();
    }
  })();
  await using it = aTransport((await makeCertificates()).ca);
  const url = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`;
  assertEquals(statusOf(await it.send(url)), 204);
  const outcome = await it.send(url);
  assertEquals([outcome.kind, reads], ["failed", 2]);
  listener.close();
  await serving;
});
