import type { Clock } from "../runtime/clock.ts";
import { hostKind, isForbidden } from "./address_guard.ts";
import type { AddressOrder } from "./address_order.ts";
import { dial, type OpenConnection, spelled } from "./dial.ts";
import { Failure } from "./failure.ts";
import type { HungHandshakes } from "./hung_handshakes.ts";

import type { NameService } from "./name_service.ts";
import { MachineFault } from "./transport.ts";

/** What opening a connection needs to know. */
export interface Opening {
  readonly url: URL;
  readonly allowNetworks: readonly string[];
  /** Aborted with a Failure when the deadline has passed or the transport closes. */
  readonly signal: AbortSignal;
  /** The monotonic time by which the whole request has to be over. */
  readonly deadlineAtMs: number;
  /** Told what is under way, in words that follow "while". */
  readonly entering: (phase: string, remoteAddress?: string) => void;
}

/** How connections are opened, whatever they are for. */
export interface OpeningPorts {
  readonly clock: Clock;
  readonly names: NameService;
  readonly order: AddressOrder;
  readonly room: Room;
  readonly hung: HungHandshakes;
  /** Certificates of authorities, in PEM, beside the ones that come with the runtime. */
  readonly ca?: readonly string[];
}

/** How many connections may be open. */
export interface Room {
  /** Counts a connection in. One that could be spared is counted only where there is room: else false. */
  countIn(how: { spare: boolean }): boolean;
  countOut(): void;
}

/** A connection, counted in the room it was opened in. */
export interface Opened extends OpenConnection {
  /** The host has other addresses: how this one does is worth knowing. */
  readonly hasOthers: boolean;
}

/** So many addresses are tried: a name can have thousands, and none of them asked for it. */
const MAX_TRIED = 16;
/** An address that has not taken the connection by then has the next one tried beside it (RFC 8305, section 5). */
const NEXT_AFTER_MS = 250;
/** The same for one that has taken it, while TLS is set up: that takes several ways there and back. */
const NEXT_AFTER_CONNECTED_MS = 2_000;
/** Where there is no room for two, the first one is given up only then. */
const MAX_WAIT_BEFORE_NEXT_MS = 5_000;

/**
 * Opens a connection to a URL's host: resolves it, checks every address, connects to a checked one
 * and, for https, checks the certificate by the host's name. Throws a Failure or the signal's reason,
 * and a MachineFault where the receiver has no part in it.
 */
export async function openConnection(opening: Opening, ports: OpeningPorts): Promise<Opened> {
  const checked = await checkedAddresses(opening, ports.names);
  const addresses = ports.order.order(opening.url.hostname, checked).slice(0, MAX_TRIED);
  return await new Race(addresses, opening, ports).first;
}

/** The addresses of a host, none of them forbidden: one that is makes the whole name suspect. */
async function checkedAddresses(
  { url: { hostname }, allowNetworks, entering, signal }: Opening,
  names: NameService,
): Promise<readonly string[]> {
  const host = hostKind(hostname);
  if (host.kind === "address") {
    if (isForbidden(host.address, allowNetworks)) throw blocked(host.address, host.address);
    return [host.address];
  }
  if (host.kind === "loopbackName") {
    // Resolved here: no name server decides what localhost is, and allowing one family is enough.
    const open = ["127.0.0.1", "::1"].filter((address) => !isForbidden(address, allowNetworks));
    if (open.length === 0) throw blocked(hostname, "127.0.0.1");
    return open;
  }
  entering(`resolving ${hostname}`);
  const addresses = await names.addressesOf(hostname, signal);
  const forbidden = addresses.find((address) => isForbidden(address, allowNetworks));
  if (forbidden !== undefined) throw blocked(hostname, forbidden);
  return [...new Set(addresses)];
}

function blocked(hostname: string, address: string): Failure {
  const subject = hostname === address ? address : `${hostname} resolves to ${address}, which`;
  return new Failure(
    "blocked",
    `${subject} is no public address: nothing was sent; allowNetworks can let it through`,
    address,
  );
}

/**
 * Addresses tried one after the other, each beside those before it that have not ended yet; the first
 * to be open wins, and the others are closed.
 */
class Race {
  readonly first: Promise<Opened>;
  readonly #waiting: string[];
  readonly #opening: Opening;
  readonly #ports: OpeningPorts;
  readonly #hasOthers: boolean;
  readonly #end: PromiseWithResolvers<Opened> = Promise.withResolvers();
  /** The earliest first. */
  readonly #underWay = new Map<AbortController, string>();
  readonly #failures: Error[] = [];
  #stopTimer: (() => void) | undefined;
  #isOver = false;

