import { isLoopback } from "../domain/loopback.ts";
import type { Answer } from "./answer.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Wire } from "./byte_source.ts";
import { Connection, type ConnectionPorts, type Phase } from "./connection.ts";
import { Http2Door } from "./http2_door.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import type { BadRequest } from "./request_head.ts";

/**
 * The daemon's HTTP server. `Deno.serve` ends when a connection can't be accepted, waits for ever for
 * a head, and refuses a request that offers to go on in HTTP/2; this one does none of it, and bounds
 * what strangers can keep open.
 */
export interface Server {
  /** Lets nobody in any more; what is under way is answered, for so long. */
  close(graceMs: number): Promise<void>;
}

export interface ServerPorts {
  readonly clock: Clock;
  /** Where connections come from, opened; and opened anew where it has broken. */
  readonly listen: () => Listener;
  /** `127.0.0.1:8420`, for a request that names no host. */
  readonly ownHost: string;
  /** Answers a request; `peer` is the address it came from, undefined on a Unix socket. */
  readonly handle: (
    request: IncomingRequest | Request,
    peer: string | undefined,
  ) => Answer | Promise<Answer>;
  readonly refuse: (refusal: BadRequest) => Response;
  /** How many connections may be open at once. */
  readonly maxConnections: number;
  /** A connection can't be accepted just now. */
  readonly onAcceptFailed: (error: unknown) => void;
}

export interface Listener {
  accept(): Promise<Accepted>;
  close(): void;
}

export interface Accepted extends Wire {
  readonly remoteAddr: Deno.Addr;
  /** Of TCP alone. */
  setNoDelay?(isOn: boolean): void;
}

/** One beat. Deadlines are kept to the beat: a timer for each would cost more than it watches over. */
const BEAT_MS = 1_000;
/** How many beats a phase may last; those that are not here have no end of their own. */
const LONGEST: { readonly [phase in Phase]?: number } = {
  silent: 30,
  head: 15,
  // Longer than proxies and client libraries keep a connection that they may use again.
  idle: 180,
  writing: 30,
  draining: 5,
};
/** How long it waits until it accepts again where that has failed. */
const ACCEPT_PAUSE_MS = 100;
/** It is told once in such a time. */
const TELL_MS = 60_000;
/** So many make room at once where descriptors have run out. */
const MAKE_ROOM = 4;
/** How many connections may speak HTTP/2 at once. */
const MAX_HTTP2 = 32;
/** What all answers together may hold in memory that nobody reads. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;

/** Takes connections from a listener until it is closed. */
export function startServer(ports: ServerPorts): Server {
  return new RunningServer(ports);
}

class RunningServer implements Server {
  readonly #ports: ServerPorts;
  /** In the order they came. */
  readonly #open = new Map<Connection, string | undefined>();
  readonly #http2: Http2Door;
  #listener: Listener;
  #beats = 0;
  #cancelBeat: (() => void) | undefined;
  #unreadBytes = 0;
  #toldAtMs = -Infinity;
  #isClosing = false;
  /** Resolves the next time that a connection closes. */
  #left = Promise.withResolvers<void>();
  readonly #accepting: Promise<void>;
  readonly #closed = Promise.withResolvers<void>();

