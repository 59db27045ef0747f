import type { Outcome, Response } from "../domain/attempt.ts";
import type { Clock } from "../runtime/clock.ts";
import { Failure } from "./failure.ts";
import type { ResponseHeadCache } from "./response_head_cache.ts";
import type { Opened } from "./open_connection.ts";
import { ResponseReader } from "./response_reader.ts";
import type { SendBuffers } from "./send_buffers.ts";
import { tlsWords } from "./tls_words.ts";

/**
 * What a request on a connection came to. The last two: nothing came back, not a byte, and the request
 * was not read, which only a kept connection tells, or may have been.
 */
export type Answer = Outcome | "closedUnread" | "closedUnanswered";

/** What is posted. */
export interface Post {
  /** One character a byte. */
  readonly head: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Told once, when the response head is complete. */
  readonly onHead: () => void;
}

/** Answers come small; a larger one gets a larger buffer for itself. */
const SMALL_READ_BYTES = 4 * 1024;
const LARGE_READ_BYTES = 64 * 1024;
/** Up to here, head and body go out in one write: over TLS, each would be a record of its own. */
const MAX_JOINED_BYTES = 64 * 1024;

/**
 * One open connection. There is always a read under way, so that one that the receiver closes, or
 * talks on unasked, is known to be lost before a request is written to it.
 */
export class Connection {
  readonly remoteAddress: string;
  readonly openedAtMs: number;
  /** Its host has other addresses. */
  readonly hasOthers: boolean;
  /** Told when it is lost while no request is under way. */
  onLost: () => void = () => {};
  /** How long the receiver said, with its last answer, that it keeps the connection. */
  keptForMs: number | undefined;

  readonly #conn: Deno.Conn;
  readonly #host: string;
  readonly #roundTripMs: number;
  readonly #clock: Clock;
  readonly #buffers: SendBuffers;
  readonly #headCache: ResponseHeadCache;
  readonly #onClosed: () => void;
  #buffer = new Uint8Array(SMALL_READ_BYTES);
  #open = true;
  #isReading = false;
  #isWriting = false;
  #wasKept = false;
  #exchange: Exchange | undefined;

  constructor(
    { host, openedAtMs, clock, buffers, headCache, onClosed, ...opened }: Opened & {
      /** As the URL has it. */
      readonly host: string;
      readonly openedAtMs: number;
      readonly clock: Clock;
      readonly buffers: SendBuffers;
      readonly headCache: ResponseHeadCache;
      /** Told once, when its descriptor is given back. */
      readonly onClosed: () => void;
    },
  ) {
    this.#conn = opened.conn;
    this.#host = host;
    this.#roundTripMs = opened.roundTripMs;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.remoteAddress = opened.address;
    this.hasOthers = opened.hasOthers;
    this.openedAtMs = openedAtMs;
    this.#buffers = buffers;
    this.#headCache = headCache;
  }

  /** Whether it may carry a request. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Posts, where nothing else is under way; a value, whatever the receiver does. */
  post({ head, body, onHead }: Post): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#exchange = { reader: new ResponseReader(this.#headCache), resolve, onHead };
    this.#send(head, body);
    if (!this.#isReading) this.#read();
    return promise;
  }

