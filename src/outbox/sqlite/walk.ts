import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Clock } from "../../runtime/clock.ts";
import { Turn } from "../../runtime/turn.ts";
import { DataDamaged } from "../errors.ts";
import { UNREADABLE } from "./damage.ts";
import type { Position } from "../ids.ts";
import type { ReadingThread } from "./reading_thread.ts";
import type { ListSql } from "./search_sql.ts";
import { type Answered, answerTo, type Asked, type Row } from "./sqlite_thread.ts";

/** A list of rows, newest first, and what is looked for in it. */
export interface Walked {
  readonly sql: ListSql;
  /** Whether a text is looked for too, or only what the filters ask for. */
  readonly seeks: boolean;
  /** What the list is of, where it is of one thing. */
  readonly of?: number | string;
  /** The list ends with this. */
  readonly from: Position;
  /** What a row must have, as `listed` or `found` takes it. */
  readonly wanted: Wanted;
}

export type Wanted = Readonly<Record<string, string | number | Uint8Array | null>>;

/** What one slice of a list gave. */
export interface Slice {
  /** Newest first; one more than asked for where there are more. */
  readonly found: readonly Position[];
  /** The last row that it looked at; undefined at the list's end. */
  readonly reached: Position | undefined;
}

/**
 * So many rows are looked at on the loop, and for so long: what is found that soon needs no thread, and
 * where there are no more, all of them are looked at in one call, however slow the machine is.
 */
const ROWS_ON_LOOP = 2_000, LOOP_MS = 25;

/** How many rows a slice has at first and at the most, and how long it should take. */
interface Pace {
  readonly first: number;
  readonly most: number;
  readonly sliceMs: number;
}

/** Short, for it holds the loop, and a payload may be large. */
const ON_LOOP: Pace = { first: 4, most: 500, sliceMs: 3 };
/**
 * Short, for others want the thread, and what it reads keeps the journal from beginning anew. Nothing ends
 * a slice that turns out long, so there are few rows at first, and never so many that the largest payloads
 * would take minutes.
 */
const ON_THREAD: Pace = { first: 64, most: 20_000, sliceMs: 10 };

/** Where rows are read: a connection of this thread, and another thread where there is one. */
export interface Reading {
  readonly db: DatabaseSync;
  /** The connection's statements that were prepared so far. */
  readonly prepared: Map<string, StatementSync>;
  readonly thread?: ReadingThread | undefined;
  readonly clock: Clock;
}

/**
 * Looks through lists for one call: a few rows on the loop, and then on a thread, where there is one. A
 * slice has as many rows as are looked at within its time: payloads may be bytes or megabytes long.
 */
export class Walk {
  readonly #reading: Reading;
  readonly #turn: Turn;
  readonly #paces = new Map<Pace, number>();
  #rowsOnLoop = 0;

  constructor(reading: Reading) {
    this.#reading = reading;
    this.#turn = new Turn(reading.clock);
  }

  /** Whether it has only begun. */
  get isShort(): boolean {
    return this.#rowsOnLoop < ROWS_ON_LOOP && this.#turn.workedMs < LOOP_MS;
  }

  /** The next slice of a list below a position, with `limit` rows at the most and one more. */
  async slice(walked: Walked, before: Position, limit: number): Promise<Slice> {
    const asked = { walked, before, limit };
    const answered = this.isShort ? undefined : await this.#ask(ON_THREAD, asked);
    return answered ?? (await this.#ask(ON_LOOP, asked))!;
  }

  async #ask(
    pace: Pace,
    { walked, before, limit }: { walked: Walked; before: Position; limit: number },
  ): Promise<Slice | undefined> {
    const { sql, seeks, of, wanted } = walked;
    const within = (from: Position) => ({
      ...(of !== undefined && { of }),
      fromAt: from.createdAt,
      fromSeq: from.seq,
      beforeAt: before.createdAt,
      beforeSeq: before.seq,
    });
    const first = seeks ? pace.first : Math.max(pace.first, limit + 1);
    for (let rows = this.#paces.get(pace) ?? first;;) {
      if (pace === ON_LOOP && this.#turn.isOver) await this.#turn.rest();
      const startedMs = this.#reading.clock.monotonicMs();
      const ended = await this.#read(pace, {
        sql: sql.end,
        params: { ...within(walked.from), rows },
      });
      if (!ended) return undefined;
      if ("damage" in ended) throw new DataDamaged(UNREADABLE);
      const [reached] = positionsIn(ended.rows);
      assertGetsOn(before, reached);
      const matched = await this.#read(pace, {
        sql: seeks ? sql.found : sql.listed,
        params: { ...within(reached ?? walked.from), ...wanted },
      });
      if (!matched) return undefined;
      const tookMs = this.#reading.clock.monotonicMs() - startedMs;
      if (pace === ON_LOOP) this.#rowsOnLoop += rows;
      if ("damage" in matched && rows > 1) {
        // The damaged row is looked for, and passed by.
        rows = Math.max(1, Math.floor(rows / 8));
        continue;
      }
      const faster = Math.round(rows * pace.sliceMs / Math.max(tookMs, 0.1));
      this.#paces.set(pace, Math.max(1, Math.min(faster, rows * 2, pace.most)));
      const found = "damage" in matched ? [] : positionsIn(matched.rows).sort(newestFirst);
      return { found: found.slice(0, limit + 1), reached };
    }
  }

  async #read(pace: Pace, asked: Asked): Promise<Answered | undefined> {
    const { db, prepared, thread } = this.#reading;
    if (pace === ON_LOOP) return answerTo(db, asked, prepared);
    return (await thread?.read([asked]))?.[0];
  }
}

/** In a damaged file rows may be out of order: what looks through them would never end. */
export function assertGetsOn(newer: Position, older: Position | undefined): void {
  if (older && newestFirst(newer, older) >= 0) throw new DataDamaged(UNREADABLE);
}

export function newestFirst(a: Position, b: Position): number {
  return b.createdAt - a.createdAt || b.seq - a.seq;
}

function positionsIn(rows: readonly Row[]): Position[] {
  return rows.map(({ seq, created_at }) => ({
    createdAt: created_at as Instant,
    seq: seq as number,
  }));
}
