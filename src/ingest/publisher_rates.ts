import type { Publisher } from "../config/config.ts";
import type { Rate } from "../domain/duration.ts";
import type { Clock } from "../runtime/clock.ts";

/** What a publisher's rate says to so many more events. */
export type Pace =
  /** They may come in and are counted; `giveBack` takes that back, where nothing came of them. */
  | { readonly kind: "taken"; giveBack(): void }
  /** They may come in after so long. */
  | { readonly kind: "tooFast"; readonly rate: Rate; readonly waitMs: number };

/** Keeps publishers to their rates, which the config may change at any time. */
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

/** Events that are counted until the same instant. */
interface Counted {
  events: number;
  readonly untilMs: number;
}

/** So many of a rate's windows are counted apart, which bounds what is remembered of them. */
const SLOTS = 1_000;

/** Lets no more events in than `count` within any `perMs`. */
class RateWindow {
  readonly rate: Rate;
  #counted: Counted[] = [];
  #events = 0;

  constructor(rate: Rate) {
    this.rate = rate;
  }

  /**
   * A request of more events than the rate has would never fit: it is let in when nothing else is
   * counted, and counts for as many windows as it would have taken one after the other.
   */
  take(events: number, nowMs: number): Pace {
    const { rate } = this;
    this.#forgetBefore(nowMs);
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

  #forgetBefore(nowMs: number): void {
    let gone = 0;
    while (gone < this.#counted.length && this.#counted[gone]!.untilMs <= nowMs) {
      this.#events -= this.#counted[gone]!.events;
      gone++;
    }
    if (gone > 0) this.#counted.splice(0, gone);
  }

  /** How long until no more than so many events are counted. */
  #waitMs(room: number, nowMs: number): number {
    let events = this.#events;
    for (const counted of this.#counted) {
      if (events <= room) break;
      events -= counted.events;
      if (events <= room) return counted.untilMs - nowMs;
    }
    return 0;
  }
}
