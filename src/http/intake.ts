import { type Reading, readText, type WithBody } from "./body.ts";
import { type Problem, ProblemError } from "./problem.ts";

/** Each request under way costs some 20 KB beside its body. */
const MAX_REQUESTS = 1_024;
/** As it arrives: parsed, routed and on its way to the disk a body takes about six times that. */
const MAX_BYTES = 16 * 1024 * 1024;
/** What is under way is stored, or refused, within a fraction of a second. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Bounds what publishers have under way, from a body's first byte to its answer: a flood is turned
 * away before memory grows, and half of the room is always left to the others.
 */
export class Intake {
  readonly #all = new Room({ requests: MAX_REQUESTS, bytes: MAX_BYTES }, {
    status: 503,
    title: "Service Unavailable",
    detail: "nothing was stored: too many requests are under way; try again in a moment",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
  readonly #shares = new Map<string, Room>();

  /**
   * Lets in a request with a body of so many bytes, before any of it is read: what is not asked for
   * stays with the sender. `publisher` is undefined where nobody has a name. Throws a ProblemError:
   * 429 where this publisher has too much under way, 503 where all have.
   */
  enter(publisher: string | undefined, bytes: number): Passage {
    const rooms = publisher === undefined ? [this.#all] : [this.#share(publisher), this.#all];
    return new Passage(rooms, bytes);
  }

  /** Reads a body, for as long as there is room for it beside all the others. */
  async readText(request: WithBody, reading: Reading): Promise<string> {
    const expected = Math.min(expectedBytes(request.headers), reading.maxBytes);
    const passage = this.enter(undefined, expected);
    try {
      return await readText(request, {
        ...reading,
        arrived: (bytes) => passage.arrived(bytes),
        onSlow: () => passage.stepAside(),
      });
    } finally {
      passage.leave();
    }
  }

  #share(publisher: string): Room {
    const known = this.#shares.get(publisher);
    if (known) return known;
    const share = new Room({ requests: MAX_REQUESTS / 2, bytes: MAX_BYTES / 2 }, {
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

/** What a body will take as far as is known: a length may be missing, or a lie. */
export function expectedBytes(headers: WithBody["headers"]): number {
  const bytes = Number(headers.get("content-length") ?? UNDECLARED_BYTES);
  // Over HTTP/2 a length may stand there twice, and is no number then.
  return Number.isFinite(bytes) ? bytes : UNDECLARED_BYTES;
}

/** What room is kept for a body whose length nobody has told. */
const UNDECLARED_BYTES = 16 * 1024;

/** One request's way in, until it leaves. Where more than it holds is too much, it throws as well. */
export class Passage {
  readonly #rooms: readonly Room[];
  #held: Held = { requests: 0, bytes: 0 };
  #arrivedBytes = 0;

  constructor(rooms: readonly Room[], bytes: number) {
    this.#rooms = rooms;
    this.#hold({ requests: 1, bytes });
  }

  /** The body is slow: until it is complete it holds what has arrived of it, and no place. */
  stepAside(): void {
    this.#hold({ requests: 0, bytes: this.#arrivedBytes });
  }

  /** So much more of the body has arrived. */
  arrived(bytes: number): void {
    this.#arrivedBytes += bytes;
    if (this.#arrivedBytes > this.#held.bytes) {
      this.#hold({ ...this.#held, bytes: this.#arrivedBytes });
    }
  }

  /** The body is complete; what follows is work of our own. */
  complete(): void {
    this.#hold({ requests: 1, bytes: this.#arrivedBytes });
  }

  /** The request is answered. */
  leave(): void {
    this.#hold({ requests: 0, bytes: 0 });
  }

  #hold(wanted: Held): void {
    for (const room of this.#rooms) room.assertFits(this.#held, wanted);
    for (const room of this.#rooms) room.change(this.#held, wanted);
    this.#held = wanted;
  }
}

interface Held {
  readonly requests: number;
  readonly bytes: number;
}

/** What may be under way, and what is said where it would be too much. */
class Room {
  #requests = 0;
  #bytes = 0;
  readonly #most: Held;
  readonly #refusal: Problem;

  constructor(most: Held, refusal: Problem) {
    this.#most = most;
    this.#refusal = refusal;
  }

  assertFits(held: Held, wanted: Held): void {
    const othersRequests = this.#requests - held.requests;
    const othersBytes = this.#bytes - held.bytes;
    const tooMany = wanted.requests > held.requests &&
      othersRequests + wanted.requests > this.#most.requests;
    // A body that is alone has room whatever its size: server.maxBody has its own say.
    const tooMuch = wanted.bytes > held.bytes && othersBytes > 0 &&
      othersBytes + wanted.bytes > this.#most.bytes;
    if (tooMany || tooMuch) throw new ProblemError(this.#refusal);
  }

  change(from: Held, to: Held): void {
    this.#requests += to.requests - from.requests;
    this.#bytes += to.bytes - from.bytes;
  }
}
