import type { Instant } from "../domain/instant.ts";
import type { ExhaustedDigest, NewEvent, Outbox } from "../outbox/outbox.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";

/** Exhausted deliveries are told together, this long after the first of them. */
export const DIGEST_MS = 15 * 60_000;
/** How long it waits where the database can't be used. */
const AGAIN_MS = 10_000;

export interface DigestsPorts {
  readonly outbox: Pick<Outbox, "exhaustedSince" | "tellExhausted">;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly log: Log;
  /** The digest as a notice; undefined where no channel asks for it. */
  readonly compose: (digest: ExhaustedDigest, at: Instant) => NewEvent | undefined;
  /** Told of each channel that has one to send. */
  readonly onNotice: (channel: string) => void;
}

/**
 * Tells of exhausted deliveries in digests: one message for each channel and 15 minutes, whatever
 * happens in them. What is to be told is counted in the database, so a restart loses none of it.
 */
export class Digests {
  readonly #ports: DigestsPorts;
  #cancelTimer: (() => void) | undefined;
  #isRunning = false;

  constructor(ports: DigestsPorts) {
    this.#ports = ports;
  }

  /** Goes on with what the process before this one had counted. */
  async start(): Promise<void> {
    this.#isRunning = true;
    const since = await this.#ports.outbox.exhaustedSince().catch(() => undefined);
    if (since === undefined || this.#cancelTimer !== undefined) return;
    const waitedMs = this.#ports.steady.now() - since;
    if (waitedMs >= DIGEST_MS) await this.#tell();
    // Not longer than from now on, should the clock have been set back meanwhile.
    else this.#tellAfter(Math.min(DIGEST_MS - waitedMs, DIGEST_MS));
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer?.();
  }

  /** A delivery was exhausted, and is counted. */
  noteExhausted(): void {
    if (this.#cancelTimer === undefined) this.#tellAfter(DIGEST_MS);
  }

  #tellAfter(ms: number): void {
    if (!this.#isRunning) return;
    this.#cancelTimer = this.#ports.clock.after(ms, () => {
      this.#cancelTimer = undefined;
      void this.#tell();
    });
  }

  async #tell(): Promise<void> {
    const { outbox, steady, log, compose, onNotice } = this.#ports;
    const at = steady.now();
    try {
      const channels = await outbox.tellExhausted(at, (digest) => compose(digest, at));
      for (const channel of channels) onNotice(channel);
    } catch (error) {
      if (!this.#isRunning) return;
      log.digestDelayed(error);
      if (this.#cancelTimer === undefined) this.#tellAfter(AGAIN_MS);
    }
  }
}
