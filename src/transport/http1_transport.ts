import { type Outcome, responseOf } from "../domain/attempt.ts";
import { formatDuration } from "../domain/duration.ts";
import type { Clock } from "../runtime/clock.ts";
import { SharedTimer } from "../runtime/shared_timer.ts";
import { type Answer, Connection } from "./connection.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { type Destination, Destinations } from "./destination.ts";
import { Failure } from "./failure.ts";
import { HungHandshakes } from "./hung_handshakes.ts";
import { ResponseHeadCache } from "./response_head_cache.ts";
import { AddressOrder } from "./address_order.ts";
import { NameService, type Resolver, systemResolver } from "./name_service.ts";
import { openConnection, type OpeningPorts } from "./open_connection.ts";
import { requestHead } from "./request_head.ts";
import { SendBuffers } from "./send_buffers.ts";
import { unpack } from "./unpack.ts";
import { MachineFault, type OutgoingRequest, type Transport } from "./transport.ts";

export type { Resolver } from "./name_service.ts";

/** What the transport needs of the world. */
export interface Http1Options {
  readonly clock: Clock;
  /** The runtime's own, unless another is given. */
  readonly resolve?: Resolver;
  /** Certificates of authorities, in PEM, beside the ones that come with the runtime. */
  readonly tls?: { readonly ca?: readonly string[] };
  /** So many connections are kept idle, whoever they lead to. */
  readonly maxIdle?: number;
  /** So many are open in all: beyond that an idle one is closed for each new one. */
  readonly maxOpen?: number;
  /** How many pools requests may name, as many as there are receivers; 1 000 unless told. */
  readonly pools?: () => number;
}

/** The transport, and what can be told of its connections. */
export interface Http1Connections extends Transport {
  /** How many are open, to whomever: in use or idle. */
  readonly connections: { readonly inUse: number; readonly idle: number };
}

/**
 * The transport over HTTP/1.1 on connections of its own: what a webhook needs and no more. One POST
 * at a time goes out on a connection, and nothing of an answer is followed, unpacked or guessed.
 */
export function http1Transport(options: Http1Options): Http1Connections {
  return new Http1Transport(options);
}

const MAX_IDLE = 4_096;
/** So many idle connections are closed where this machine lacks something to open another with. */
const GIVING_WAY = 8;

class Http1Transport implements Http1Connections {
  readonly #clock: Clock;
  readonly #opening: OpeningPorts;
  readonly #order = new AddressOrder();
  /** By their length: a timer for each request would cost a third of the request. */
  readonly #deadlines = new Map<number, SharedTimer>();
  readonly #destinations: Destinations;
  readonly #pool: ConnectionPool;
  readonly #buffers = new SendBuffers();
  readonly #headCache = new ResponseHeadCache();
  #closed = false;

  constructor(options: Http1Options) {
    const { clock, resolve = systemResolver, tls, maxIdle = MAX_IDLE, maxOpen } = options;
    this.#clock = clock;
    this.#destinations = new Destinations(options.pools ?? (() => 1_000));
    this.#pool = new ConnectionPool(clock, { mostIdle: maxIdle, mostOpen: maxOpen ?? Infinity });
    this.#opening = {
      clock,
      names: new NameService(resolve, clock),
      order: this.#order,
      room: this.#pool,
      hung: new HungHandshakes(),
      ...(tls?.ca && { ca: tls.ca }),
    };
  }

  get connections(): { inUse: number; idle: number } {
    const { open, idle } = this.#pool;
    return { inUse: open - idle, idle };
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
      const outcome = await this.#exchange(exchange, nowMs);
      return responseOf(outcome)?.packing === undefined ? outcome : await unpackedIn(outcome);
    } catch (error) {
      if (error instanceof Failure) return error.outcome();
      throw error;
    } finally {
      inTime();
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#opening.names.close();
    this.#opening.hung.close();
    for (const deadlines of this.#deadlines.values()) deadlines.endAll();
    this.#pool.close();
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
    const kept = this.#pool.take(key, nowMs);
    if (kept !== undefined) {
      const answer = await exchange.postOn(kept);
      this.#release(kept, key);
      // Closed while it was idle: the receiver has seen nothing, so this is the same attempt.
      if (answer !== "closedUnread") return this.#came(answer, kept, exchange);
    }
    const connection = await this.#open(exchange, nowMs + exchange.request.deadlineMs);
    const answer = await exchange.postOn(connection);
    this.#release(connection, key);
    return this.#came(answer, connection, exchange);
  }

  /** The next connection to a host that has several addresses goes to one that works. */
  #came(answer: Answer, { hasOthers, remoteAddress }: Connection, exchange: Exchange): Outcome {
    const outcome = outcomeOf(answer, exchange);
    if (hasOthers) {
      const ok = outcome.kind === "answered" && outcome.status < 500;
      this.#order.report(exchange.destination.url.hostname, remoteAddress, { ok });
    }
    return outcome;
  }

  #release(connection: Connection, key: string): void {
    if (this.#closed) connection.close();
    else if (connection.isOpen) this.#pool.put(key, connection);
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
    }, this.#opening).catch((error) => {
      // What the share of descriptors leaves free was taken by others: idle connections give way.
      if (error instanceof MachineFault) {
        for (let i = 0; i < GIVING_WAY; i++) this.#pool.closeLongestIdle();
      }
      throw error;
    });
    const shared = { buffers: this.#buffers, headCache: this.#headCache, clock: this.#clock };
    return new Connection({
      ...opened,
      ...shared,
      host: destination.url.hostname,
      openedAtMs: this.#clock.monotonicMs(),
      onClosed: this.#onClosed,
    });
  }

  readonly #onClosed = (): void => this.#pool.countOut();
}

async function unpackedIn(outcome: Outcome): Promise<Outcome> {
  const response = await unpack(responseOf(outcome)!);
  if (outcome.kind === "failed") return { ...outcome, response };
  const { remoteAddress } = outcome;
  return { kind: "answered", ...response, ...(remoteAddress !== undefined && { remoteAddress }) };
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
