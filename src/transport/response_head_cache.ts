import type { Headers } from "../domain/attempt.ts";
import { type Framing, framingOf } from "./response_framing.ts";

/** What the fields of a response head come to; `framing` is a text where it can't be told. */
export interface Fields {
  readonly headers: Headers;
  readonly framing: Framing | string;
}

/** So many are remembered; after that it begins anew. */
const MOST = 256;
/** No longer ones: they are of receivers that say something else each time. */
const MAX_LENGTH = 1_024;

/**
 * Response heads, by all of their text. A receiver's are mostly the same to the letter, but for the
 * second they were made in: what has been read of one holds for the next.
 */
export class ResponseHeadCache {
  readonly #byText = new Map<string, Fields>();

  /** The fields of a head; `read` takes them out of it where it is not known yet. */
  of(text: string, read: () => Headers): Fields {
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const headers = read();
    const fields = { headers, framing: framingOf(headers) };
    if (text.length > MAX_LENGTH) return fields;
    if (this.#byText.size >= MOST) this.#byText.clear();
    this.#byText.set(text, fields);
    return fields;
  }
}
