import type { Clock } from "../runtime/clock.ts";
import type { Connection } from "./connection.ts";

/** How long an idle connection is kept: 10 000 receivers must not be 10 000 sockets. */
const KEEP_ALIVE_MS = 4_000;
/** A receiver that says how long it keeps a connection has closed it by then: so much earlier. */
const MARGIN_MS = 1_000;
/** A connection older than this is not used again, so that a host that moves is followed. */
const MAX_AGE_MS = 60_000;
/** How often those are closed that nobody has taken in time. */
const SWEEP_MS = 1_000;

interface Idle {
  readonly connection: Connection;
  readonly untilMs: number;
}

/** Connections that nobody uses at the moment; each leaves by itself when it is lost. */
export class ConnectionPool {
  readonly #clock: Clock;
  readonly #most: number;
  /** The one used last at the end. A list that was emptied stays until the next sweep. */
  readonly #byKey = new Map<string, Idle[]>();
  #count = 0;
  #stopSweeping: (() => void) | undefined;

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
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
    if (untilMs <= now || this.#count >= this.#most) return connection.close();
    const idle = { connection, untilMs };
    const idles = this.#byKey.get(key);
    if (idles === undefined) this.#byKey.set(key, [idle]);
    else idles.push(idle);
    this.#count++;
    connection.onLost = () => {
      this.#forget(idle);
      const left = this.#byKey.get(key)!;
      left.splice(left.indexOf(idle), 1);
    };
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

  #forget({ connection }: Idle): void {
    this.#count--;
    connection.onLost = ignore;
  }
}

function ignore(): void {}
