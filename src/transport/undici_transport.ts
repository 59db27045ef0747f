import type net from "node:net";
import { Client, type Dispatcher } from "undici";
import { type Headers, MAX_RESPONSE_BYTES, type Outcome } from "../domain/attempt.ts";
import { formatDuration } from "../domain/duration.ts";
import type { Clock } from "../runtime/clock.ts";
import { Failure } from "./failure.ts";
import { IncomingBytes, MAX_RESPONSE_HEAD_BYTES } from "./incoming_bytes.ts";
import { type OpenSocket, openSocket, type Resolver, systemResolver } from "./open_socket.ts";
import type { OutgoingRequest, Transport } from "./transport.ts";

export type { Resolver } from "./open_socket.ts";

/**
 * The transport over undici, one connection to a client: where a connection goes, how long it is
 * kept and who may use it is decided here; undici speaks HTTP/1.1 on it.
 */
export function undiciTransport(options: {
  clock: Clock;
  resolve?: Resolver;
  /** Certificates of authorities, in PEM, in place of the ones that come with the runtime. */
  tls?: { ca?: string[] };
}): Transport {
  return new UndiciTransport(options);
}

/** How long an idle connection is kept: 10 000 receivers must not be 10 000 sockets. */
const KEEP_ALIVE_MS = 4_000;
/** A connection older than this is not used again, so that a host that moves is followed. */
const MAX_AGE_MS = 60_000;

/** What a request has come to, for the words of a failure that ends it from outside. */
interface Progress {
  phase: string;
  remoteAddress?: string;
}

/** A request under way. */
interface Exchange {
  readonly request: OutgoingRequest;
  readonly url: URL;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly deadlineAtMs: number;
}

class UndiciTransport implements Transport {
  readonly #clock: Clock;
  readonly #resolve: Resolver;
  readonly #ca: string[] | undefined;
  readonly #underWay = new Map<AbortController, Progress>();
  readonly #idle = new IdleConnections();
  #closed = false;

  constructor(options: { clock: Clock; resolve?: Resolver; tls?: { ca?: string[] } }) {
    this.#clock = options.clock;
    this.#resolve = options.resolve ?? systemResolver;
    this.#ca = options.tls?.ca;
  }

  async send(request: OutgoingRequest): Promise<Outcome> {
    const url = URL.parse(request.url);
    if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
      return new Failure("protocol", "the URL is neither https nor http").outcome();
    }
    if (this.#closed) return brokenOff().outcome();
    const progress: Progress = { phase: "starting" };
    const controller = new AbortController();
    const { signal } = controller;
    const deadlineAtMs = this.#clock.monotonicMs() + request.deadlineMs;
    const stopTimer = this.#clock.after(
      request.deadlineMs,
      () => controller.abort(timedOut(request.deadlineMs, progress)),
    );
    this.#underWay.set(controller, progress);
    try {
      return await this.#exchange({ request, url, progress, signal, deadlineAtMs });
    } catch (error) {
      if (error instanceof Failure) return error.outcome();
      throw error;
    } finally {
      stopTimer();
      this.#underWay.delete(controller);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const [controller, { remoteAddress }] of this.#underWay) {
      controller.abort(brokenOff(remoteAddress));
    }
    await this.#idle.destroy();
  }

  async #exchange(exchange: Exchange): Promise<Outcome> {
    const key = connectionKey(exchange);
    const openedAfterMs = this.#clock.monotonicMs() - MAX_AGE_MS;
    const reused = this.#idle.take(key, openedAfterMs);
    if (reused) {
      const outcome = await this.#post(reused, key, exchange);
      // Closed while it was idle: the receiver has seen nothing, so this is the same attempt.
      if (outcome !== "closedBeforeAnswer") return outcome;
    }
    const outcome = await this.#post(await this.#open(exchange), key, exchange);
    if (outcome !== "closedBeforeAnswer") return outcome;
    const { remoteAddress } = exchange.progress;
    throw new Failure(
      "reset",
      "the receiver closed the connection without an answer",
      remoteAddress,
    );
  }

  async #open({ url, request, progress, signal, deadlineAtMs }: Exchange): Promise<Connection> {
    const opened = await openSocket({
      url,
      allowNetworks: request.allowNetworks,
      signal,
      deadlineAtMs,
      entering(phase, remoteAddress) {
        progress.phase = phase;
        if (remoteAddress !== undefined) progress.remoteAddress = remoteAddress;
      },
    }, { clock: this.#clock, resolve: this.#resolve, ...(this.#ca && { ca: this.#ca }) });
    return new Connection(url.origin, opened, this.#clock.monotonicMs());
  }

  async #post(connection: Connection, key: string, exchange: Exchange) {
    exchange.progress.phase = "waiting for the response";
    exchange.progress.remoteAddress = connection.remoteAddress;
    const outcome = await post(connection, exchange);
    const reusable = typeof outcome !== "string" && outcome.kind === "answered" &&
      !outcome.truncated && connection.isAtRest && !this.#closed;
    if (reusable) this.#idle.put(key, connection);
    else connection.destroy();
    return outcome;
  }
}

