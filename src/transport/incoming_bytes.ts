import { Buffer } from "node:buffer";
import type net from "node:net";

/** So much of a response head is taken, interim answers and blank lines before it included. */
export const MAX_RESPONSE_HEAD_BYTES = 32 * 1024;
/**
 * So much of a whole response is taken off the wire: chunks of one byte each take six there, so a
 * body of 64 KiB fits in any framing, and chunk extensions without end do not.
 */
const MAX_RESPONSE_WIRE_BYTES = 1024 * 1024;

/**
 * Stands between a socket and undici's parser. It takes interim answers out, since undici breaks a
 * connection off at a 100 that nobody asked for, where a client has to pass over it (RFC 9110,
 * section 15.2); and it counts, so that no receiver keeps the parser busy until the deadline.
 */
export class IncomingBytes {
  #stage: "unasked" | "beginning" | "interim" | "final" = "unasked";
  #count = 0;
  #most = 0;
  #held: Uint8Array = EMPTY;
  #onFlood = () => {};

  constructor(socket: net.Socket) {
    const read = socket.read.bind(socket);
    // Undici reads by this method alone; a stream in between would cost each body another copy.
    socket.read = (size?: number) => {
      for (;;) {
        const chunk = read(size);
        if (chunk === null) return null;
        const passed = this.#take(chunk);
        if (passed.length > 0) return passed;
      }
    };
  }

  /** A request is written: what comes from now on is its answer. */
  expectAnswer(onFlood: () => void): void {
    this.#stage = "beginning";
    this.#count = 0;
    this.#most = MAX_RESPONSE_HEAD_BYTES;
    this.#held = EMPTY;
    this.#onFlood = onFlood;
  }

  /** The head is complete: the body has its own limit. */
  expectBody(): void {
    this.#most = MAX_RESPONSE_WIRE_BYTES;
  }

  /** The exchange is over: whatever comes now was not asked for. */
  expectNothing(): void {
    this.#stage = "unasked";
    this.#count = 0;
    this.#onFlood = () => {};
  }

  /** Whether any byte of the answer has come. */
  get hasBegun(): boolean {
    return this.#count > 0;
  }

  /** What of a piece is for the parser. */
  #take(chunk: Uint8Array): Uint8Array {
    if (this.#stage === "unasked") return chunk;
    if (this.#count > this.#most) {
      this.#onFlood();
      return EMPTY;
    }
    this.#count += chunk.length;
    return this.#stage === "final" ? chunk : this.#withoutInterim(chunk);
  }

  #withoutInterim(chunk: Uint8Array): Uint8Array {
    let rest = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    this.#held = EMPTY;
    for (;;) {
      if (this.#stage === "interim") {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) {
          this.#held = rest.subarray(-3);
          return EMPTY;
        }
        rest = rest.subarray(end + 4);
        this.#stage = "beginning";
      }
      const beginning = rest.toString("latin1", 0, INTERIM_BEGINNING.length);
      // What is too short to tell is held back where it may become an interim answer.
      if (!INTERIM.test(beginning + INTERIM_BEGINNING.slice(beginning.length))) {
        this.#stage = "final";
        return rest;
      }
      if (beginning.length < INTERIM_BEGINNING.length) {
        this.#held = rest;
        return EMPTY;
      }
      this.#stage = "interim";
    }
  }
}

const EMPTY = new Uint8Array();
const INTERIM_BEGINNING = "HTTP/1.1 100 ";
/** Not 101: who changes the protocol unasked has given a final, and a wrong, answer. */
const INTERIM = /^HTTP\/1\.[01] 1(?!01)\d\d[ \r]$/;
