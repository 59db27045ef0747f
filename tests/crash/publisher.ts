import type { Chance } from "../simulation/chance.ts";

/** Posts events over HTTP, and repeats unanswered ones unchanged until they are answered. */
export class Publisher {
  /** All events that were answered with 202, or 200 for a repeat. */
  readonly accepted = new Set<string>();
  /** Unexpected answers. */
  readonly faults: string[] = [];
  /** Requests that were stored by a daemon that was killed before it answered. */
  storedUnheard = 0;
  readonly #url: string;
  readonly #chance: Chance;
  readonly #nextNumber: () => number;
  readonly #filler: readonly [least: number, most: number];
  #unanswered: { readonly ids: readonly string[]; readonly body: string } | undefined;

  /** `filler`: bytes of padding in an event's data. */
  constructor(url: string, { chance, nextNumber, filler = [1, 8_000] }: {
    readonly chance: Chance;
    readonly nextNumber: () => number;
    readonly filler?: readonly [least: number, most: number];
  }) {
    this.#url = url;
    this.#chance = chance;
    this.#nextNumber = nextNumber;
    this.#filler = filler;
  }

  /** Posts until stopped; the daemon may be restarted meanwhile. */
  async publish(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const isTaken = await this.#postOne();
      await pause(isTaken ? this.#chance.whole(0, 12) : 20);
    }
  }

  /** Repeats the remaining unanswered events. */
  async settle(): Promise<void> {
    while (this.#unanswered) if (!await this.#postOne()) await pause(20);
  }

  async #postOne(): Promise<boolean> {
    const { ids, body } = this.#unanswered ??= this.#compose();
    let status: number;
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      status = response.status;
      await response.body?.cancel();
    } catch {
      return false;
    }
    if (status === 503) return false;
    this.#unanswered = undefined;
    if (status === 200) this.storedUnheard++;
    if (status === 202 || status === 200) { for (const id of ids) this.accepted.add(id); }
    else this.faults.push(`${ids[0]} was answered ${status}`);
    return true;
  }

  #compose(): { ids: readonly string[]; body: string } {
    const count = this.#chance.happens(0.05) ? this.#chance.whole(2, 20) : 1;
    const events = Array.from({ length: count }, () => {
      const number = this.#nextNumber();
      const filler = "x".repeat(Math.floor(this.#chance.length(...this.#filler)));
      return { id: `ev-${number}`, type: "booking.created", data: { number, filler } };
    });
    return {
      ids: events.map(({ id }) => id),
      body: JSON.stringify(count === 1 ? events[0] : events),
    };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
