import type { Clock } from "../runtime/clock.ts";
import type { Connection } from "./connection.ts";
import type { Room } from "./open_connection.ts";

/** How long an idle connection is kept: 10 000 receivers must not be 10 000 sockets. */
const KEEP_ALIVE_MS = 4_000;
/** A receiver that says how long it keeps a connection has closed it by then: so much earlier. */
const MARGIN_MS = 1_000;
/** A connection older than this is not used again, so that a host that moves is followed. */
const MAX_AGE_MS = 60_000;
/** How often those are closed that nobody has taken in time. */
const SWEEP_MS = 1_000;

interface Idle {
  readonly key: string;
  readonly connection: Connection;
  readonly untilMs: number;
  /** The ones that have been idle for longer and for less: a Set of them would cost a tenth of a request. */
  older: Idle | undefined;
  newer: Idle | undefined;
}

/**
 * Connections that nobody uses at the moment; each leaves by itself when it is lost. Those in use
 * are counted with them, for all together have so many descriptors.
 */
export class ConnectionPool implements Room {
  readonly #clock: Clock;
  readonly #mostIdle: number;
  readonly #mostOpen: number;
  /** The one used last at the end. A list that was emptied stays until the next sweep. */
  readonly #byKey = new Map<string, Idle[]>();
  #oldest: Idle | undefined;
  #newest: Idle | undefined;
  #count = 0;
  #open = 0;
  #stopSweeping: (() => void) | undefined;

  constructor(clock: Clock, { mostIdle, mostOpen }: { mostIdle: number; mostOpen: number }) {
    this.#clock = clock;
    this.#mostIdle = mostIdle;
    this.#mostOpen = mostOpen;
  }

  /** Connections that are open or about to be, idle ones among them. */
  get open(): number {
    return this.#open;
  }

  get idle(): number {
    return this.#count;
  }

  /** Counts a connection that is about to be opened; the longest idle one makes room for it. */
  countIn({ spare }: { spare: boolean }): boolean {
    if (this.#open >= this.#mostOpen && !this.closeLongestIdle() && spare) return false;
    this.#open++;
    return true;
  }

  /** One that was counted is closed, or was never opened. */
  countOut(): void {
    this.#open--;
  }

  /** False where none is idle. */
  closeLongestIdle(): boolean {
    const idle = this.#oldest;
    if (idle === undefined) return false;
    this.#drop(idle);
    idle.connection.close();
    return true;
  }

  #drop(idle: Idle): void {
    this.#forget(idle);
    const left = this.#byKey.get(idle.key)!;
    left.splice(left.indexOf(idle), 1);
  }

  /** The connection used last, if it is young enough. */
  take(key: string, nowMs: number): Connection | undefined {
    const idles = this.#byKey.get(key);
    if (idles === undefined) return undefined;
    for (;;) {
      const idle = idles.pop();
      if (idle === undefined) return undefined;
      this.#forget(idle);
      if (nowMs < idle.untilMs) return idle.connection;
      idle.connection.close();
    }
  }

  /** Keeps a connection that is at rest, or closes it where it isn't worth it. */
  put(key: string, connection: Connection): void {
    const now = this.#clock.monotonicMs();
    const keptForMs = Math.min(KEEP_ALIVE_MS, (connection.keptForMs ?? Infinity) - MARGIN_MS);
    const untilMs = Math.min(now + keptForMs, connection.openedAtMs + MAX_AGE_MS);
    if (untilMs <= now || this.#count >= this.#mostIdle) return connection.close();
    const idle: Idle = { key, connection, untilMs, older: this.#newest, newer: undefined };
    if (this.#newest === undefined) this.#oldest = idle;
    else this.#newest.newer = idle;
    this.#newest = idle;
    const idles = this.#byKey.get(key);
    if (idles === undefined) this.#byKey.set(key, [idle]);
    else idles.push(idle);
    this.#count++;
    connection.onLost = () => this.#drop(idle);
    this.#stopSweeping ??= this.#clock.after(SWEEP_MS, this.#sweep);
  }

  /** Closes them all. */
  close(): void {
    this.#stopSweeping?.();
    this.#stopSweeping = undefined;
    this.#closeUntil(Infinity);
  }

  readonly #sweep = (): void => {
    this.#stopSweeping = undefined;
    this.#closeUntil(this.#clock.monotonicMs());
    if (this.#byKey.size > 0) this.#stopSweeping = this.#clock.after(SWEEP_MS, this.#sweep);
  };

  #closeUntil(ms: number): void {
    for (const [key, idles] of this.#byKey) {
      const left = idles.filter(({ untilMs }) => untilMs > ms);
      for (const idle of idles) {
        if (idle.untilMs > ms) continue;
        this.#forget(idle);
        idle.connection.close();
      }
      if (left.length === 0) this.#byKey.delete(key);
      else this.#byKey.set(key, left);
    }
  }

  #forget(idle: Idle): void {
    this.#count--;
    const { older, newer } = idle;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    idle.connection.onLost = ignore;
  }
}

function ignore(): void {}