  constructor(ports: ServerPorts) {
    this.#ports = ports;
    this.#listener = ports.listen();
    // Each takes three descriptors.
    const most = Math.max(1, Math.floor(ports.maxConnections / 8));
    this.#http2 = new Http2Door({ ...ports, maxConnections: Math.min(MAX_HTTP2, most) });
    this.#accepting = this.#accept();
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    this.#listener.close();
    this.#closed.resolve();
    const late = Promise.withResolvers<void>();
    const cancelTimer = this.#ports.clock.after(graceMs, late.resolve);
    for (const connection of [...this.#open.keys()]) connection.finish();
    let isLate = false;
    void late.promise.then(() => isLate = true);
    while (this.#open.size > 0 && !isLate) {
      await Promise.race([this.#left.promise, late.promise]);
    }
    cancelTimer();
    for (const connection of [...this.#open.keys()]) connection.close();
    await this.#http2.close();
    await this.#accepting;
    while (this.#open.size > 0) await this.#left.promise;
    this.#cancelBeat?.();
  }

  async #accept(): Promise<void> {
    while (!this.#isClosing) {
      try {
        const wire = await this.#listener.accept();
        // Whoever came in the moment of closing would be waited for.
        if (this.#isClosing) return wire.close();
        this.#serve(wire);
        if (this.#open.size >= this.#ports.maxConnections) await this.#makeRoom();
      } catch (error) {
        if (wasGoneBefore(error)) continue;
        if (this.#isClosing) return;
        this.#tellOfFailure(error);
        this.#closeWaiting(MAKE_ROOM);
        await this.#pause();
        if (error instanceof Deno.errors.BadResource) this.#listenAgain();
      }
    }
  }

  #listenAgain(): void {
    try {
      this.#listener = this.#ports.listen();
    } catch (error) {
      this.#tellOfFailure(error);
    }
  }

  /** Not of each: it may go on for as long as another program takes all there is. */
  #tellOfFailure(error: unknown): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - this.#toldAtMs < TELL_MS) return;
    this.#toldAtMs = nowMs;
    this.#ports.onAcceptFailed(error);
  }

  #serve(wire: Accepted): void {
    const peer = addressOf(wire.remoteAddr);
    wire.setNoDelay?.(true);
    const connection: Connection = new Connection(
      wire,
      this.#portsFor(wire, peer),
      () => this.#beats,
    );
    this.#open.set(connection, peer);
    this.#cancelBeat ??= this.#ports.clock.after(BEAT_MS, () => this.#beat());
    if (peer !== undefined && !isLoopback(peer)) this.#boundShareOf(peer);
    void connection.serve().finally(() => {
      this.#open.delete(connection);
      if (this.#open.size === 0) this.#stopBeating();
      const { resolve } = this.#left;
      this.#left = Promise.withResolvers();
      resolve();
    });
  }

  #portsFor(wire: Accepted, peer: string | undefined): ConnectionPorts {
    const { clock, ownHost, handle, refuse } = this.#ports;
    return {
      clock,
      ownHost,
      refuse,
      handle: (request) => handle(request, peer),
      http2: (begun) => this.#http2.serve(wire, { begun, peer }),
      onWaiting: (bytes) => {
        this.#unreadBytes += bytes;
        if (bytes > 0 && this.#unreadBytes > MAX_UNREAD_BYTES) this.#closeSlowestReader();
      },
    };
  }

  /** One address has half of the connections at most, where others could be shut out by it. */
  #boundShareOf(peer: string): void {
    const own = [...this.#open].filter(([, other]) => other === peer).map(([one]) => one);
    if (own.length <= this.#ports.maxConnections / 2) return;
    (longestWaiting(own) ?? own.at(-1)!).close();
  }

  /** Waits until there is room for one more; who waits for a request goes first. */
  async #makeRoom(): Promise<void> {
    while (!this.#isClosing && this.#open.size >= this.#ports.maxConnections) {
      const { promise } = this.#left;
      this.#closeWaiting(1);
      await Promise.race([promise, this.#pause()]);
    }
  }

  #closeWaiting(count: number): void {
    for (let closed = 0; closed < count; closed++) {
      const one = longestWaiting([...this.#open.keys()]);
      if (!one) return;
      one.close();
    }
  }

  #closeSlowestReader(): void {
    const writing = [...this.#open.keys()].filter(({ phase }) => phase === "writing");
    oldest(writing)?.close();
  }

  async #pause(): Promise<void> {
    const over = Promise.withResolvers<void>();
    const cancelTimer = this.#ports.clock.after(ACCEPT_PAUSE_MS, over.resolve);
    await Promise.race([over.promise, this.#closed.promise]);
    cancelTimer();
  }

  #beat(): void {
    this.#beats++;
    for (const connection of [...this.#open.keys()]) {
      const longest = LONGEST[connection.phase];
      if (longest !== undefined && this.#beats - connection.sinceBeat > longest) {
        void connection.expire();
      }
    }
    this.#cancelBeat = undefined;
    // Those that were closed are on their way out.
    if ([...this.#open.keys()].every(({ phase }) => phase === "closed")) return;
    this.#cancelBeat = this.#ports.clock.after(BEAT_MS, () => this.#beat());
  }

  #stopBeating(): void {
    this.#cancelBeat?.();
    this.#cancelBeat = undefined;
  }
}

/** Whether the other end broke it off before it was accepted, which is nobody else's trouble. */
function wasGoneBefore(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.ConnectionReset;
}

/** Of those that wait for a request, one that never sent any before one that did, then the oldest. */
function longestWaiting(connections: readonly Connection[]): Connection | undefined {
  const waiting = connections.filter((one) => one.isWaiting);
  return oldest(waiting.filter(({ phase }) => phase !== "idle")) ?? oldest(waiting);
}

function oldest(connections: readonly Connection[]): Connection | undefined {
  return connections.reduce<Connection | undefined>(
    (first, one) => first && first.sinceBeat <= one.sinceBeat ? first : one,
    undefined,
  );
}

/** An address of IPv4 as it is, also where the socket takes both kinds. */
function addressOf(address: Deno.Addr): string | undefined {
  if (address.transport !== "tcp") return undefined;
  return address.hostname.replace(/^::ffff:(?=\d+\.)/i, "");
}
