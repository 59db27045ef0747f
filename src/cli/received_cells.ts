import { cut, padded, widthOf } from "./text_width.ts";

/** The usual widths: most names are shorter. */
const EVENT = 24, PROFILE = 16;
/** Status, time, verdict and the blanks between all columns. */
const OTHERS = 32;

/**
 * The columns of event and profile in the lines that receivers print. They are as wide as the longest
 * names so far, so that lines stay aligned; on a terminal an event's name gives way to the rest.
 */
export class ReceivedCells {
  readonly #columns: number | undefined;
  #event = EVENT;
  #profile = PROFILE;

  /** `columns` of the terminal, undefined in a pipe; the names that are known to come. */
  constructor(
    { columns, events = [], profiles = [] }: {
      columns: number | undefined;
      events?: readonly string[];
      profiles?: readonly string[];
    },
  ) {
    this.#columns = columns;
    for (const profile of profiles) this.#profile = Math.max(this.#profile, widthOf(profile));
    for (const event of events) this.#widen(event);
  }

  /** Both names, filled up with blanks, or cut where a terminal has no room. */
  readonly of = (event: string, profile: string): readonly [event: string, profile: string] => {
    this.#profile = Math.max(this.#profile, widthOf(profile));
    this.#widen(event);
    const shown = this.#columns === undefined ? event : cut(event, this.#event);
    return [padded(shown, this.#event), padded(profile, this.#profile)];
  };

  #widen(event: string): void {
    const most = this.#columns === undefined
      ? Infinity
      : Math.max(EVENT, this.#columns - this.#profile - OTHERS);
    this.#event = Math.min(most, Math.max(this.#event, widthOf(event)));
  }
}
