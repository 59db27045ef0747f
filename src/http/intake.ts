import { type ReadOptions, readText, type WithBody } from "./body.ts";
import { type Problem, ProblemError } from "./problem.ts";

/** Each request in progress takes about 20 KB besides its body. */
const MAX_REQUESTS = 1_024;
/** Of bodies as received. While it is parsed, routed and stored, a body takes about six times that. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Requests in progress are stored or refused within a fraction of a second. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Limits the requests in progress and the size of their bodies, so that a flood is refused before
 * memory grows. One publisher gets at most half of each limit.
 */
export class Intake {
  readonly #all = new Limit({ requests: MAX_REQUESTS, bytes: MAX_BYTES }, {
    status: 503,
    title: "Service Unavailable",
    detail: "nothing was stored: too many requests are under way; try again in a moment",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
  readonly #shares = new Map<string, Limit>();

  /**
   * Reserves capacity for a request before its body is read, so that a refused body stays with its
   * sender. `publisher` is undefined for callers without a name. Throws a ProblemError: 429 if this
   * publisher has too much in progress, 503 if all together have.
   */
  reserve(publisher: string | undefined, bytes: number): Reservation {
    const limits = publisher === undefined ? [this.#all] : [this.#share(publisher), this.#all];
    return new Reservation(limits, bytes);
  }

  /** Reads a body within the limits. Throws a ProblemError if they are exceeded. */
  async readText(request: WithBody, options: ReadOptions): Promise<string> {
    const expected = Math.min(expectedBytes(request.headers), options.maxBytes);
    const reservation = this.reserve(undefined, expected);
    try {
      return await readText(request, {
        ...options,
        onBytes: (bytes) => reservation.received(bytes),
        onSlow: () => reservation.releaseSlot(),
      });
    } finally {
      reservation.release();
    }
  }

  #share(publisher: string): Limit {
    const known = this.#shares.get(publisher);
    if (known) return known;
    const share = new Limit({ requests: MAX_REQUESTS / 2, bytes: MAX_BYTES / 2 }, {
      status: 429,
      title: "Too Many Requests",
      detail: `nothing was stored: "${publisher}" has too many requests under way; ` +
        "wait for answers before sending more",
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
    this.#shares.set(publisher, share);
    return share;
  }
}

/** The expected size of a body. Its Content-Length may be missing or wrong. */
export function expectedBytes(headers: WithBody["headers"]): number {
  const bytes = Number(headers.get("content-length") ?? UNDECLARED_BYTES);
  // Over HTTP/2 the header may be repeated, and then isn't a number.
  return Number.isFinite(bytes) ? bytes : UNDECLARED_BYTES;
}

/** The size that is reserved for a body without a Content-Length. */
const UNDECLARED_BYTES = 16 * 1024;

/** One request's share of the limits. If it grows too large, its methods throw a ProblemError. */
export class Reservation {
  readonly #limits: readonly Limit[];
  #held: Capacity = { requests: 0, bytes: 0 };
  #receivedBytes = 0;

  constructor(limits: readonly Limit[], bytes: number) {
    this.#limits = limits;
    this.#hold({ requests: 1, bytes });
  }

  /** For a slow body: until it is complete, it counts only with the bytes received. */
  releaseSlot(): void {
    this.#hold({ requests: 0, bytes: this.#receivedBytes });
  }

  /** Records more bytes of the body. */
  received(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > this.#held.bytes) {
      this.#hold({ ...this.#held, bytes: this.#receivedBytes });
    }
  }

  /** The body is complete. */
  complete(): void {
    this.#hold({ requests: 1, bytes: this.#receivedBytes });
  }

  /** The request is answered. */
  release(): void {
    this.#hold({ requests: 0, bytes: 0 });
  }

  #hold(wanted: Capacity): void {
    for (const limit of this.#limits) limit.assertFits(this.#held, wanted);
    for (const limit of this.#limits) limit.change(this.#held, wanted);
    this.#held = wanted;
  }
}

interface Capacity {
  readonly requests: number;
  readonly bytes: number;
}

/** The most that may be in progress, and the refusal of more. */
class Limit {
  #requests = 0;
  #bytes = 0;
  readonly #most: Capacity;
  readonly #refusal: Problem;

  constructor(most: Capacity, refusal: Problem) {
    this.#most = most;
    this.#refusal = refusal;
  }

  assertFits(held: Capacity, wanted: Capacity): void {
    const othersRequests = this.#requests - held.requests;
    const othersBytes = this.#bytes - held.bytes;
    const tooMany = wanted.requests > held.requests &&
      othersRequests + wanted.requests > this.#most.requests;
    // A single body always fits: server.maxBody limits its size.
    const tooMuch = wanted.bytes > held.bytes && othersBytes > 0 &&
      othersBytes + wanted.bytes > this.#most.bytes;
    if (tooMany || tooMuch) throw new ProblemError(this.#refusal);
  }

  change(from: Capacity, to: Capacity): void {
    this.#requests += to.requests - from.requests;
    this.#bytes += to.bytes - from.bytes;
  }
}
