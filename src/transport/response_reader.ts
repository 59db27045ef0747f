import { type Headers, MAX_RESPONSE_BYTES } from "../domain/attempt.ts";
import { latin1 } from "../domain/latin1.ts";
import { COLON, CR, IN_TOKEN, IN_VALUE, LF, SPACE, TAB, ZERO } from "./bytes.ts";
import { ChunkFrame } from "./chunk_frame.ts";
import { KeptBytes } from "./kept_bytes.ts";
import type { ResponseHeadCache } from "./response_head_cache.ts";
import { framingOf } from "./response_framing.ts";

/** So much of a response head is taken, interim answers and blank lines before it included. */
export const MAX_RESPONSE_HEAD_BYTES = 32 * 1024;
/**
 * So much of a whole response is taken off the wire: chunks of one byte each take six there, so a
 * body of 64 KiB fits in any framing, and chunk extensions without end do not.
 */
const MAX_RESPONSE_WIRE_BYTES = 1024 * 1024;

/** What a response has come to. `malformed`: it is no HTTP that we take, and `fault` says why. */
export type Reading = "unfinished" | "whole" | "truncated" | "malformed";

/**
 * Reads the response to one POST, from bytes in pieces of any size (RFC 9112). It takes nothing
 * that others might read in another way: where a lenient reader would guess, this one refuses.
 */
export class ResponseReader {
  /** Known once it is complete; interim answers are passed over. */
  head: { readonly status: number; readonly headers: Headers } | undefined;
  /** What is wrong with a malformed answer. */
  fault = "";
  /** Whether any byte of the answer has come. */
  hasBegun = false;
  /** How many bytes came that don't belong to the answer. */
  surplusBytes = 0;
  /** Whether the connection may carry another request, once the answer is whole. */
  keepsConnection = false;
  /** `Content-Encoding`: how the body is packed. */
  packing: string | undefined;
  /** How long the receiver says it keeps the connection while it is idle. */
  keptForMs: number | undefined;

  #reading: Reading = "unfinished";
  #part: Part = "head";
  #state = BLANK;
  #wireBytes = 0;
  readonly #body = new KeptBytes(MAX_RESPONSE_BYTES);
  /** What is to come of the body, or of the chunk. */
  #left = 0;
  readonly #chunkFrame = new ChunkFrame();

  // A section of lines, which is a head or the trailers, is read where it lies, or is held together
  // where it comes in pieces.
  #held: Uint8Array = NONE;
  #heldLength = 0;
  /** Sections that came before this one and count with it. */
  #bytesBefore = 0;
  /** Where each field's name begins and ends, and its value, in turn. */
  #marks: number[] = [];
  /** How many bytes or digits of what has a fixed length have come. */
  #matched = 0;
  #minorVersion = 0;
  #status = 0;
  readonly #headCache: ResponseHeadCache;

  /** Readers that share the known heads spare each other their reading. */
  constructor(headCache: ResponseHeadCache) {
    this.#headCache = headCache;
  }

  /** Takes the bytes that came next; keeps no part of them. */
  take(bytes: Uint8Array): Reading {
    if (bytes.length > 0) this.hasBegun = true;
    this.#wireBytes += bytes.length;
    let at = 0;
    while (at < bytes.length && this.#reading === "unfinished") {
      switch (this.#part) {
        case "head":
        case "trailer":
          at = this.#takeSection(bytes, at);
          break;
        case "chunkFrame":
          at = this.#takeChunkFrame(bytes, at);
          break;
        default:
          at = this.#takeData(bytes, at);
      }
    }
    this.surplusBytes = bytes.length - at;
    if (this.#reading === "unfinished" && this.#wireBytes > MAX_RESPONSE_WIRE_BYTES) {
      this.#reading = "truncated";
    }
    return this.#reading;
  }

  /** No more bytes come. An answer that is unfinished then was broken off. */
  end(how: { cleanly: boolean }): Reading {
    if (this.#reading === "unfinished" && this.#part === "bodyToEnd") {
      this.#reading = how.cleanly ? "whole" : "truncated";
    }
    return this.#reading;
  }

  /** The body, as far as it is kept. */
  body(): Uint8Array {
    return this.#body.bytes();
  }

