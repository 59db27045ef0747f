/** Resources that strangers can use up in a daemon in its own process: descriptors and memory. */
import { assert, assertEquals } from "@std/assert";
import { freePort, kill, serve } from "../support/processes.ts";
import { until } from "../support/until.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

interface House {
  readonly port: number;
  readonly pid: number;
  readonly hasEnded: () => boolean;
  connect(): Promise<Deno.TcpConn>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function aHouse({ openFiles, auth }: { openFiles?: number; auth?: boolean }): Promise<House> {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  const operators = [{ name: "ada", token: { env: "ADA" } }];
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}` },
      ...(auth && { auth: { operators } }),
    }),
  );
  const process = await serve(folder, port, { ADA: "the-token-of-ada" }, openFiles);
  let hasEnded = false;
  process.status.then(() => hasEnded = true);
  const open: Deno.TcpConn[] = [];
  return {
    port,
    pid: process.pid,
    hasEnded: () => hasEnded,
    async connect() {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      open.push(connection);
      return connection;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of open) connection.close();
      await kill(process);
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Posts on a new connection, and returns the status. */
async function post({ port }: House): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(EVENT),
  });
  await response.body?.cancel();
  return response.status;
}

for (const openFiles of [64, 128, 256]) {
  Deno.test(`descriptors: with ${openFiles} of them, 400 silent connections stop nobody's events`, async () => {
    await using house = await aHouse({ openFiles });
    for (let index = 0; index < 400; index++) await house.connect();
    for (let index = 0; index < 10; index++) assertEquals(await post(house), 202);
    assert(!house.hasEnded());
  });
}

/** A process's resident memory in MiB, from `ps`. */
async function residentMiB(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", `${pid}`] })
    .output();
  return Number(new TextDecoder().decode(stdout)) / 1024;
}

const HEAD = "Host: 127.0.0.1\r\n";

/** Frames of HTTP/2 (RFC 9113, section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length << 8 | type);
  bytes[4] = flags;
  new DataView(bytes.buffer).setUint32(5, stream);
  bytes.set(payload, 9);
  return bytes;
}

/** `GET /openapi.json` on this many streams with closed windows. */
function closedWindows(streams: number): Uint8Array {
  const text = (value: string) => new TextEncoder().encode(value);
  const literal = (value: string) => [value.length, ...text(value)];
  // SETTINGS_INITIAL_WINDOW_SIZE (4) is 0.
  const settings = frame(4, 0, 0, new Uint8Array([0, 4, 0, 0, 0, 0]));
  const request = new Uint8Array([
    0x82, // :method GET
    0x86, // :scheme http
    ...[0x04, ...literal("/openapi.json")], // :path
    ...[0x01, ...literal("127.0.0.1")], // :authority
  ]);
  const frames = Array.from({ length: streams }, (_, at) => frame(1, 5, 2 * at + 1, request));
  return concat([text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings, ...frames]);
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

interface Attack {
  readonly name: string;
  readonly connections: number;
  readonly sends: () => Uint8Array;
}

const ATTACKS: readonly Attack[] = [
  {
    name: "HTTP/2 streams whose windows are closed",
    connections: 100,
    sends: () => closedWindows(100),
  },
  {
    name: "sign-in forms of which half has come",
    connections: 200,
    sends: () =>
      latin(
        `POST /dashboard/sign-in HTTP/1.1\r\n${HEAD}Content-Length: 524288\r\n\r\n${
          "x".repeat(500_000)
        }`,
      ),
  },
  {
    name: "events of which half has come, by nobody",
    connections: 150,
    sends: () =>
      latin(
        `POST /v1/events HTTP/1.1\r\n${HEAD}Content-Type: application/json\r\n` +
          `Content-Length: 262144\r\n\r\n${"x".repeat(200_000)}`,
      ),
  },
  {
    name: "events in chunks of one byte, by nobody",
    connections: 100,
    sends: () =>
      latin(
        `POST /v1/events HTTP/1.1\r\n${HEAD}Content-Type: application/json\r\n` +
          `Transfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(200_000)}`,
      ),
  },
  {
    name: "sign-in forms in chunks of one byte",
    connections: 100,
    sends: () =>
      latin(
        `POST /dashboard/sign-in HTTP/1.1\r\n${HEAD}` +
          "Content-Type: application/x-www-form-urlencoded\r\n" +
          `Transfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(200_000)}`,
      ),
  },
  {
    name: "answers that nobody reads",
    connections: 60,
    sends: () => latin(`GET /openapi.json HTTP/1.1\r\n${HEAD}\r\n`.repeat(100)),
  },
  {
    name: "heads that never end",
    connections: 500,
    sends: () => latin(`GET / HTTP/1.1\r\n${HEAD}X: ${"x".repeat(8_000)}`),
  },
];

for (const { name, connections, sends } of ATTACKS) {
  Deno.test(`memory: ${name} take a little, and nobody's events wait`, async () => {
    await using house = await aHouse({ auth: true });
    const beforeMiB = await residentMiB(house.pid);
    const bytes = sends();
    let writing = 0;
    for (let index = 0; index < connections; index++) {
      const connection = await house.connect();
      writing++;
      void write(connection, bytes).finally(() => writing--);
    }
    // Until the daemon reads no more; the rest stays here.
    let seen = -1;
    await until(async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return seen === (seen = writing);
    }, "the daemon has taken what it takes");
    assertEquals(await post(house), 401);
    const grownMiB = await residentMiB(house.pid) - beforeMiB;
    assert(grownMiB < 300, `${grownMiB} MiB more`);
  });
}

async function write(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  } catch {
    // Closed by the daemon or by the end of the test.
  }
}
