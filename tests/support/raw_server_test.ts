import { assertEquals } from "@std/assert";
import { startRawServer } from "./raw_server.ts";

Deno.test("raw server: shows requests as they were on the wire, on each connection", async () => {
  await using server = startRawServer([{ status: 503 }, { body: "fine" }]);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const one = "POST /a?b HTTP/1.1\r\nHoSt: x\r\nX-CamelCase:  v \r\nContent-Length: 3\r\n\r\n\x01é";
  const two =
    "POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n";
  await connection.write(new TextEncoder().encode(one + two));
  const answer = await new Response(connection.readable).text();
  assertEquals(
    answer,
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" +
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
  );
  const [first, second] = await server.received(2);
  assertEquals(first!.headers, [["HoSt", "x"], ["X-CamelCase", "v"], ["Content-Length", "3"]]);
  assertEquals([first!.method, first!.target, first!.text()], ["POST", "/a?b", "\x01é"]);
  assertEquals([second!.text(), second!.connection], ["hi!", 1]);
});

Deno.test("raw server: hanging and gated answers end with the server", async () => {
  const never = new Promise<void>(() => {});
  const server = startRawServer([{ hang: true }, { after: never }, {
    bodyAfter: never,
    body: "x",
  }]);
  const peers = [];
  for (const count of [1, 2, 3]) {
    const peer = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await peer.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await server.received(count);
    peers.push(peer);
  }
  await server.close();
  for (const peer of peers) peer.close();
  assertEquals(server.openCount, 0);
});

Deno.test("raw server: can drop a request, and close after an incomplete answer", async () => {
  await using server = startRawServer([
    { drop: true },
    {
      raw: ["HTTP/1.1 200 OK\r\nContent-Le", Promise.resolve(), "ngth: 99\r\n\r\nshort"],
      close: true,
    },
  ]);
  const answers = [];
  for (let i = 0; i < 2; i++) {
    const peer = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await peer.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    answers.push(await new Response(peer.readable).text());
  }
  assertEquals(answers, ["", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"]);
});
