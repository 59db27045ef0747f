/** Bodies are of some KB; a larger one gets memory of its own. */
const ROOM_BYTES = 16 * 1024;

/**
 * Encodes bodies side by side into rooms that they share: memory for each alone would cost more than
 * filling it. A room goes when the last of its bodies does, so none is larger than a few of them.
 */
export class BodyEncoder {
  readonly #encoder = new TextEncoder();
  #room = new Uint8Array(ROOM_BYTES);
  #used = 0;

  /** The text's UTF-8. */
  encode(text: string): Uint8Array<ArrayBuffer> {
    if (text.length > ROOM_BYTES / 2) return this.#encoder.encode(text);
    if (text.length > ROOM_BYTES - this.#used) {
      this.#room = new Uint8Array(ROOM_BYTES);
      this.#used = 0;
    }
    const { read, written } = this.#encoder.encodeInto(text, this.#room.subarray(this.#used));
    // What is beyond ASCII takes more bytes than there are characters.
    if (read < text.length) return this.#encoder.encode(text);
    this.#used += written;
    return this.#room.subarray(this.#used - written, this.#used);
  }
}
