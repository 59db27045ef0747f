import { serveCommands } from "../processes/helper.ts";
import { Connection } from "./connection.ts";
import { eventText, now } from "./event.ts";

/** Who posts events: a process of its own, so that the clock it goes by is not the measured one's. */
export type GeneratorCommands = {
  /** As fast as they are accepted, over so many connections. */
  flood(order: FloodOrder): Promise<Posted>;
  /** At a steady mean rate, whatever the answers take; the gaps are those of independent publishers. */
  pace(order: PaceOrder): Promise<Posted>;
};

interface Order {
  /** Where events are taken. */
  readonly url: string;
  /** The number of the first event. */
  readonly from: number;
  /** How many types the events are of, in turn. */
  readonly types: number;
  /** No event is posted later than this. */
  readonly limitMs: number;
}

export interface FloodOrder extends Order {
  readonly connections: number;
  /** At most so many events. */
  readonly count: number;
  /** Events a request, as an array where it is more than one. */
  readonly batch?: number;
  /** Whether events are as small as can be. */
  readonly isSmall?: boolean;
}

export interface PaceOrder extends Order {
  readonly perSecond: number;
}

export interface Posted {
  /** How many events were accepted: numbers `from` and up, less the refused and unanswered ones. */
  readonly accepted: number;
  /** How many numbers were used. */
  readonly posted: number;
  readonly refused: number[];
  /** Posted, and the connection broke before the answer came: they may be stored or not. */
  readonly unanswered: number[];
  readonly startedAt: number;
  readonly endedAt: number;
  /** From a post to its answer; at most a hundred thousand of them. */
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

/** What has been posted and what came of it. */
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

  /** Whether the server has gone: no further connection is worth trying. */
  get isBroken(): boolean {
    return this.#unanswered.length > 0;
  }

  take(count: number): number[] {
    const first = this.#order.from + this.#used;
    this.#used += count;
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** Answers the status; undefined where the connection broke. */
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

/** Chance that is the same in every run (mulberry32). */
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
