import type { Publisher } from "../config/config.ts";
import type { Rate } from "../domain/duration.ts";
import type { Clock } from "../runtime/clock.ts";

/** Whether a publisher's rate allows a request. */
export type Pace =
  /** It does, and the events are counted. `giveBack` undoes the count if they are not stored. */
  | { readonly kind: "taken"; giveBack(): void }
  /** It doesn't; try again after `waitMs`. */
  | { readonly kind: "tooFast"; readonly rate: Rate; readonly waitMs: number };

/** Enforces the publishers' rates, which the config may change at any time. */
export class PublisherRates {
  readonly #clock: Clock;
  readonly #windows = new Map<string, RateWindow>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined for a publisher without a rate. */
  take({ name, rate }: Publisher, events: number): Pace | undefined {
    if (rate === undefined) {
      this.#windows.delete(name);
      return undefined;
    }
    let window = this.#windows.get(name);
    if (window?.rate.count !== rate.count || window.rate.perMs !== rate.perMs) {
      this.#windows.set(name, window = new RateWindow(rate));
    }
    return window.take(events, this.#clock.monotonicMs());
  }
}

/** Events that stop counting at the same instant. */
interface Counted {
  events: number;
  readonly untilMs: number;
}

/** A window has this many slots; events of one slot are counted together, which bounds memory. */
const SLOTS = 1_000;

/** Allows at most `count` events within any `perMs`. */
class RateWindow {
  readonly rate: Rate;
  #counted: Counted[] = [];
  #events = 0;

  constructor(rate: Rate) {
    this.rate = rate;
  }

  /**
   * A request with more events than the rate's count would never fit. It is allowed when nothing else
   * is counted, and then counts for proportionally longer than one window.
   */
  take(events: number, nowMs: number): Pace {
    const { rate } = this;
    this.#dropExpired(nowMs);
    const waitMs = this.#waitMs(Math.max(0, rate.count - events), nowMs);
    if (waitMs > 0) return { kind: "tooFast", rate, waitMs };
    const slotMs = rate.perMs / SLOTS;
    const lengthMs = rate.perMs * Math.max(1, events / rate.count);
    const untilMs = Math.ceil((nowMs + lengthMs) / slotMs) * slotMs;
    let last = this.#counted.at(-1);
    if (last?.untilMs !== untilMs) this.#counted.push(last = { events: 0, untilMs });
    last.events += events;
    this.#events += events;
    const counted = last;
    return {
      kind: "taken",
      giveBack: () => {
        counted.events -= events;
        if (this.#counted.includes(counted)) this.#events -= events;
      },
    };
  }

  #dropExpired(nowMs: number): void {
    let expired = 0;
    while (expired < this.#counted.length && this.#counted[expired]!.untilMs <= nowMs) {
      this.#events -= this.#counted[expired]!.events;
      expired++;
    }
    if (expired > 0) this.#counted.splice(0, expired);
  }

  /** How long until at most `most` events are counted. */
  #waitMs(most: number, nowMs: number): number {
    let events = this.#events;
    for (const counted of this.#counted) {
      if (events <= most) break;
      events -= counted.events;
      if (events <= most) return counted.untilMs - nowMs;
    }
    return 0;
  }
}