function timedOut(deadlineMs: number, { phase, remoteAddress }: Progress): Failure {
  const message = `the deadline of ${formatDuration(deadlineMs)} passed while ${phase}`;
  return new Failure("timeout", message, remoteAddress);
}

function brokenOff(remoteAddress?: string): Failure {
  return new Failure("reset", "broken off by shutdown", remoteAddress);
}

/** Connections are shared by what may share them: networks are named, for a reload may close one. */
function connectionKey({ request, url }: Exchange): string {
  return JSON.stringify([request.pool, url.origin, request.allowNetworks]);
}

/** One open connection with undici's client on it. */
class Connection {
  readonly client: Client;
  readonly incoming: IncomingBytes;
  readonly remoteAddress: string;
  readonly openedAtMs: number;
  readonly #socket: net.Socket;
  #open = true;
  /** Told when the connection has gone, by whoever keeps it meanwhile. */
  onClose: () => void = () => {};

  constructor(origin: string, { socket, address }: OpenSocket, openedAtMs: number) {
    this.#socket = socket;
    this.incoming = new IncomingBytes(socket);
    this.remoteAddress = address;
    this.openedAtMs = openedAtMs;
    let given = false;
    this.client = new Client(origin, {
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
      // The deadline is ours and total.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect(_options, callback) {
        // In a later turn: undici resumes its queue only for a connection that comes after asking.
        queueMicrotask(() => {
          if (given || socket.destroyed) return callback(new ConnectionGone(), null);
          given = true;
          callback(null, socket);
        });
      },
    });
    this.client.on("disconnect", () => {
      this.#open = false;
      this.onClose();
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Open, and with nothing left to send: an answer may come before its request has gone out. */
  get isAtRest(): boolean {
    return this.#open && this.#socket.writableLength === 0;
  }

  /** Whether it ended with an error, as by RST, rather than by the receiver's leave. */
  get wasBroken(): boolean {
    return this.#socket.errored !== null;
  }

  async destroy(): Promise<void> {
    this.#open = false;
    await this.client.destroy();
  }
}

/** undici asks for a second connection only when the first has closed. */
class ConnectionGone extends Error {
  readonly code = "ECONNRESET";
}

/** Connections that nobody uses at the moment; each leaves by itself when it closes. */
class IdleConnections {
  readonly #byKey = new Map<string, Connection[]>();

  /** The connection used last, unless it was opened before `openedAfterMs`. */
  take(key: string, openedAfterMs: number): Connection | undefined {
    for (;;) {
      const connection = this.#byKey.get(key)?.at(-1);
      if (connection === undefined) return undefined;
      this.#remove(key, connection);
      if (connection.isOpen && connection.openedAtMs >= openedAfterMs) return connection;
      connection.destroy();
    }
  }

  put(key: string, connection: Connection): void {
    const connections = this.#byKey.get(key);
    if (connections) connections.push(connection);
    else this.#byKey.set(key, [connection]);
    connection.onClose = () => {
      this.#remove(key, connection);
      connection.destroy();
    };
  }

  async destroy(): Promise<void> {
    const connections = [...this.#byKey.values()].flat();
    this.#byKey.clear();
    await Promise.all(connections.map((connection) => connection.destroy()));
  }

  #remove(key: string, connection: Connection): void {
    connection.onClose = () => {};
    const left = (this.#byKey.get(key) ?? []).filter((other) => other !== connection);
    if (left.length > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }
}

/** Posts on a connection; never rejects for what the receiver does, but for the signal. */
function post(
  connection: Connection,
  { request, url, progress, signal }: Exchange,
): Promise<Outcome | "closedBeforeAnswer"> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Outcome | "closedBeforeAnswer">();
  const { remoteAddress } = connection;
  const onAbort = () => {
    reject(signal.reason);
    connection.destroy();
  };
  signal.addEventListener("abort", onAbort, { once: true });

  const { incoming } = connection;
  let head: { status: number; headers: Headers } | undefined;
  const kept = new KeptBytes(MAX_RESPONSE_BYTES);
  const answer = (truncated: boolean) =>
    resolve({ kind: "answered", ...head!, body: kept.bytes(), truncated, remoteAddress });
  connection.client.dispatch({
    origin: url.origin,
    path: url.pathname + url.search,
    method: "POST",
    headers: request.headers.flat(),
    body: request.body,
  }, {
    onRequestStart() {
      incoming.expectAnswer(() => {
        // The head is known by then, or nothing is.
        if (head === undefined) reject(headTooLarge(remoteAddress));
        else answer(true);
        connection.destroy();
      });
    },
    onResponseStart(controller, status) {
      const headers = rawHeaders(controller);
      if (sizeOf(headers) > MAX_RESPONSE_HEAD_BYTES) {
        reject(headTooLarge(remoteAddress));
        connection.destroy();
        return;
      }
      head = { status, headers };
      incoming.expectBody();
      progress.phase = "reading the response body";
    },
    onResponseData(_controller, chunk) {
      if (kept.add(chunk)) return;
      answer(true);
      connection.destroy();
    },
    // A body that goes on to the connection's end is whole only where that was no error.
    onResponseEnd: () => answer(connection.wasBroken),
    onResponseError(_controller, error) {
      if (!incoming.hasBegun && isClosing(error)) resolve("closedBeforeAnswer");
      else reject(unanswered(error, { head, remoteAddress }));
    },
  });
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    incoming.expectNothing();
  });
}

/** What headers take on the wire: undici's own limit counts neither colons nor line ends. */
function sizeOf(headers: Headers): number {
  return headers.reduce((size, [name, value]) => size + name.length + value.length + 4, 0);
}

function headTooLarge(remoteAddress: string): Failure {
  return new Failure("protocol", "the response head is larger than 32KiB", remoteAddress);
}

function rawHeaders(controller: Dispatcher.DispatchController): Headers {
  const raw = controller.rawHeaders as readonly (Uint8Array | string)[];
  const headers: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) headers.push([latin1(raw[i]!), latin1(raw[i + 1]!)]);
  return headers;
}

