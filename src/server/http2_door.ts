import type { Clock } from "../runtime/clock.ts";
import { type Answer, toResponse } from "./answer.ts";
import type { Wire } from "./byte_source.ts";

/** What requests over HTTP/2 are answered by. */
export interface Http2Ports {
  readonly clock: Clock;
  readonly maxConnections: number;
  readonly handle: (request: Request, peer: string | undefined) => Answer | Promise<Answer>;
}

/** What one connection may have been answered and not have read. */
const MAX_UNREAD_BYTES = 128 * 1024;
const ANSWER_BYTES = 16 * 1024;
/** A connection on which nothing moves for so long is closed. */
const STILL_MS = 120_000;
const PIECE_BYTES = 16 * 1024;

/**
 * HTTP/2 without TLS, for those who know beforehand that it is spoken here. Few do, so their bytes
 * take a way round: to a `Deno.serve` on loopback, which answers nobody but the connections made here.
 */
export class Http2Door {
  readonly #ports: Http2Ports;
  /** By the port that our own connection to the server inside has; who asked last is last. */
  readonly #visits = new Map<number, Visit>();
  readonly #closing = new AbortController();
  #inside: Deno.HttpServer<Deno.NetAddr> | undefined;

  constructor(ports: Http2Ports) {
    this.#ports = ports;
  }

  /** Until one of both ends closes; the caller closes `wire`. */
  async serve(
    wire: Wire,
    { begun, peer }: { begun: readonly Uint8Array[]; peer: string | undefined },
  ): Promise<void> {
    const { addr } = this.#inside ??= this.#open();
    const inner = await Deno.connect({ hostname: addr.hostname, port: addr.port });
    const { port } = inner.localAddr as Deno.NetAddr;
    const end = () => {
      closeQuietly(inner);
      closeQuietly(wire);
    };
    // Who has not been answered for the longest time makes room.
    const [first] = this.#visits.values();
    if (this.#visits.size >= this.#ports.maxConnections) first?.end();
    const visit = new Visit(peer, end);
    this.#visits.set(port, visit);
    let isMoving = true;
    let cancelTimer = () => {};
    const watch = () => {
      if (!isMoving) return end();
      isMoving = false;
      cancelTimer = this.#ports.clock.after(STILL_MS, watch);
    };
    watch();
    const moved = () => isMoving = true;
    try {
      for (const piece of begun) await writeAll(inner, piece);
      await Promise.all([
        pump(wire, inner, moved).finally(end),
        pump(inner, wire, (bytes) => {
          moved();
          visit.read(bytes);
        }).finally(end),
      ]);
    } finally {
      cancelTimer();
      end();
      visit.leave();
      this.#visits.delete(port);
    }
  }

  async close(): Promise<void> {
    const inside = this.#inside;
    this.#inside = undefined;
    if (!inside) return;
    // Not shutdown(), which waits for whoever reads no answer.
    this.#closing.abort();
    await inside.finished;
  }

  #open(): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, signal: this.#closing.signal, onListen() {} },
      (request, { remoteAddr }) => this.#answer(request, remoteAddr as Deno.NetAddr),
    );
    // Where it has ended, the next one opens another.
    const forget = () => {
      if (this.#inside === server) this.#inside = undefined;
    };
    server.finished.then(forget, forget);
    return server;
  }

  async #answer(request: Request, { hostname, port }: Deno.NetAddr): Promise<Response> {
    // From another address of loopback, another program can have the same port.
    const visit = hostname === "127.0.0.1" ? this.#visits.get(port) : undefined;
    if (!visit) return new Response(null, { status: 403 });
    this.#visits.delete(port);
    this.#visits.set(port, visit);
    if (!await visit.hasRoom()) return new Response(null, { status: 503 });
    // Until it is known, an answer counts as so much.
    visit.owes(ANSWER_BYTES);
    const response = toResponse(await this.#ports.handle(withHost(request), visit.peer));
    const isStream = response.headers.get("content-type") === "text/event-stream";
    const body = response.body === null || isStream ? response.body : await response.bytes();
    visit.owes((body instanceof Uint8Array ? body.length : 0) - ANSWER_BYTES);
    const { status, headers } = response;
    return new Response(body, { status, headers });
  }
}

/** One connection, and how much of its answers it has not read. */
class Visit {
  readonly peer: string | undefined;
  readonly end: () => void;
  #unreadBytes = 0;
  #hasEnded = false;
  #read = Promise.withResolvers<void>();

  constructor(peer: string | undefined, end: () => void) {
    this.peer = peer;
    this.end = end;
  }

  owes(bytes: number): void {
    this.#change(bytes);
  }

  read(bytes: number): void {
    this.#change(-bytes);
  }

  #change(bytes: number): void {
    this.#unreadBytes = Math.max(0, this.#unreadBytes + bytes);
    if (this.#unreadBytes > MAX_UNREAD_BYTES) return;
    this.#read.resolve();
    this.#read = Promise.withResolvers();
  }

  /** It has ended: nobody will read what waits for room. */
  leave(): void {
    this.#hasEnded = true;
    this.#change(-Infinity);
  }

  /** Waits until so much has been read that another answer may be made; false where none will be. */
  async hasRoom(): Promise<boolean> {
    while (!this.#hasEnded && this.#unreadBytes > MAX_UNREAD_BYTES) await this.#read.promise;
    return !this.#hasEnded;
  }
}

/** HTTP/2 names the host beside the headers. */
function withHost(request: Request): Request {
  if (request.headers.has("host")) return request;
  const headers = new Headers(request.headers);
  headers.set("host", URL.parse(request.url)?.host ?? "");
  const { method, body } = request;
  // Not made of the request, which would touch its signal.
  const options: RequestInit & { duplex: "half" } = { method, headers, body, duplex: "half" };
  return new Request(request.url, options);
}

async function pump(from: Wire, to: Wire, onMoved: (bytes: number) => void): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  try {
    for (;;) {
      const count = await from.read(piece);
      if (count === null) return;
      await writeAll(to, piece.subarray(0, count));
      onMoved(count);
    }
  } catch {
    // One of both has gone.
  }
}

async function writeAll(wire: Wire, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await wire.write(bytes.subarray(at));
}

function closeQuietly(wire: Wire): void {
  try {
    wire.close();
  } catch {
    // It is closed.
  }
}
