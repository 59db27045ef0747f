import type { Clock } from "../runtime/clock.ts";
import { nextTurnOfLoop } from "../runtime/turn.ts";
import {
  type Answer,
  type AnswerFraming,
  type AnswerHead,
  CONTINUE,
  encodeAnswer,
  encodeChunk,
  LAST_CHUNK,
} from "./answer.ts";
import { ByteSource, type Wire } from "./byte_source.ts";
import { IncomingRequest } from "./incoming_request.ts";
import { RequestBody } from "./request_body.ts";
import { BadRequest, readHead, type RequestHead } from "./request_head.ts";

/** A request line with a long query, and as many headers as anybody sends. */
const MAX_HEAD_BYTES = 64 * 1024;
/** How much of a body that nobody wanted is still read, so that the answer is seen. */
const DRAIN_BYTES = 4 * 1024 * 1024;
/** An answer of more than this is not copied to stand beside its head. */
const LARGE_BYTES = 16 * 1024;
/** What is no longer than this is kept, or used again, for the next request on a connection. */
const ROOM_BYTES = 1_024;
/** How HTTP/2 begins, which asks nobody first (RFC 9113, section 3.4). */
const PREFACE = "PRI * HTTP/2.0";

const IN_ONE_PIECE = /^(application\/(problem\+)?json|text\/(?!event-stream))/;

const encoder = new TextEncoder();

/** What a connection does just now. */
export type Phase =
  /** Nothing has come yet. */
  | "silent"
  /** Part of a head has come. */
  | "head"
  /** Between two requests. */
  | "idle"
  /** A request is being answered; its handler sees to its body. */
  | "answering"
  /** A piece of an answer is being written. */
  | "writing"
  /** It is about to close, and reads what the other end still sends. */
  | "draining"
  /** It speaks HTTP/2, which another sees to. */
  | "http2"
  | "closed";

export interface ConnectionPorts {
  readonly clock: Clock;
  /** `127.0.0.1:8420`, for a request that names no host. */
  readonly ownHost: string;
  readonly handle: (request: IncomingRequest) => Answer | Promise<Answer>;
  /** Answers what is no request that can be handled. */
  readonly refuse: (refusal: BadRequest) => Response;
  /** Takes over a connection that begins as HTTP/2 does, with what has been read of it. */
  readonly http2: (begun: readonly Uint8Array[]) => Promise<void>;
  /** Told how many bytes of an answer wait to be written, and the negative of it once they are. */
  readonly onWaiting: (bytes: number) => void;
}

/** One connection: requests in, one after the other, and their answers out in the same order. */
export class Connection {
  phase: Phase = "silent";
  /** When this phase began, in the server's beats. */
  sinceBeat: number;
  readonly #wire: Wire;
  readonly #source: ByteSource;
  readonly #ports: ConnectionPorts;
  readonly #beat: () => number;
  #isLast = false;
  /** The head is late, and what still comes of it is no request any more. */
  #expiring: Promise<void> | undefined;
  /** Who posts events goes on sending the same. */
  #lastHead: { readonly text: string; readonly head: RequestHead } | undefined;
  /** Short answers are written from here. */
  #room: Uint8Array | undefined;

  constructor(wire: Wire, ports: ConnectionPorts, beat: () => number) {
    this.#wire = wire;
    this.#source = new ByteSource(wire);
    this.#ports = ports;
    this.#beat = beat;
    this.sinceBeat = beat();
  }

  /** Whether it waits for a request and may be closed without breaking one off. */
  get isWaiting(): boolean {
    return this.phase === "silent" || this.phase === "head" || this.phase === "idle";
  }

