import { BACKSLASH, CR, EQUALS, HEX, IN_TOKEN, IN_VALUE, LF, QUOTE, SEMICOLON } from "./bytes.ts";

/** Reads what stands between the data of two chunks (RFC 9112, section 7.1), in pieces of any size. */
export class ChunkFrame {
  /** Whether the frame ended where the last take() did: what follows is the chunk's data. */
  isWhole = false;
  /** How many bytes the chunk has: none is the last. */
  chunkLength = 0;
  /** What is wrong with it. */
  fault = "";

  #state = SIZE;
  #hasDigit = false;

  /** Answers where it ends, or the bytes do; -1 where it is not valid. */
  take(bytes: Uint8Array, from: number): number {
    this.isWhole = false;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      switch (this.#state) {
        case SIZE: {
          const digit = HEX[byte]!;
          if (digit < 16) {
            // Leading zeros don't count; beyond 2^53 it is near enough, since so much never comes.
            if (this.chunkLength >= 2 ** 60) return this.#refuse("a chunk's size is too large");
            this.chunkLength = this.chunkLength * 16 + digit;
            this.#hasDigit = true;
            break;
          }
          if (!this.#hasDigit || (byte !== CR && byte !== SEMICOLON)) {
            return this.#refuse("a chunk's size is no number");
          }
          this.#state = byte === CR ? SIZE_END : EXTENSION;
          break;
        }
        case EXTENSION: // its first byte
          if (IN_TOKEN[byte] === 0) return this.#refuse(BAD_EXTENSION);
          this.#state = EXTENSION_NAME;
          break;
        case EXTENSION_NAME:
          if (IN_TOKEN[byte] === 1) break;
          if (byte === EQUALS) this.#state = EXTENSION_VALUE;
          else if (byte === SEMICOLON) this.#state = EXTENSION;
          else if (byte === CR) this.#state = SIZE_END;
          else return this.#refuse(BAD_EXTENSION);
          break;
        case EXTENSION_VALUE: // its first byte
          if (byte === QUOTE) this.#state = QUOTED;
          else if (IN_TOKEN[byte] === 1) this.#state = EXTENSION_TOKEN;
          else return this.#refuse(BAD_EXTENSION);
          break;
        case EXTENSION_TOKEN:
          if (IN_TOKEN[byte] === 1) break;
          if (byte === SEMICOLON) this.#state = EXTENSION;
          else if (byte === CR) this.#state = SIZE_END;
          else return this.#refuse(BAD_EXTENSION);
          break;
        case QUOTED:
          if (byte === QUOTE) this.#state = AFTER_QUOTED;
          else if (byte === BACKSLASH) this.#state = QUOTED_PAIR;
          else if (IN_VALUE[byte] === 0) return this.#refuse(BAD_EXTENSION);
          break;
        case QUOTED_PAIR:
          if (IN_VALUE[byte] === 0) return this.#refuse(BAD_EXTENSION);
          this.#state = QUOTED;
          break;
        case AFTER_QUOTED:
          if (byte === SEMICOLON) this.#state = EXTENSION;
          else if (byte === CR) this.#state = SIZE_END;
          else return this.#refuse(BAD_EXTENSION);
          break;
        case SIZE_END:
          if (byte !== LF) return this.#refuse("a CR comes without an LF");
          this.#state = DATA_END;
          this.isWhole = true;
          return at + 1;
        case DATA_END:
          if (byte !== CR) return this.#refuse("a chunk is longer than it says");
          this.#state = DATA_LF;
          break;
        case DATA_LF:
          if (byte !== LF) return this.#refuse("a CR comes without an LF");
          this.#beginSize();
          break;
      }
    }
    return bytes.length;
  }

  #beginSize(): void {
    this.#state = SIZE;
    this.chunkLength = 0;
    this.#hasDigit = false;
  }

  #refuse(fault: string): number {
    this.fault = fault;
    return -1;
  }
}

const BAD_EXTENSION = "a chunk's extension can't be read";

// Where in it.
const SIZE = 0;
const EXTENSION = 1;
const EXTENSION_NAME = 2;
const EXTENSION_VALUE = 3;
const EXTENSION_TOKEN = 4;
const QUOTED = 5;
const QUOTED_PAIR = 6;
const AFTER_QUOTED = 7;
const SIZE_END = 8;
const DATA_END = 9;
const DATA_LF = 10;
