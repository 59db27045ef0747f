const NONE = new Uint8Array();

/** What most receivers say is shorter, if they say anything. */
const SHORT_BYTES = 256;
/** Short bodies lie side by side: memory for each alone takes longer to get than all of its reading. */
const ROOM_BYTES = 16 * 1024;

let room = NONE, used = 0;

function copyOfShort(piece: Uint8Array): Uint8Array {
  if (used + piece.length > room.length) {
    room = new Uint8Array(ROOM_BYTES);
    used = 0;
  }
  room.set(piece, used);
  used += piece.length;
  return room.subarray(used - piece.length, used);
}

/** The beginning of a body, in one piece: a receiver may send it in thousands. */
export class KeptBytes {
  readonly #most: number;
  #buffer: Uint8Array = NONE;
  #length = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Copies, for the piece lies in a buffer that is read into again; false where not all had room. */
  add(piece: Uint8Array): boolean {
    const part = piece.length <= this.#most - this.#length
      ? piece
      : piece.subarray(0, this.#most - this.#length);
    if (this.#length === 0) {
      // Most bodies come in one piece.
      this.#buffer = part.length <= SHORT_BYTES ? copyOfShort(part) : part.slice();
    } else {
      this.#makeRoomFor(part.length);
      this.#buffer.set(part, this.#length);
    }
    this.#length += part.length;
    return part.length === piece.length;
  }

  bytes(): Uint8Array {
    return this.#length === this.#buffer.length
      ? this.#buffer
      : this.#buffer.slice(0, this.#length);
  }

  #makeRoomFor(more: number): void {
    const length = this.#length + more;
    if (length <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.min(this.#most, Math.max(length, 2 * this.#buffer.length)));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
