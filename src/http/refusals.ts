import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { blockOf } from "./client_address.ts";

/** Why somebody was not let in. */
export type RefusalReason = "no_token" | "unknown_token" | "sign_in";

export interface Refusal {
  readonly address: string;
  readonly reason: RefusalReason;
}

export interface RefusalsPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly onAccessRefused: (reason: RefusalReason) => void;
  /** Takes a way to end what is waited for; the answer takes it back. */
  readonly onShutdown: (end: () => void) => () => void;
}

/** So many addresses are remembered, those that were refused last. */
const MOST_ADDRESSES = 1_000;
const MINUTE_MS = 60_000;
/** So many lines a minute are logged of single addresses. */
const MOST_LINES = 60;
/** So many refusals of an address are answered at once: people mistype, and programs are restarted. */
const FREE = 10;
const FIRST_WAIT_MS = 250, LONGEST_WAIT_MS = 4_000;
/** So long an address must not be refused for the next refusal to be its first. */
const FORGIVEN_AFTER_MS = 10 * MINUTE_MS;
/** So many answers wait at once: each keeps a connection and a request, also of who has gone away. */
const MOST_WAITING = 64, MOST_WAITING_OF_ONE = 8;

/** What an address has been refused. */
interface Refused {
  /** The last of its block. */
  address: string;
  inARow: number;
  lastAtMs: number;
  readonly unlogged: Map<RefusalReason, number>;
  nextLineAtMs: number;
  waiting: number;
}

/**
 * Counts, logs and slows down those who are not let in, by their addresses. Only what is refused is
 * slowed: whoever has a token passes at once, even from the same address.
 */
export class Refusals {
  readonly #ports: RefusalsPorts;
  /** By block of addresses, the least recently refused first. */
  readonly #refused = new Map<string, Refused>();
  #waiting = 0;
  #lines = { count: 0, untilMs: -Infinity };
  /** What no line has told: of addresses beyond those lines, and of those forgotten. */
  #untold = { count: 0, addresses: 0 };
  #isSweepDue = false;

  constructor(ports: RefusalsPorts) {
    this.#ports = ports;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#refused.size;
  }

  /**
   * Notes that somebody was refused, and resolves when the answer may go out. A number is how many
   * seconds to wait: so many answers wait already that this one must go out now, as a 429.
   */
  async note({ address, reason }: Refusal): Promise<number | undefined> {
    this.#ports.onAccessRefused(reason);
    const refused = this.#refusedOf(address);
    refused.unlogged.set(reason, (refused.unlogged.get(reason) ?? 0) + 1);
    this.#tell(refused);
    const waitMs = waitAfter(refused.inARow);
    if (waitMs === 0) return undefined;
    if (this.#waiting >= MOST_WAITING || refused.waiting >= MOST_WAITING_OF_ONE) {
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
    if (nowMs - refused.lastAtMs > FORGIVEN_AFTER_MS) refused.inARow = 0;
    refused.inARow++;
    refused.address = address;
    refused.lastAtMs = nowMs;
    this.#refused.delete(block);
    this.#refused.set(block, refused);
    if (this.#refused.size > MOST_ADDRESSES) {
      const [oldest, forgotten] = this.#refused.entries().next().value!;
      this.#refused.delete(oldest);
      this.#leaveUntold(forgotten);
    }
    return refused;
  }

  /** At once for the first refusal, then a line a minute for as long as there are more. */
  #tell(refused: Refused): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs < refused.nextLineAtMs) return this.#sweepLater();
    if (nowMs >= this.#lines.untilMs) this.#lines = { count: 0, untilMs: nowMs + MINUTE_MS };
    if (this.#lines.count >= MOST_LINES) {
      this.#leaveUntold(refused);
      return this.#sweepLater();
    }
    this.#lines.count++;
    refused.nextLineAtMs = nowMs + MINUTE_MS;
    const reasons = [...refused.unlogged].map(([reason, count]) => `${count} ${reason}`);
    const count = countOf(refused);
    refused.unlogged.clear();
    this.#ports.log.accessRefused({ address: refused.address, count, reasons: reasons.join(", ") });
  }

  #leaveUntold(refused: Refused): void {
    const count = countOf(refused);
    if (count === 0) return;
    this.#untold.count += count;
    this.#untold.addresses++;
    refused.unlogged.clear();
  }

  #sweepLater(): void {
    if (this.#isSweepDue) return;
    this.#isSweepDue = true;
    const dueMs = this.#ports.clock.monotonicMs() + MINUTE_MS;
    void this.#wait(MINUTE_MS).then(() => this.#sweep(dueMs));
  }

  /** Before its time, where the daemon stops, it tells the rest in one line. */
  #sweep(dueMs: number): void {
    this.#isSweepDue = false;
    const isEarly = this.#ports.clock.monotonicMs() < dueMs;
    for (const refused of this.#refused.values()) {
      if (isEarly) this.#leaveUntold(refused);
      else if (refused.unlogged.size > 0) this.#tell(refused);
    }
    const { count, addresses } = this.#untold;
    if (count === 0) return;
    this.#untold = { count: 0, addresses: 0 };
    this.#ports.log.accessRefusedToMore({ count, addresses });
  }

  /** Resolves after so long, or when the daemon stops. */
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
  if (inARow <= FREE) return 0;
  return Math.min(FIRST_WAIT_MS * 2 ** (inARow - FREE - 1), LONGEST_WAIT_MS);
}

function countOf({ unlogged }: Refused): number {
  return [...unlogged.values()].reduce((sum, count) => sum + count, 0);
}
