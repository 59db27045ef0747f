/**
 * An HTTP/1.1 server on a bare socket, for tests that must see a request as it was on the wire
 * (header names as spelled, every byte of the body) or answer in ways no HTTP library would.
 */
import type { Headers } from "../../src/domain/attempt.ts";

export interface RawServer {
  readonly port: number;
  /** `http://127.0.0.1:PORT/`, or `https:` with `tls`. */
  readonly url: string;
  /** Complete requests, in the order they arrived. */
  readonly requests: readonly RawRequest[];
  /** Connections accepted so far. */
  readonly connectionCount: number;
  /** Connections open now. */
  readonly openCount: number;
  /** Waits until this many requests have arrived, and returns all. */
  received(count: number): Promise<readonly RawRequest[]>;
  /** Closes the listener and every connection, and waits until they are closed. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** One request as it was on the wire. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  /** Request line and headers with their line breaks, byte for byte (Latin-1). */
  readonly head: string;
  /** In their original order and spelling. */
  readonly headers: Headers;
  /** The value of a header; the name is case-insensitive. */
  header(name: string): string | undefined;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body as UTF-8 text. */
  text(): string;
  /** The number of its connection, from 1. */
  readonly connection: number;
}

/** An answer. `{}` is `200 OK` without a body, on a connection that stays open. */
export interface Reply {
  readonly status?: number;
  /** `Content-Length` is added unless it or `Transfer-Encoding` is given. */
  readonly headers?: Headers;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Raw pieces to send instead of status, headers and body. Promises are awaited. */
  readonly raw?: readonly (string | Uint8Array<ArrayBuffer> | Promise<unknown>)[];
  /** Nothing is sent before this resolves. */
  readonly after?: Promise<unknown>;
  /** The head is sent at once, the body only when this resolves. */
  readonly bodyAfter?: Promise<unknown>;
  /** Milliseconds to wait before sending anything. */
  readonly delayMs?: number;
  /** Never answer; the connection stays open until the server or the peer closes it. */
  readonly hang?: boolean;
  /** Close the connection instead of answering. */
  readonly drop?: boolean;
  /** Close the connection after the answer, whatever its headers say. */
  readonly close?: boolean;
}

/** One reply for all requests, a list of replies (the last one repeats), or a function. */
export type Replies =
  | Reply
  | readonly Reply[]
  | ((request: RawRequest, index: number) => Reply | Promise<Reply>);

