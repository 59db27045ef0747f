/** Requests are of some KB; a larger one gets a buffer for itself. */
const BUFFER_BYTES = 8 * 1024;
/** As many as are written in one turn of the loop: a write ends in the next one at the earliest. */
const MAX_SPARE = 256;

/** Buffers to write requests from, used again and again: a fresh one costs more than filling it. */
export class SendBuffers {
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  /** A buffer of at least so many bytes, with anything in it. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > BUFFER_BYTES) return new Uint8Array(length);
    return this.#spare.pop() ?? new Uint8Array(BUFFER_BYTES);
  }

  /** For the next one; only when nothing reads from it any more. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    if (buffer.length === BUFFER_BYTES && this.#spare.length < MAX_SPARE) this.#spare.push(buffer);
  }
}
