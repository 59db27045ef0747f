import type { Outcome } from "../domain/attempt.ts";
import { formatDuration } from "../domain/duration.ts";
import type { Clock } from "../runtime/clock.ts";
import { SharedTimer } from "../runtime/shared_timer.ts";
import { type Answer, Connection } from "./connection.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { type Destination, Destinations } from "./destination.ts";
import { Failure } from "./failure.ts";
import { KnownHeads } from "./known_heads.ts";
import { openConnection, type Resolver, systemResolver } from "./open_connection.ts";
import { requestHead } from "./request_head.ts";
import { SendBuffers } from "./send_buffers.ts";
import type { OutgoingRequest, Transport } from "./transport.ts";

export type { Resolver } from "./open_connection.ts";

/** What the transport needs of the world. */
export interface Http1Options {
  readonly clock: Clock;
  /** The runtime's own, unless another is given. */
  readonly resolve?: Resolver;
  /** Certificates of authorities, in PEM, beside the ones that come with the runtime. */
  readonly tls?: { readonly ca?: readonly string[] };
  /** So many connections are kept idle, whoever they lead to. */
  readonly maxIdle?: number;
}

/**
 * The transport over HTTP/1.1 on connections of its own: what a webhook needs and no more. One POST
 * at a time goes out on a connection, and nothing of an answer is followed, unpacked or guessed.
 */
export function http1Transport(options: Http1Options): Transport {
  return new Http1Transport(options);
}

const MAX_IDLE = 4_096;

class Http1Transport implements Transport {
  readonly #clock: Clock;
  readonly #resolve: Resolver;
  readonly #ca: readonly string[] | undefined;
  /** By their length: a timer for each request would cost a third of the request. */
  readonly #deadlines = new Map<number, SharedTimer>();
  readonly #destinations = new Destinations();
  readonly #idle: ConnectionPool;
  readonly #buffers = new SendBuffers();
  readonly #knownHeads = new KnownHeads();
  #closed = false;

  constructor({ clock, resolve = systemResolver, tls, maxIdle = MAX_IDLE }: Http1Options) {
    this.#clock = clock;
    this.#resolve = resolve;
    this.#ca = tls?.ca;
    this.#idle = new ConnectionPool(clock, maxIdle);
  }

  async send(request: OutgoingRequest): Promise<Outcome> {
    const destination = this.#destinations.of(request);
    if (destination === undefined) {
      return new Failure("protocol", "the URL is neither https nor http").outcome();
    }
    if (this.#closed) return brokenOff().outcome();
    const exchange = new Exchange(request, destination);
    // Asked for once: the time of day takes longer to tell than all that is done with it here.
    const nowMs = this.#clock.monotonicMs();
    const inTime = this.#deadlinesOf(request.deadlineMs).after(
      () =>
        exchange.breakOff(this.#closed ? brokenOff(exchange.remoteAddress) : timedOut(exchange)),
      nowMs,
    );
    try {
      return await this.#exchange(exchange, nowMs);
    } catch (error) {
      if (error instanceof Failure) return error.outcome();
      throw error;
    } finally {
      inTime();
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const deadlines of this.#deadlines.values()) deadlines.endAll();
    this.#idle.close();
    return Promise.resolve();
  }

  #deadlinesOf(lengthMs: number): SharedTimer {
    let deadlines = this.#deadlines.get(lengthMs);
    if (deadlines === undefined) {
      deadlines = new SharedTimer(this.#clock, lengthMs);
      this.#deadlines.set(lengthMs, deadlines);
    }
    return deadlines;
  }

  async #exchange(exchange: Exchange, nowMs: number): Promise<Outcome> {
    const { key } = exchange.destination;
    const kept = this.#idle.take(key, nowMs);
    if (kept !== undefined) {
      const answer = await exchange.postOn(kept);
      this.#release(kept, key);
      // Closed while it was idle: the receiver has seen nothing, so this is the same attempt.
      if (answer !== "closedUnread") return outcomeOf(answer, exchange);
    }
    const connection = await this.#open(exchange, nowMs + exchange.request.deadlineMs);
    const answer = await exchange.postOn(connection);
    this.#release(connection, key);
    return outcomeOf(answer, exchange);
  }

  #release(connection: Connection, key: string): void {
    if (this.#closed) connection.close();
    else if (connection.isOpen) this.#idle.put(key, connection);
  }

  async #open(exchange: Exchange, deadlineAtMs: number): Promise<Connection> {
    const { request, destination } = exchange;
    const opened = await openConnection({
      url: destination.url,
      allowNetworks: request.allowNetworks,
      signal: exchange.signalWhileOpening(),
      deadlineAtMs,
      entering(phase, remoteAddress) {
        exchange.phase = phase;
        if (remoteAddress !== undefined) exchange.remoteAddress = remoteAddress;
      },
    }, { clock: this.#clock, resolve: this.#resolve, ...(this.#ca && { ca: this.#ca }) });
    const openedAtMs = this.#clock.monotonicMs();
    const shared = { buffers: this.#buffers, knownHeads: this.#knownHeads };
    return new Connection({ ...opened, ...shared, openedAtMs, clock: this.#clock });
  }
}

function outcomeOf(answer: Answer, { remoteAddress }: Exchange): Outcome {
  if (typeof answer === "object") return answer;
  const message = "the receiver closed the connection without an answer";
  return new Failure("reset", message, remoteAddress).outcome();
}

function timedOut({ request, phase, remoteAddress }: Exchange): Failure {
  const message = `the deadline of ${formatDuration(request.deadlineMs)} passed while ${phase}`;
  return new Failure("timeout", message, remoteAddress);
}

function brokenOff(remoteAddress?: string): Failure {
  return new Failure("reset", "broken off by shutdown", remoteAddress);
}

/** A request under way, and what it has come to, for the words of a failure from outside. */
class Exchange {
  readonly request: OutgoingRequest;
  readonly destination: Destination;
  phase = "starting";
  remoteAddress: string | undefined;
  readonly #head: string;
  #opening: AbortController | undefined;
  #connection: Connection | undefined;
  #broken: Failure | undefined;

  constructor(request: OutgoingRequest, destination: Destination) {
    this.request = request;
    this.destination = destination;
    this.#head = requestHead(request, destination.start);
  }

  /** Ends it with this failure, wherever it stands. */
  breakOff(failure: Failure): void {
    this.#broken = failure;
    this.#opening?.abort(failure);
    this.#connection?.breakOff(failure);
  }

  signalWhileOpening(): AbortSignal {
    this.#connection = undefined;
    this.#opening = new AbortController();
    if (this.#broken) this.#opening.abort(this.#broken);
    return this.#opening.signal;
  }

  postOn(connection: Connection): Promise<Answer> {
    this.#opening = undefined;
    if (this.#broken) {
      connection.close();
      throw this.#broken;
    }
    this.#connection = connection;
    this.phase = "waiting for the response";
    this.remoteAddress = connection.remoteAddress;
    return connection.post({
      head: this.#head,
      body: this.request.body,
      onHead: () => this.phase = "reading the response body",
    });
  }
}
