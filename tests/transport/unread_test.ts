import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { makeCertificates } from "./certificates.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const hasPython = await isThere("python3");
const without = hasPython ? "" : " (left out: there is no python3)";
const SERVER = new URL("./unread_server.py", import.meta.url).pathname;

async function isThere(program: string): Promise<boolean> {
  try {
    const command = new Deno.Command(program, { args: ["-V"], stdout: "null", stderr: "null" });
    return (await command.output()).success;
  } catch {
    return false;
  }
}

/** A server that leaves requests unread; Deno's own says that it closes before it does. */
async function aServer(protocol: string, how: "once" | "always") {
  const folder = await Deno.makeTempDir();
  const { ca, valid } = await makeCertificates();
  await Deno.writeTextFile(`${folder}/cert`, valid.cert);
  await Deno.writeTextFile(`${folder}/key`, valid.key);
  const process = new Deno.Command("python3", {
    args: [SERVER, how, ...(protocol === "https" ? [`${folder}/cert`, `${folder}/key`] : [])],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number(await lineFrom(lines));
  return {
    ca,
    url: `${protocol}://127.0.0.1:${port}/`,
    /** Ends it; answers how many requests it has read. */
    async end(): Promise<number> {
      await process.stdin.close();
      const reads = Number(await lineFrom(lines));
      await lines.cancel();
      await process.status;
      await Deno.remove(folder, { recursive: true });
      return reads;
    },
  };
}

/** A line of Python's comes in one piece or in two. */
async function lineFrom(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  for (let line = "";;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the server ended: ${line}`);
    line += value;
    if (line.endsWith("\n")) return line.trim();
  }
}

function aTransport(ca: string) {
  const transport = http1Transport({ clock: systemClock, tls: { ca: [ca] } });
  return {
    send: (url: string, body = bytes("{}")) =>
      transport.send({
        url,
        headers: [],
        body,
        deadlineMs: 30_000,
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
  for (const size of [2, 20_000, 3_000_000]) {
    Deno.test({
      name:
        `unread: ${protocol}: a reset with ${size} bytes unread on a kept connection costs no attempt${without}`,
      ignore: !hasPython,
      async fn() {
        const server = await aServer(protocol, "once");
        await using it = aTransport(server.ca);
        const body = bytes(`{${" ".repeat(size - 2)}}`);
        assertEquals(statusOf(await it.send(server.url)), 204);
        assertEquals(statusOf(await it.send(server.url, body)), 204);
        assertEquals(await server.end(), 2);
      },
    });
  }
}

Deno.test({
  name: `unread: a fresh connection's reset is final${without}`,
  ignore: !hasPython,
  async fn() {
    const server = await aServer("http", "always");
    await using it = aTransport(server.ca);
    assertEquals(statusOf(await it.send(server.url)), 204);
    // Reset on the kept connection, and on the fresh one that it goes to.
    const outcome = await it.send(server.url);
    assert(outcome.kind === "failed");
    assertEquals(outcome.error, {
      kind: "reset",
      message: "the receiver closed the connection without an answer",
    });
    assertEquals(await server.end(), 1);
  },
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