  /** Answers -1, which is nowhere. */
  #refuse(fault: string): number {
    this.fault = fault;
    this.#reading = "malformed";
    return -1;
  }

  #refuseAsInvalid(what: string): number {
    return this.#refuse(`the answer is not valid HTTP: ${what}`);
  }

  /** Answers where in `chunk` the next part begins. */
  #takeSection(chunk: Uint8Array, from: number): number {
    const heldBefore = this.#heldLength;
    if (heldBefore > 0) this.#hold(chunk, from);
    const inPlace = heldBefore === 0;
    const bytes = inPlace ? chunk : this.#held;
    const origin = inPlace ? from : 0;
    const available = inPlace ? chunk.length : this.#heldLength;
    const most = origin + MAX_RESPONSE_HEAD_BYTES - this.#bytesBefore;
    const span = { origin, from: origin + heldBefore, to: Math.min(available, most) };
    const end = this.#scan(bytes, span);
    if (end < 0) {
      if (this.#reading === "malformed") return chunk.length;
      if (available > most) this.#refuse(`the response ${this.#part} is larger than 32KiB`);
      else if (inPlace) this.#hold(chunk, from);
      return chunk.length;
    }
    this.#heldLength = 0;
    this.#bytesBefore += end - origin;
    if (this.#part === "trailer") this.#endTrailers(bytes, origin);
    else if (this.#status < 200) this.#endInterim(bytes, origin);
    else this.#endHead(bytes, origin);
    return from + end - origin - heldBefore;
  }

  #hold(chunk: Uint8Array, from: number): void {
    // One byte beyond the limit tells that it is passed.
    const room = MAX_RESPONSE_HEAD_BYTES + 1 - this.#heldLength;
    const part = chunk.subarray(from, from + room);
    const length = this.#heldLength + part.length;
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(1_024, length, 2 * this.#held.length));
      larger.set(this.#held.subarray(0, this.#heldLength));
      this.#held = larger;
    }
    this.#held.set(part, this.#heldLength);
    this.#heldLength = length;
  }

  #beginSection(state: number): void {
    this.#state = state;
    this.#marks = [];
    this.#matched = 0;
    this.#status = 0;
  }

  /** Answers where the section ends, or -1 where it does not yet. */
  #scan(bytes: Uint8Array, { origin, from, to }: Span): number {
    const marks = this.#marks;
    let state = this.#state;
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      switch (state) {
        case BLANK: // blank lines before a status line
          if (byte === CR || byte === LF) break;
          state = PROTOCOL;
          /* falls through */
        case PROTOCOL:
          if (byte !== HTTP_1[this.#matched]) {
            if (this.#matched === 0 && (byte === TLS_ALERT || byte === TLS_HANDSHAKE)) {
              return this.#refuse("the answer is TLS, not HTTP");
            }
            return this.#refuseAsInvalid("it does not begin with HTTP/1");
          }
          if (++this.#matched === HTTP_1.length) state = MINOR;
          break;
        case MINOR:
          if (byte !== ZERO && byte !== ZERO + 1) {
            return this.#refuseAsInvalid("its version is neither 1.0 nor 1.1");
          }
          this.#minorVersion = byte - ZERO;
          this.#matched = 0;
          state = BEFORE_STATUS;
          break;
        case BEFORE_STATUS:
          if (byte !== SPACE) return this.#refuseAsInvalid("its version is neither 1.0 nor 1.1");
          state = STATUS;
          break;
        case STATUS: {
          const digit = byte - ZERO;
          if (digit < 0 || digit > 9) {
            return this.#refuseAsInvalid("its status is not of three digits");
          }
          this.#status = this.#status * 10 + digit;
          if (++this.#matched < 3) break;
          if (this.#status < 100) return this.#refuseAsInvalid("its status is below 100");
          if (this.#status === 101) return this.#refuseAsInvalid("it changes the protocol unasked");
          state = AFTER_STATUS;
          break;
        }
        case AFTER_STATUS:
          if (byte === SPACE) state = REASON;
          else if (byte === CR) state = LINE_END;
          else return this.#refuseAsInvalid("its status is not of three digits");
          break;
        case REASON:
          if (byte === CR) state = LINE_END;
          else if (IN_VALUE[byte] === 0) {
            return this.#refuseAsInvalid("its status line holds a control character");
          }
          break;
        case LINE_END:
          if (byte !== LF) return this.#refuseAsInvalid("a CR comes without an LF");
          state = FIELD;
          break;
        case FIELD:
          if (byte === CR) {
            state = SECTION_END;
            break;
          }
          if (byte === SPACE || byte === TAB) {
            return this.#refuseAsInvalid("a header line is folded");
          }
          marks.push(at - origin);
          state = NAME;
          /* falls through */
        case NAME:
          if (IN_TOKEN[byte] === 1) break;
          // The name's beginning was marked last: an empty one ends where it begins.
          if (byte !== COLON || marks.at(-1) === at - origin) {
            return this.#refuseAsInvalid("a header line does not begin with a name and a colon");
          }
          marks.push(at - origin);
          state = BEFORE_VALUE;
          break;
        case BEFORE_VALUE:
          if (byte === SPACE || byte === TAB) break;
          marks.push(at - origin);
          state = VALUE;
          /* falls through */
        case VALUE:
          if (IN_VALUE[byte] === 1) break;
          if (byte !== CR) {
            return this.#refuseAsInvalid("a header's value holds a control character");
          }
          marks.push(at - origin);
          state = LINE_END;
          break;
        case SECTION_END:
          if (byte !== LF) return this.#refuseAsInvalid("a CR comes without an LF");
          return at + 1;
      }
    }
    this.#state = state;
    return -1;
  }

  #endInterim(bytes: Uint8Array, origin: number): void {
    const framing = framingOf(this.#fields(this.#text(bytes, origin)));
    if (typeof framing === "string" || framing.hasCoding || framing.length) {
      this.#refuseAsInvalid("an interim answer announces a body");
    } else this.#beginSection(BLANK);
  }

  #endHead(bytes: Uint8Array, origin: number): void {
    const text = this.#text(bytes, origin);
    const { headers, framing } = this.#headCache.of(text, () => this.#fields(text));
    if (typeof framing === "string") {
      this.#refuseAsInvalid(framing);
      return;
    }
    this.head = { status: this.#status, headers };
    const { length, chunked, hasCoding } = framing;
    this.keptForMs = framing.keptForMs;
    this.packing = framing.packing;
    this.keepsConnection = this.#minorVersion === 1
      ? !framing.closes
      : framing.staysOpen && !framing.closes && !hasCoding;
    if (this.#status === 204 || this.#status === 304) {
      // If the body that it announces comes all the same, it must not meet the next answer.
      if (hasCoding || length) this.keepsConnection = false;
      this.#reading = "whole";
    } else if (chunked) {
      this.#part = "chunkFrame";
    } else if (length === undefined) {
      this.#part = "bodyToEnd";
      this.keepsConnection = false;
    } else {
      this.#part = "body";
      this.#left = length;
      if (length === 0) this.#reading = "whole";
    }
  }

  #endTrailers(bytes: Uint8Array, origin: number): void {
    const framing = framingOf(this.#fields(this.#text(bytes, origin)));
    if (typeof framing === "string" || framing.hasCoding || framing.length !== undefined) {
      this.#refuseAsInvalid("its trailers say anew where it ends");
    } else this.#reading = "whole";
  }

  /** A section up to the end of its last field. */
  #text(bytes: Uint8Array, origin: number): string {
    return latin1(bytes, origin, origin + (this.#marks.at(-1) ?? 0));
  }

  #fields(text: string): Headers {
    const marks = this.#marks;
    const fields: [string, string][] = [];
    for (let i = 0; i < marks.length; i += 4) {
      let valueEnd = marks[i + 3]!;
      // A tab stays, so that what it makes of a length is seen: not all take it for a blank.
      while (valueEnd > marks[i + 2]! && text.charCodeAt(valueEnd - 1) === SPACE) valueEnd--;
      fields.push([text.slice(marks[i], marks[i + 1]), text.slice(marks[i + 2], valueEnd)]);
    }
    return fields;
  }

  /** Answers where in `bytes` the data ends, or the bytes do. */
  #takeData(bytes: Uint8Array, from: number): number {
    const toEnd = this.#part === "bodyToEnd";
    const to = toEnd ? bytes.length : Math.min(bytes.length, from + this.#left);
    const whole = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    if (!this.#body.add(whole)) {
      this.#reading = "truncated";
      return to;
    }
    if (toEnd) return to;
    this.#left -= to - from;
    if (this.#left > 0) return to;
    if (this.#part === "body") this.#reading = "whole";
    else this.#part = "chunkFrame";
    return to;
  }

  /** Answers where what frames the chunk ends, or the bytes do. */
  #takeChunkFrame(bytes: Uint8Array, from: number): number {
    const end = this.#chunkFrame.take(bytes, from);
    if (end < 0) return this.#refuseAsInvalid(this.#chunkFrame.fault);
    if (!this.#chunkFrame.isWhole) return end;
    this.#left = this.#chunkFrame.chunkLength;
    if (this.#left > 0) this.#part = "chunk";
    else {
      this.#part = "trailer";
      this.#bytesBefore = 0;
      this.#beginSection(FIELD);
    }
    return end;
  }
}

/** What comes next of a response; `chunkFrame` is all between the data of two chunks. */
type Part = "head" | "body" | "bodyToEnd" | "chunkFrame" | "chunk" | "trailer";

interface Span {
  /** Where the section begins. */
  readonly origin: number;
  /** What is new of it. */
  readonly from: number;
  readonly to: number;
}

const NONE = new Uint8Array();

// Where in a section.
const BLANK = 0;
const PROTOCOL = 1;
const MINOR = 2;
const BEFORE_STATUS = 3;
const STATUS = 4;
const AFTER_STATUS = 5;
const REASON = 6;
const LINE_END = 7;
const FIELD = 8;
const NAME = 9;
const BEFORE_VALUE = 10;
const VALUE = 11;
const SECTION_END = 12;

/** The first bytes of what a TLS server says (RFC 8446, section 5.1). */
const TLS_ALERT = 0x15, TLS_HANDSHAKE = 0x16;
const HTTP_1 = Array.from("HTTP/1.", (letter) => letter.charCodeAt(0));
