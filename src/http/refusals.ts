import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { blockOf } from "./client_address.ts";

/** Why access was refused. */
export type RefusalReason = "no_token" | "unknown_token" | "sign_in";

export interface Refusal {
  readonly address: string;
  readonly reason: RefusalReason;
}

export interface RefusalsPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly onAccessRefused: (reason: RefusalReason) => void;
  /** Registers a callback for the daemon's stop; returns a function that removes it. */
  readonly onShutdown: (end: () => void) => () => void;
}

/** How many addresses are tracked: those refused most recently. */
const MAX_ADDRESSES = 1_000;
const MINUTE_MS = 60_000;
/** The most log lines a minute about single addresses. */
const MAX_LINES = 60;
/** How many refusals of an address are answered without delay: people mistype, programs restart. */
const UNDELAYED = 10;
const FIRST_WAIT_MS = 250, LONGEST_WAIT_MS = 4_000;
/** After this long without a refusal, an address starts from zero. */
const RESET_AFTER_MS = 10 * MINUTE_MS;
/** The most answers that are delayed at once: each holds a connection, even if its client is gone. */
const MAX_WAITING = 64, MAX_WAITING_PER_ADDRESS = 8;

/** The refusals of one address block. */
interface Refused {
  /** The block's last refused address. */
  address: string;
  inARow: number;
  lastAtMs: number;
  readonly unlogged: Map<RefusalReason, number>;
  nextLineAtMs: number;
  waiting: number;
}

/**
 * Counts, logs and delays refused requests, by address. Requests with a valid token are never delayed,
 * even from the same address.
 */
export class Refusals {
  readonly #ports: RefusalsPorts;
  /** By address block, the least recently refused first. */
  readonly #refused = new Map<string, Refused>();
  #waiting = 0;
  #lines = { count: 0, untilMs: -Infinity };
  /** Refusals without a log line: of addresses beyond `MAX_LINES`, or no longer tracked. */
  #unlogged = { count: 0, addresses: 0 };
  #isSweepDue = false;

  constructor(ports: RefusalsPorts) {
    this.#ports = ports;
  }

  /** How many address blocks are tracked. */
  get size(): number {
    return this.#refused.size;
  }

  /**
   * Records a refusal, and resolves when the answer may be sent. If too many answers are delayed
   * already, it resolves at once to the seconds for a 429's Retry-After.
   */
  async note({ address, reason }: Refusal): Promise<number | undefined> {
    this.#ports.onAccessRefused(reason);
    const refused = this.#refusedOf(address);
    refused.unlogged.set(reason, (refused.unlogged.get(reason) ?? 0) + 1);
    this.#log(refused);
    const waitMs = waitAfter(refused.inARow);
    if (waitMs === 0) return undefined;
    if (this.#waiting >= MAX_WAITING || refused.waiting >= MAX_WAITING_PER_ADDRESS) {
      return Math.ceil(waitMs / 1_000);
    }
    this.#waiting++;
    refused.waiting++;
    await this.#wait(waitMs);
    this.#waiting--;
    refused.waiting--;
    return undefined;
  }

  #refusedOf(address: string): Refused {
    const block = blockOf(address);
    const nowMs = this.#ports.clock.monotonicMs();
    const refused = this.#refused.get(block) ?? {
      address,
      inARow: 0,
      lastAtMs: nowMs,
      unlogged: new Map(),
      nextLineAtMs: -Infinity,
      waiting: 0,
    };
    if (nowMs - refused.lastAtMs > RESET_AFTER_MS) refused.inARow = 0;
    refused.inARow++;
    refused.address = address;
    refused.lastAtMs = nowMs;
    this.#refused.delete(block);
    this.#refused.set(block, refused);
    if (this.#refused.size > MAX_ADDRESSES) {
      const [oldest, forgotten] = this.#refused.entries().next().value!;
      this.#refused.delete(oldest);
      this.#addUnlogged(forgotten);
    }
    return refused;
  }

  /** Logs the first refusal at once, later ones in one line a minute. */
  #log(refused: Refused): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs < refused.nextLineAtMs) return this.#sweepLater();
    if (nowMs >= this.#lines.untilMs) this.#lines = { count: 0, untilMs: nowMs + MINUTE_MS };
    if (this.#lines.count >= MAX_LINES) {
      this.#addUnlogged(refused);
      return this.#sweepLater();
    }
    this.#lines.count++;
    refused.nextLineAtMs = nowMs + MINUTE_MS;
    const reasons = [...refused.unlogged].map(([reason, count]) => `${count} ${reason}`);
    const count = countOf(refused);
    refused.unlogged.clear();
    this.#ports.log.accessRefused({ address: refused.address, count, reasons: reasons.join(", ") });
  }

  #addUnlogged(refused: Refused): void {
    const count = countOf(refused);
    if (count === 0) return;
    this.#unlogged.count += count;
    this.#unlogged.addresses++;
    refused.unlogged.clear();
  }

  #sweepLater(): void {
    if (this.#isSweepDue) return;
    this.#isSweepDue = true;
    const dueMs = this.#ports.clock.monotonicMs() + MINUTE_MS;
    void this.#wait(MINUTE_MS).then(() => this.#sweep(dueMs));
  }

  /** Logs what is left. When the daemon stops, it runs early and logs everything in one line. */
  #sweep(dueMs: number): void {
    this.#isSweepDue = false;
    const isEarly = this.#ports.clock.monotonicMs() < dueMs;
    for (const refused of this.#refused.values()) {
      if (isEarly) this.#addUnlogged(refused);
      else if (refused.unlogged.size > 0) this.#log(refused);
    }
    const { count, addresses } = this.#unlogged;
    if (count === 0) return;
    this.#unlogged = { count: 0, addresses: 0 };
    this.#ports.log.accessRefusedToMore({ count, addresses });
  }

  /** Resolves after `ms`, or when the daemon stops. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancelTimer();
        forget();
        resolve();
      };
      const cancelTimer = this.#ports.clock.after(ms, end);
      const forget = this.#ports.onShutdown(end);
    });
  }
}

function waitAfter(inARow: number): number {
  if (inARow <= UNDELAYED) return 0;
  return Math.min(FIRST_WAIT_MS * 2 ** (inARow - UNDELAYED - 1), LONGEST_WAIT_MS);
}

function countOf({ unlogged }: Refused): number {
  return [...unlogged.values()].reduce((sum, count) => sum + count, 0);
}