function latin1(bytes: Uint8Array | string): string {
  return typeof bytes === "string" ? bytes : String.fromCharCode(...bytes);
}

/** The beginning of a body, in one piece: a receiver may send it in thousands. */
class KeptBytes {
  readonly #most: number;
  #buffer = new Uint8Array(1_024);
  #length = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Copies, for undici's chunks are views into larger buffers; false where not all had room. */
  add(chunk: Uint8Array): boolean {
    const part = chunk.subarray(0, this.#most - this.#length);
    const length = this.#length + part.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(part, this.#length);
    this.#length = length;
    return part.length === chunk.length;
  }

  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }
}

function isClosing({ code, message }: Error & { code?: string }): boolean {
  return code === "ECONNRESET" || code === "EPIPE" || code === "UND_ERR_DESTROYED" ||
    (code === "UND_ERR_SOCKET" && !/^bad/.test(message));
}

function unanswered(
  error: Error & { code?: string },
  { head, remoteAddress }: { head: unknown; remoteAddress: string },
): Error {
  const failure = (kind: "reset" | "protocol", message: string) =>
    new Failure(kind, message, remoteAddress);
  if (isClosing(error) || error.code === "HPE_INVALID_EOF_STATE") {
    const part = head === undefined ? "head" : "body";
    return failure("reset", `the receiver closed the connection amid the response ${part}`);
  }
  if (error.code === "UND_ERR_HEADERS_OVERFLOW") {
    return headTooLarge(remoteAddress);
  }
  // Undici's parser takes three digits for a status, whatever they are, and asserts later.
  if (error.code === "ERR_ASSERTION") {
    return failure("protocol", "the answer is not valid HTTP: its status is below 100");
  }
  // A fault of our own: the request can't be written as HTTP.
  if (error.code === "UND_ERR_INVALID_ARG" || error.code === "UND_ERR_NOT_SUPPORTED") return error;
  return failure("protocol", `the answer is not valid HTTP: ${error.message}`);
}