  /** Until one of both ends closes it, or HTTP is not kept to. */
  async serve(): Promise<void> {
    try {
      while (await this.#serveNext());
    } catch (error) {
      if (!(error instanceof BadRequest)) return; // the other end has gone, or was closed here
      await this.#refuse(error).catch(() => {});
    } finally {
      this.close();
    }
  }

  /** Ends it at once. */
  close(): void {
    if (this.phase === "closed") return;
    this.phase = "closed";
    try {
      this.#wire.close();
    } catch {
      // The other end was first.
    }
  }

  /** Ends it once what is under way is answered; at once where nothing is. */
  finish(): void {
    this.#isLast = true;
    if (this.isWaiting || this.phase === "http2") this.close();
  }

  /** Says why before it closes a connection whose head never ended. */
  async expire(): Promise<void> {
    if (this.phase === "head") {
      const refusal = new BadRequest("the head did not arrive in time", 408);
      this.#enter("writing");
      this.#expiring = this.#refuse(refusal).catch(() => {});
      await this.#expiring;
    }
    this.close();
  }

  async #serveNext(): Promise<boolean> {
    const text = await this.#headText();
    if (text === undefined) return false;
    this.#enter("answering");
    const head = text === this.#lastHead?.text ? this.#lastHead.head : readHead(text);
    this.#lastHead = text.length <= ROOM_BYTES ? { text, head } : undefined;
    const body = new RequestBody(this.#source, head.framing, async () => {
      if (head.awaitsContinue) await this.#writeAll(CONTINUE);
    });
    const url = urlOf(head, this.#ports.ownHost);
    const response = await this.#ports.handle(new IncomingRequest(head, { url, body }));
    // Whose body was broken off, or is far too long to hear out, is told to go.
    const keepsAlive = head.keepsAlive && !this.#isLast && this.#canGoOn(head, body);
    await this.#answer(head, response, keepsAlive);
    if (!keepsAlive || this.#isLast) {
      await this.#leave(body);
      return false;
    }
    if (!body.isComplete) await this.#drain(body);
    this.#source.shrink();
    this.#enter("idle");
    // Whoever sends many requests at once takes turns with all others.
    if (this.#source.ready > 0) await nextTurnOfLoop();
    return true;
  }

  /** Undefined where the other end has closed, or speaks HTTP/2. Throws BadRequest. */
  async #headText(): Promise<string | undefined> {
    const source = this.#source;
    // Where the line begins whose end is looked for.
    for (let lineAt = 0;;) {
      const lineEnd = source.lineEnd(lineAt);
      if (lineEnd > MAX_HEAD_BYTES || lineEnd < 0 && source.ready > MAX_HEAD_BYTES) {
        throw new BadRequest("the head is too long");
      }
      if (lineEnd < 0) {
        this.#assertMayBeHttp();
        if (source.ready > 0 && this.phase !== "head") this.#enter("head");
        const goesOn = await source.more();
        if (this.#expiring) return void await this.#expiring;
        if (!goesOn) return undefined;
      } else if (lineEnd > lineAt) {
        lineAt = lineEnd + 2;
      } else if (lineEnd === 0) {
        // A line end too many after a body is let go (RFC 9112, section 2.2).
        source.skip(2);
      } else {
        const text = source.takeText(lineEnd - 2);
        if (text === PREFACE) {
          await this.#becomeHttp2();
          return undefined;
        }
        source.skip(4);
        return text;
      }
    }
  }

  /** Who speaks TLS waits for an answer before it sends more. */
  #assertMayBeHttp(): void {
    const first = this.#source.byteAt(0);
    if (first === undefined || first > 32 && first < 127 || first === 13) return;
    throw new BadRequest(
      first === 22
        ? "this is HTTPS, and the port speaks HTTP; put a proxy that ends TLS in front of it"
        : "this cannot be read as HTTP/1.1",
    );
  }