  constructor(addresses: readonly string[], opening: Opening, ports: OpeningPorts) {
    this.#waiting = [...addresses];
    this.#hasOthers = addresses.length > 1;
    this.#opening = opening;
    this.#ports = ports;
    this.first = this.#end.promise;
    const { signal } = opening;
    if (signal.aborted) this.#fail(signal.reason);
    else {
      signal.addEventListener("abort", this.#onAbort, { once: true });
      this.#tryNext();
    }
  }

  readonly #onAbort = (): void => this.#fail(this.#opening.signal.reason);

  /** Where nothing else is under way there has to be room; for one more there may be none. */
  #tryNext(): void {
    const address = this.#waiting[0];
    if (address === undefined || this.#isOver) return;
    if (!this.#ports.room.countIn({ spare: this.#underWay.size > 0 })) {
      return this.#tryNextAfter(this.#waitWithoutRoomMs(), () => this.#giveUpFirst());
    }
    this.#waiting.shift();
    void this.#try(address);
    this.#tryNextAfter(NEXT_AFTER_MS);
  }

  get #port(): number {
    const { port, protocol } = this.#opening.url;
    return Number(port || (protocol === "https:" ? 443 : 80));
  }

  #waitWithoutRoomMs(): number {
    const leftMs = this.#opening.deadlineAtMs - this.#ports.clock.monotonicMs();
    return Math.min(leftMs / (this.#waiting.length + 1), MAX_WAIT_BEFORE_NEXT_MS);
  }

  #tryNextAfter(ms: number, first = () => {}): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (this.#waiting.length === 0) return; // the request's own deadline ends it
    this.#stopTimer = this.#ports.clock.after(ms, () => {
      first();
      this.#tryNext();
    });
  }

  #giveUpFirst(): void {
    for (const [earliest, address] of this.#underWay) {
      const peer = spelled(address, this.#port);
      return earliest.abort(new Failure("connect", `no answer from ${peer}`, address));
    }
  }

  async #try(address: string): Promise<void> {
    const { url, entering } = this.#opening;
    const { clock, ca, room, hung } = this.#ports;
    let ended: Promise<void> | undefined;
    const own = new AbortController();
    this.#underWay.set(own, address);
    try {
      const opened = await dial({
        url,
        address,
        port: this.#port,
        clock,
        ca,
        signal: own.signal,
        entering,
        onConnected: () => this.#tryNextAfter(NEXT_AFTER_CONNECTED_MS),
        onRefused: () => this.#tryNext(),
        hung,
        onHung: (closed) => ended = closed,
      });
      this.#underWay.delete(own);
      if (!this.#isOver) return this.#win(opened);
      opened.conn.close();
      room.countOut();
    } catch (error) {
      this.#underWay.delete(own);
      if (ended === undefined) room.countOut();
      else void ended.then(() => room.countOut());
      this.#lose(address, error as Error);
    }
  }

  #win(opened: OpenConnection): void {
    this.#close();
    this.#end.resolve({ ...opened, hasOthers: this.#hasOthers });
  }

  #lose(address: string, error: Error): void {
    if (this.#isOver) return;
    if (!(error instanceof Failure || error instanceof MachineFault)) return this.#fail(error);
    this.#failures.push(error);
    if (this.#hasOthers && error instanceof Failure) {
      this.#ports.order.report(this.#opening.url.hostname, address, { ok: false });
    }
    if (this.#waiting.length > 0) this.#tryNext();
    else if (this.#underWay.size === 0) this.#fail(this.#reason());
  }

  /** Where one address could not be tried for a lack of ours, it might have been the one that answers. */
  #reason(): Error {
    const failures = this.#failures;
    const ours = failures.find((failure) => failure instanceof MachineFault);
    if (ours !== undefined || failures.length === 1) return ours ?? failures[0]!;
    const tls = failures.find((failure) => failure instanceof Failure && failure.kind === "tls");
    const message = failures.map(({ message }) => message).join("; ");
    return new Failure(tls === undefined ? "connect" : "tls", message);
  }

  #fail(reason: unknown): void {
    this.#close();
    this.#end.reject(reason);
  }

  #close(): void {
    this.#isOver = true;
    this.#stopTimer?.();
    this.#opening.signal.removeEventListener("abort", this.#onAbort);
    for (const other of this.#underWay.keys()) {
      other.abort(new Failure("connect", "another was faster"));
    }
  }
}