export function startRawServer(
  replies: Replies = {},
  options: { hostname?: string; tls?: { cert: string; key: string }; port?: number } = {},
): RawServer {
  const { hostname = "127.0.0.1", tls, port = 0 } = options;
  const listener = tls
    ? Deno.listenTls({ hostname, port, ...tls })
    : Deno.listen({ hostname, port });
  const requests: RawRequest[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const open = new Set<Deno.Conn>();
  const exchanges = new Set<Promise<void>>();
  const closing = new AbortController();
  let connectionCount = 0;

  function arrived(request: RawRequest): Reply | Promise<Reply> {
    const index = requests.push(request) - 1;
    for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
    if (typeof replies === "function") return replies(request, index);
    return isList(replies) ? replies[Math.min(index, replies.length - 1)] ?? {} : replies;
  }

  async function accept(): Promise<void> {
    for await (const connection of listener) {
      const number = ++connectionCount;
      open.add(connection);
      const exchange = converse(connection, { number, arrived, closing: closing.signal })
        .catch(ignoreBrokenConnection)
        .finally(() => {
          open.delete(connection);
          exchanges.delete(exchange);
          closeQuietly(connection);
        });
      exchanges.add(exchange);
    }
  }
  const accepting = accept().catch(ignoreBrokenConnection);

  async function close(): Promise<void> {
    if (!closing.signal.aborted) {
      closing.abort();
      listener.close();
    }
    for (const connection of open) closeQuietly(connection);
    await accepting;
    await Promise.all(exchanges);
  }

  const address = listener.addr as Deno.NetAddr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    port: address.port,
    url: `${tls ? "https" : "http"}://${host}:${address.port}/`,
    requests,
    get connectionCount() {
      return connectionCount;
    },
    get openCount() {
      return open.size;
    },
    async received(count) {
      if (requests.length < count) {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        waiting.push({ count, resolve });
        const giveUp = () => reject(new Error(`${requests.length} requests came, not ${count}`));
        const timer = setTimeout(giveUp, PATIENCE_MS);
        await promise.finally(() => clearTimeout(timer));
      }
      return requests;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A test that waits for what never comes fails, rather than hang the suite. */
const PATIENCE_MS = 60_000;

function isList(replies: Replies): replies is readonly Reply[] {
  return Array.isArray(replies);
}

/** Ignores errors of a connection that the peer or we have closed. */
function ignoreBrokenConnection(error: unknown): void {
  const expected = [
    Deno.errors.BadResource,
    Deno.errors.Interrupted,
    Deno.errors.ConnectionReset,
    Deno.errors.ConnectionAborted,
    Deno.errors.BrokenPipe,
    Deno.errors.NotConnected,
    Deno.errors.UnexpectedEof,
    Deno.errors.InvalidData, // a TLS handshake that the peer broke off
  ];
  if (!expected.some((kind) => error instanceof kind)) throw error;
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    ignoreBrokenConnection(error);
  }
}

interface Conversation {
  readonly number: number;
  readonly arrived: (request: RawRequest) => Reply | Promise<Reply>;
  readonly closing: AbortSignal;
}

async function converse(
  connection: Deno.Conn,
  { number, arrived, closing }: Conversation,
): Promise<void> {
  const source = new ByteSource(connection);
  while (true) {
    const request = await readRequest(source, number);
    if (request === undefined) return;
    const reply = await arrived(request);
    if (reply.drop) return;
    if (reply.hang) {
      await source.untilEnd();
      return;
    }
    await beforeClosing(closing, reply.after);
    if (reply.delayMs) await delay(reply.delayMs, closing);
    if (closing.aborted) return;
    await answer(connection, reply, closing);
    const asked = request.header("connection")?.toLowerCase() === "close";
    if (reply.close || asked) return;
  }
}

async function answer(connection: Deno.Conn, reply: Reply, closing: AbortSignal): Promise<void> {
  if (reply.raw) {
    for (const piece of reply.raw) {
      if (piece instanceof Promise) await beforeClosing(closing, piece);
      else await writeAll(connection, bytesOf(piece));
    }
    return;
  }
  const { status = 200, headers = [], body = "" } = reply;
  const bytes = bytesOf(body);
  const names = headers.map(([name]) => name.toLowerCase());
  const framed = names.includes("content-length") || names.includes("transfer-encoding");
  const length: Headers = framed ? [] : [["Content-Length", String(bytes.length)]];
  const lines = [...headers, ...length].map(([name, value]) => `${name}: ${value}\r\n`);
  const head = bytesOf(
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Status"}\r\n${lines.join("")}\r\n`,
  );
  if (reply.bodyAfter) {
    await writeAll(connection, head);
    await beforeClosing(closing, reply.bodyAfter);
    await writeAll(connection, bytes);
  } else {
    const whole = new Uint8Array(head.length + bytes.length);
    whole.set(head);
    whole.set(bytes, head.length);
    await writeAll(connection, whole);
  }
}

const REASONS: { readonly [status: number]: string } = {
  200: "OK",
  204: "No Content",
  301: "Moved Permanently",
  302: "Found",
  307: "Temporary Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  410: "Gone",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

function bytesOf(content: string | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Waits for a promise of the test, or until the server closes. */
async function beforeClosing(closing: AbortSignal, wait: Promise<unknown> | undefined) {
  if (wait === undefined || closing.aborted) return;
  const ended = Promise.withResolvers<void>();
  const onAbort = () => ended.resolve();
  closing.addEventListener("abort", onAbort);
  await Promise.race([wait, ended.promise]);
  closing.removeEventListener("abort", onAbort);
}

async function delay(ms: number, closing: AbortSignal): Promise<void> {
  const passed = Promise.withResolvers<void>();
  const timer = setTimeout(passed.resolve, ms);
  await beforeClosing(closing, passed.promise);
  clearTimeout(timer);
}

async function readRequest(
  source: ByteSource,
  connection: number,
): Promise<RawRequest | undefined> {
  const head = await source.through("\r\n\r\n");
  if (head === undefined) return undefined;
  const [requestLine, ...lines] = head.slice(0, -4).split("\r\n");
  const [method = "", target = ""] = requestLine!.split(" ");
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const header = (name: string) =>
    headers.find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1];
  const body = header("transfer-encoding")?.toLowerCase() === "chunked"
    ? await chunkedBody(source)
    : await source.exactly(Number(header("content-length") ?? 0));
  if (body === undefined) return undefined;
  const text = () => new TextDecoder().decode(body);
  return { method, target, head, headers, header, body, text, connection };
}

async function chunkedBody(source: ByteSource): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes: number[] = [];
  while (true) {
    const sizeLine = await source.through("\r\n");
    if (sizeLine === undefined) return undefined;
    const size = parseInt(sizeLine, 16);
    const chunk = await source.exactly(size);
    if (chunk === undefined || await source.through("\r\n") === undefined) return undefined;
    if (size === 0) return new Uint8Array(bytes);
    for (const byte of chunk) bytes.push(byte);
  }
}

/** Reads a connection's bytes by delimiter or by count; undefined if it ends before. */
class ByteSource {
  #kept = new Uint8Array(0);
  readonly #connection: Deno.Conn;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Reads up to and including the delimiter, as Latin-1 text. */
  async through(delimiter: string): Promise<string | undefined> {
    while (true) {
      const text = latin1(this.#kept);
      const at = text.indexOf(delimiter);
      if (at >= 0) return latin1(this.#take(at + delimiter.length));
      if (!await this.#more()) return undefined;
    }
  }

  async exactly(count: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    while (this.#kept.length < count) if (!await this.#more()) return undefined;
    return this.#take(count);
  }

  /** Resolves when the peer, or we, close the connection. */
  async untilEnd(): Promise<void> {
    while (await this.#more()) this.#kept = new Uint8Array(0);
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#kept.slice(0, count);
    this.#kept = this.#kept.slice(count);
    return taken;
  }

  async #more(): Promise<boolean> {
    const piece = new Uint8Array(64 * 1024);
    const count = await this.#connection.read(piece);
    if (count === null) return false;
    const joined = new Uint8Array(this.#kept.length + count);
    joined.set(this.#kept);
    joined.set(piece.subarray(0, count), this.#kept.length);
    this.#kept = joined;
    return true;
  }
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