  /** Ends what is under way with this failure; what has come of an answer is kept with it. */
  breakOff(failure: Failure): void {
    const reader = this.#exchange?.reader;
    this.#end(failure.outcome(reader?.head && responseIn(reader)));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.#conn.close();
    } catch {
      // It was gone before.
    }
    this.#onClosed();
  }

  #send(head: string, body: Uint8Array<ArrayBuffer>): void {
    this.#isWriting = true;
    const joined = head.length + body.length <= MAX_JOINED_BYTES;
    const length = joined ? head.length + body.length : head.length;
    const buffer = this.#buffers.take(length);
    putLatin1(buffer, head);
    if (joined) buffer.set(body, head.length);
    this.#write(buffer.subarray(0, length), () => {
      this.#buffers.giveBack(buffer);
      if (joined) this.#isWriting = false;
      else this.#write(body, () => this.#isWriting = false);
    });
  }

  // Not awaited, for an answer may come in the same turn as the word that all is written.
  #write(bytes: Uint8Array<ArrayBuffer>, onWritten: () => void): void {
    this.#conn.write(bytes).then((count) => {
      if (count === bytes.length) onWritten();
      else if (this.#open) this.#write(bytes.subarray(count), onWritten);
    }, () => {
      // It stays not at rest; the read tells what came back and how it ended.
    });
  }

  #read(): void {
    this.#isReading = true;
    this.#conn.read(this.#buffer).then(this.#onRead, this.#onReadError);
  }

  readonly #onRead = (count: number | null): void => {
    this.#isReading = false;
    if (!this.#open) return;
    if (count === null) this.#onEnd("closed");
    else if (this.#exchange === undefined) this.#lose();
    else this.#take(this.#exchange, count);
  };

  readonly #onReadError = (error: Error): void => {
    this.#isReading = false;
    if (!this.#open) return;
    // What is wrong with a record of TLS, or the alert with which the receiver refuses us.
    if (error instanceof Deno.errors.InvalidData) {
      if (this.#exchange === undefined) return this.#lose();
      return this.breakOff(new Failure("tls", tlsWords(error, this.#host), this.remoteAddress));
    }
    if (error instanceof Deno.errors.UnexpectedEof) return this.#onEnd("closedAmidTls");
    this.#onEnd(isReset(error) ? "reset" : "broken");
  };

  #take(exchange: Exchange, count: number): void {
    const { reader, onHead } = exchange;
    const hadHead = reader.head !== undefined;
    const reading = reader.take(this.#buffer.subarray(0, count));
    if (reading === "malformed") {
      return this.breakOff(new Failure("protocol", reader.fault, this.remoteAddress));
    }
    if (!hadHead && reader.head !== undefined) onHead();
    if (reading === "unfinished") {
      if (count === SMALL_READ_BYTES) this.#buffer = new Uint8Array(LARGE_READ_BYTES);
      return this.#read();
    }
    const outcome = this.#answered(reader, { truncated: reading === "truncated" });
    const isAtRest = reading === "whole" && reader.surplusBytes === 0 && !this.#isWriting;
    if (isAtRest && reader.keepsConnection) this.#keep(reader, outcome);
    else this.#end(outcome);
  }

  #answered(reader: ResponseReader, { truncated }: { truncated: boolean }): Outcome {
    const { status, headers } = reader.head!;
    const { remoteAddress } = this;
    const body = reader.body();
    const outcome = { kind: "answered", status, headers, body, truncated, remoteAddress } as const;
    const { packing } = reader;
    return packing === undefined ? outcome : { ...outcome, packing };
  }

  /** The receiver has closed, or the connection broke. */
  #onEnd(how: Ending): void {
    if (this.#exchange === undefined) return this.#lose();
    const { reader } = this.#exchange;
    if (!reader.hasBegun) return void this.#endUnanswered(how);
    const reading = reader.end({ cleanly: how === "closed" });
    if (reading === "whole" || reading === "truncated") {
      return this.#end(this.#answered(reader, { truncated: reading === "truncated" }));
    }
    const part = reader.head === undefined ? "head" : "body";
    const message = `the receiver closed the connection amid the response ${part}`;
    this.breakOff(new Failure("reset", message, this.remoteAddress));
  }

  /**
   * Not a byte came back. On a kept connection a reset says that the request was unread, in part at
   * least: a system whose program has read it all closes without one. Where the receiver has closed, the
   * reset may be on its way: the next write, a way there and back later, fails. A receiver that has read
   * it all gets an empty line more, and is closed.
   */
  async #endUnanswered(how: Ending): Promise<void> {
    if (!this.#wasKept || how === "broken") return this.#end("closedUnanswered");
    if (how === "reset") return this.#end("closedUnread");
    if (this.#roundTripMs > 0) {
      await new Promise<void>((resolve) => this.#clock.after(this.#roundTripMs, resolve));
    }
    // Broken off meanwhile.
    if (!this.#open) return;
    const isRefused = await this.#conn.write(EMPTY_LINE).then(() => false, () => true);
    if (!this.#open) return;
    this.#end(isRefused ? "closedUnread" : "closedUnanswered");
  }

  #lose(): void {
    this.close();
    this.onLost();
  }

  /** The exchange is over and the connection goes on. */
  #keep(reader: ResponseReader, outcome: Outcome): void {
    const { resolve } = this.#exchange!;
    this.#exchange = undefined;
    this.#wasKept = true;
    this.keptForMs = reader.keptForMs;
    if (this.#buffer.length > SMALL_READ_BYTES) this.#buffer = new Uint8Array(SMALL_READ_BYTES);
    this.#read();
    resolve(outcome);
  }

  /** The exchange is over, and the connection with it. */
  #end(answer: Answer): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.close();
    exchange?.resolve(answer);
  }
}

/**
 * How a connection ended: by the receiver's closing it, in TLS perhaps without the word that this was
 * all; by a reset; or by something else, such as a way that no longer leads there.
 */
type Ending = "closed" | "closedAmidTls" | "reset" | "broken";

function isReset(error: Error): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.BrokenPipe;
}

interface Exchange {
  readonly reader: ResponseReader;
  readonly resolve: (answer: Answer) => void;
  readonly onHead: () => void;
}

/** As much of an answer as has come, once its head is complete. */
function responseIn(reader: ResponseReader): Response {
  const { packing } = reader;
  const response = { ...reader.head!, body: reader.body(), truncated: true };
  return packing === undefined ? response : { ...response, packing };
}

/** What servers pass over before a request (RFC 9112, section 2.2). */
const EMPTY_LINE = Uint8Array.of(0x0d, 0x0a);

const encoder = new TextEncoder();

function putLatin1(buffer: Uint8Array, text: string): void {
  const { read, written } = encoder.encodeInto(text, buffer);
  if (read === text.length && written === text.length) return;
  // UTF-8 gives more bytes than there are characters where one is beyond ASCII.
  for (let i = 0; i < text.length; i++) buffer[i] = text.charCodeAt(i);
}
