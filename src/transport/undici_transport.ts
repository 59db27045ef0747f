import { Client, type Dispatcher } from "undici";
import { type Headers, MAX_RESPONSE_BYTES, type Outcome } from "../domain/attempt.ts";
import { formatDuration } from "../domain/duration.ts";
import type { Clock } from "../runtime/clock.ts";
import { Failure } from "./failure.ts";
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
const MAX_RESPONSE_HEAD_BYTES = 32 * 1024;

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
      !outcome.truncated && connection.isOpen && !this.#closed;
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
  readonly remoteAddress: string;
  readonly openedAtMs: number;
  #open = true;
  /** Told when the connection has gone, by whoever keeps it meanwhile. */
  onClose: () => void = () => {};

  constructor(origin: string, { socket, address }: OpenSocket, openedAtMs: number) {
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

  let answering = false;
  let head: { status: number; headers: Headers } | undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  const answer = (truncated: boolean) => {
    const body = joined(chunks, Math.min(size, MAX_RESPONSE_BYTES));
    resolve({ kind: "answered", ...head!, body, truncated, remoteAddress });
  };
  connection.client.dispatch({
    origin: url.origin,
    path: url.pathname + url.search,
    method: "POST",
    headers: request.headers.flat(),
    body: request.body,
  }, {
    onRequestStart() {},
    onResponseStarted() {
      answering = true;
    },
    onResponseStart(controller, status) {
      if (status < 200) return;
      head = { status, headers: rawHeaders(controller) };
      progress.phase = "reading the response body";
    },
    onResponseData(_controller, chunk) {
      if (size > MAX_RESPONSE_BYTES) return;
      // Copied: undici's chunks are views into its parser's memory or a larger buffer.
      chunks.push(new Uint8Array(chunk));
      size += chunk.length;
      if (size > MAX_RESPONSE_BYTES) {
        answer(true);
        connection.destroy();
      }
    },
    onResponseEnd: () => answer(false),
    onResponseError(_controller, error) {
      if (!answering && isClosing(error)) resolve("closedBeforeAnswer");
      else reject(unanswered(error, { head, remoteAddress }));
    },
  });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
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

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(0, length - at);
    whole.set(part, at);
    at += part.length;
  }
  return whole;
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
    return failure("protocol", "the response head is larger than 32KiB");
  }
  // A fault of our own: the request can't be written as HTTP.
  if (error.code === "UND_ERR_INVALID_ARG" || error.code === "UND_ERR_NOT_SUPPORTED") return error;
  return failure("protocol", `the answer is not valid HTTP: ${error.message}`);
}