  async #becomeHttp2(): Promise<void> {
    this.#enter("http2");
    const rest = this.#source.take(this.#source.ready);
    await this.#ports.http2([encoder.encode(PREFACE), rest]);
  }

  #canGoOn(head: RequestHead, body: RequestBody): boolean {
    if (body.isComplete) return true;
    // It was never asked for, and may never come.
    if (head.awaitsContinue && !body.isWanted) return false;
    return body.leftBytes <= DRAIN_BYTES && !body.isWanted;
  }

  async #answer(head: RequestHead, response: Answer, keepsAlive: boolean): Promise<void> {
    const { clock } = this.#ports;
    const about = { response, keepsAlive, isHttp10: head.isHttp10 };
    if (!(response instanceof Response)) {
      return await this.#writeWhole(about, encoder.encode(response.text));
    }
    const type = response.headers.get("content-type") ?? "";
    const bodiless = head.method === "HEAD" || response.status === 204 || response.status === 304;
    if (bodiless) {
      await response.body?.cancel();
      const framing = { kind: "none" } as const;
      return await this.#writeAll(encodeAnswer({ ...about, framing }, { clock }));
    }
    // Made in one piece, as all answers are but a stream.
    if (IN_ONE_PIECE.test(type) || response.body === null) {
      return await this.#writeWhole(about, await response.bytes());
    }
    // What HTTP/1.0 is streamed ends with the connection.
    await this.#stream(head, response, keepsAlive && !head.isHttp10);
  }

  async #writeWhole(
    about: Omit<AnswerHead, "framing">,
    body: Uint8Array,
  ): Promise<void> {
    const { clock } = this.#ports;
    const head = { ...about, framing: { kind: "length", bytes: body.length } } as const;
    if (body.length > LARGE_BYTES) {
      await this.#writeAll(encodeAnswer(head, { clock }));
      return await this.#writeAll(body);
    }
    const room = this.#room ??= new Uint8Array(ROOM_BYTES);
    await this.#writeAll(encodeAnswer(head, { clock, body, room }));
  }

  /** Piece by piece: the next is asked for when the one before is written. */
  async #stream(head: RequestHead, response: Response, keepsAlive: boolean): Promise<void> {
    const framing: AnswerFraming = { kind: head.isHttp10 ? "close" : "chunked" };
    const reader = response.body!.getReader();
    let hasEnded = false;
    // Who listens and goes away says nothing, and is noticed by that alone.
    const gone = () => {
      if (hasEnded) return;
      this.close();
      void reader.cancel().catch(() => {});
    };
    if (this.#source.ready === 0) {
      this.#source.more().then((goesOn) => goesOn || gone(), gone);
    }
    try {
      await this.#writeAll(encodeAnswer({ response, keepsAlive, framing }, this.#ports));
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (value.length > 0) {
          await this.#writeAll(framing.kind === "chunked" ? encodeChunk(value) : value);
        }
      }
      hasEnded = true;
      if (framing.kind === "chunked") await this.#writeAll(LAST_CHUNK);
      else this.#isLast = true;
    } finally {
      hasEnded = true;
      await reader.cancel().catch(() => {});
    }
  }

  async #refuse(refusal: BadRequest): Promise<void> {
    const response = this.#ports.refuse(refusal);
    const body = await response.bytes();
    const framing = { kind: "length", bytes: body.length } as const;
    const { clock } = this.#ports;
    const answer = encodeAnswer({ response, keepsAlive: false, framing }, { clock, body });
    await this.#writeAll(answer);
    await this.#linger();
  }

  async #drain(body: RequestBody): Promise<void> {
    this.#enter("draining");
    for (let bytes = 0; bytes <= DRAIN_BYTES;) {
      const piece = await body.read();
      if (piece === undefined) return;
      bytes += piece.length;
    }
    throw new Error("the rest of the body is too long");
  }

  /** Closes a connection with an answer on it that is still to be seen. */
  async #leave(body: RequestBody): Promise<void> {
    if (!body.isComplete || this.#source.ready > 0) await this.#linger();
  }

  /** To close while the other end sends would take the answer from it (RFC 9112, section 9.6). */
  async #linger(): Promise<void> {
    this.#enter("draining");
    await this.#wire.closeWrite();
    for (let bytes = 0; bytes <= DRAIN_BYTES;) {
      bytes += this.#source.ready;
      this.#source.skip(this.#source.ready);
      if (!await this.#source.more()) return;
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    this.#enter("writing");
    this.#ports.onWaiting(bytes.length);
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#wire.write(at === 0 ? bytes : bytes.subarray(at));
        this.#enter("writing");
      }
    } finally {
      this.#ports.onWaiting(-bytes.length);
    }
    this.#enter("answering");
  }

  #enter(phase: Phase): void {
    if (this.phase === "closed") throw new Error("the connection was closed");
    this.phase = phase;
    this.sinceBeat = this.#beat();
  }
}

/** The address that is asked for. Of no host in particular it is our own. */
function urlOf({ target, headers, method }: RequestHead, ownHost: string): string {
  if (target.startsWith("/")) return `http://${headers.get("host") || ownHost}${target}`;
  if (/^https?:\/\//i.test(target)) return target;
  if (target === "*" && method === "OPTIONS") return `http://${headers.get("host") || ownHost}/*`;
  throw new BadRequest("the request's target is not a path on this server");
}
