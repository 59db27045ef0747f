import { serveCommands } from "../processes/helper.ts";
import { Connection } from "./connection.ts";
import { eventText, now } from "./event.ts";

/** Posts events, from a separate process, so that the measured one doesn't delay it. */
export type GeneratorCommands = {
  /** Posts as fast as events are accepted, over this many connections. */
  flood(order: FloodOrder): Promise<Posted>;
  /** Posts at a constant mean rate, however long answers take, with random gaps. */
  pace(order: PaceOrder): Promise<Posted>;
};

interface Order {
  /** Where to post events. */
  readonly url: string;
  /** The number of the first event. */
  readonly from: number;
  /** The number of event types, used in turn. */
  readonly types: number;
  /** When to stop posting. */
  readonly limitMs: number;
}

export interface FloodOrder extends Order {
  readonly connections: number;
  /** The most events to post. */
  readonly count: number;
  /** Events per request; more than one are posted as an array. */
  readonly batch?: number;
  /** Whether events are as small as possible. */
  readonly isSmall?: boolean;
}

export interface PaceOrder extends Order {
  readonly perSecond: number;
}

export interface Posted {
  /** How many events were accepted: those from `from` on, without refused and unanswered ones. */
  readonly accepted: number;
  /** How many numbers were used. */
  readonly posted: number;
  readonly refused: number[];
  /** Events whose connection broke before the answer: they may be stored or not. */
  readonly unanswered: number[];
  readonly startedAt: number;
  readonly endedAt: number;
  /** Times from a post to its answer; at most 100 000. */
  readonly answerMs: number[];
}

async function flood(order: FloodOrder): Promise<Posted> {
  const tally = new Tally(order);
  const batch = order.batch ?? 1;
  const url = new URL(order.url);
  async function keepPosting() {
    const connection = await Connection.open(url).catch(() => undefined);
    while (
      connection && tally.used < order.count && !tally.isOver && !tally.isBroken
    ) {
      const seqs = tally.take(Math.min(batch, order.count - tally.used));
      const status = await tally.post(connection, seqs, order);
      if (status === undefined) return;
      // As Retry-After says.
      if (status === 429 || status === 503) await new Promise((go) => setTimeout(go, 1_000));
    }
    connection?.close();
  }
  await Promise.all(Array.from({ length: order.connections }, keepPosting));
  return tally.done();
}

async function pace(order: PaceOrder): Promise<Posted> {
  const tally = new Tally(order);
  const url = new URL(order.url);
  const idle: Connection[] = [];
  const underWay = new Set<Promise<void>>();
  async function postOne() {
    const seqs = tally.take(1);
    const connection = idle.pop() ??
      await Connection.open(url).catch(() => undefined);
    if (!connection) return tally.unanswered(seqs);
    if (await tally.post(connection, seqs) !== undefined) idle.push(connection);
  }
  let nextAt = now();
  const random = seeded(order.from + 1);
  while (!tally.isOver && !tally.isBroken) {
    while (nextAt <= now()) {
      const one: Promise<void> = postOne().finally(() => underWay.delete(one));
      underWay.add(one);
      nextAt += -Math.log(1 - random()) * 1_000 / order.perSecond;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, nextAt - now())));
  }
  await Promise.all(underWay);
  for (const connection of idle) connection.close();
  return tally.done();
}

/** The events that were posted, and the answers. */
class Tally {
  readonly #order: Order;
  readonly #startedAt = now();
  readonly #refused: number[] = [];
  readonly #unanswered: number[] = [];
  readonly #answerMs: number[] = [];
  #used = 0;
  #accepted = 0;

  constructor(order: Order) {
    this.#order = order;
  }

  get used(): number {
    return this.#used;
  }

  get isOver(): boolean {
    return now() - this.#startedAt >= this.#order.limitMs;
  }

  /** Whether the server has stopped: don't open new connections. */
  get isBroken(): boolean {
    return this.#unanswered.length > 0;
  }

  take(count: number): number[] {
    const first = this.#order.from + this.#used;
    this.#used += count;
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** Returns the status; undefined if the connection broke. */
  async post(
    connection: Connection,
    seqs: readonly number[],
    { isSmall = false }: { isSmall?: boolean } = {},
  ): Promise<number | undefined> {
    const texts = seqs.map((seq) => eventText(seq, this.#order.types, { isSmall }));
    const startedAt = now();
    try {
      const status = await connection.post(
        texts.length === 1 ? texts[0]! : `[${texts.join(",")}]`,
      );
      if (this.#answerMs.length < MAX_TIMES) {
        this.#answerMs.push(now() - startedAt);
      }
      if (status === 202) this.#accepted += seqs.length;
      else this.#refused.push(...seqs);
      return status;
    } catch {
      this.unanswered(seqs);
      return undefined;
    }
  }

  unanswered(seqs: readonly number[]): void {
    this.#unanswered.push(...seqs);
  }

  done(): Posted {
    return {
      accepted: this.#accepted,
      posted: this.#used,
      refused: this.#refused,
      unanswered: this.#unanswered,
      startedAt: this.#startedAt,
      endedAt: now(),
      answerMs: this.#answerMs,
    };
  }
}

const MAX_TIMES = 100_000;

/** A random generator with the same numbers in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

if (import.meta.main) {
  await serveCommands({ flood, pace } satisfies GeneratorCommands);
}
