import { isAscii } from "node:buffer";
import type { Clock } from "../runtime/clock.ts";
import { SharedTimer } from "../runtime/shared_timer.ts";
import { ProblemError } from "./problem.ts";
import { formatSize } from "../domain/duration.ts";
import { latin1 } from "../domain/latin1.ts";

/** How long a publisher may take to send its body. */
const BODY_DEADLINE_MS = 30_000;
/** A body that takes longer counts as slow. */
const SLOW_BODY_MS = 500;
/** How much of a refused body is still read, so that the publisher sees the answer. */
const DRAIN_BYTES = 4 * 1024 * 1024;

/**
 * A body with a smaller Content-Length is read at once. Its stream would take a buffer of 64 KiB and
 * a third more time.
 */
const SMALL_BYTES = 16 * 1024;

/** The parts of a request that reading its body needs. */
export type WithBody = Pick<Request, "body" | "bytes"> & { readonly headers: Pick<Headers, "get"> };

/** How a body is read. */
export interface ReadOptions {
  readonly maxBytes: number;
  readonly clock: Clock;
  /** The error for a body that is too large; by default the one for events. */
  readonly tooLarge?: string;
  /** Called for each piece. If it throws, reading ends. */
  readonly onBytes?: (bytes: number) => void;
  /** Called if the body is slow. */
  readonly onSlow?: () => void;
}

/** Reads a body as UTF-8 text within a size and a deadline. Throws ProblemError: 400, 408, 413. */
export async function readText(request: WithBody, options: ReadOptions): Promise<string> {
  let bytes: Uint8Array;
  try {
    if (isSmall(request, options)) {
      bytes = await inTime(request.bytes(), options);
      options.onBytes?.(bytes.length);
    } else {
      assertWorthReading(request, options);
      bytes = await readStream(request, options);
    }
  } catch (error) {
    throw error instanceof ProblemError ? error : new ProblemError(brokenOff());
  }
  return textOf(bytes);
}

/** Throws ProblemError (413) if the Content-Length is too large even to drain the body. */
function assertWorthReading({ headers }: WithBody, options: ReadOptions): void {
  const { maxBytes } = options;
  const bytes = Number(headers.get("content-length") ?? 0);
  if (bytes > maxBytes + DRAIN_BYTES) throw new ProblemError(tooLarge(options));
}

function isSmall({ headers }: WithBody, { maxBytes }: ReadOptions): boolean {
  return Number(headers.get("content-length") ?? Infinity) <= Math.min(SMALL_BYTES, maxBytes);
}

async function readStream(request: WithBody, options: ReadOptions): Promise<Uint8Array> {
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array();
  const giveUp = () => void reader.cancel().catch(() => {});
  return await inTime(readPieces(reader, options).finally(giveUp), options, giveUp);
}

/** Rejects with a 408 after the deadline. */
function inTime<T>(
  arriving: Promise<T>,
  { clock, onSlow }: ReadOptions,
  giveUp: () => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let cancelTimer = slowTimerOf(clock).after(() => {
      cancelTimer = clock.after(BODY_DEADLINE_MS - SLOW_BODY_MS, () => {
        reject(new ProblemError(tooLate()));
        giveUp();
      });
      onSlow?.();
    });
    arriving.then((value) => {
      cancelTimer();
      resolve(value);
    }, (error) => {
      cancelTimer();
      reject(error);
    });
  });
}

/** Nearly all bodies arrive at once, so they share a timer. */
function slowTimerOf(clock: Clock): SharedTimer {
  let timer = slowTimers.get(clock);
  if (!timer) slowTimers.set(clock, timer = new SharedTimer(clock, SLOW_BODY_MS));
  return timer;
}

const slowTimers = new WeakMap<Clock, SharedTimer>();

async function readPieces(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  options: ReadOptions,
): Promise<Uint8Array> {
  const { maxBytes, onBytes } = options;
  let bytes: Uint8Array = new Uint8Array();
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done && size <= maxBytes) return bytes.subarray(0, size);
    if (done) throw new ProblemError(tooLarge(options));
    if (size + value.length <= maxBytes) {
      onBytes?.(value.length);
      bytes = appended(bytes, size, value);
    } else bytes = new Uint8Array();
    size += value.length;
    if (size > maxBytes + DRAIN_BYTES) throw new ProblemError(tooLarge(options));
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return isAscii(bytes) ? latin1(bytes) : utf8.decode(bytes);
  } catch {
    throw new ProblemError({
      status: 400,
      title: "Bad Request",
      detail: `the body is not valid UTF-8: ${badByteIn(bytes)}`,
    });
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

/** Describes the first invalid byte, found by binary search. */
function badByteIn(bytes: Uint8Array): string {
  const isBegun = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  if (isBegun(bytes.length)) return "it ends in the middle of a character";
  let good = 0, bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (isBegun(middle)) good = middle;
    else bad = middle;
  }
  const byte = bytes[good]!.toString(16).padStart(2, "0");
  return `byte ${
    good + 1
  }, 0x${byte}, can't stand there; send UTF-8, or escape what is beyond ASCII`;
}

/**
 * Appends a piece to the first `size` bytes. Storing the pieces separately would take hundreds of
 * bytes for each, and a piece may be a single byte.
 */
function appended(bytes: Uint8Array, size: number, piece: Uint8Array): Uint8Array {
  if (size === 0) return piece;
  let into = bytes;
  if (size + piece.length > bytes.length) {
    into = new Uint8Array(2 * (size + piece.length));
    into.set(bytes.subarray(0, size));
  }
  into.set(piece, size);
  return into;
}

const tooLarge = ({ maxBytes, tooLarge }: ReadOptions) => ({
  status: 413 as const,
  title: "Content Too Large",
  detail: tooLarge ??
    `the body is larger than server.maxBody, ${formatSize(maxBytes)}; ` +
      "send fewer events at once, or raise it",
});

const tooLate = () => ({
  status: 408 as const,
  title: "Request Timeout",
  detail: `the body did not arrive within ${BODY_DEADLINE_MS / 1000} s`,
});

const brokenOff = () => ({
  status: 400 as const,
  title: "Bad Request",
  detail: "the body was broken off",
});
