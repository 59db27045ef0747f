import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Replay, ReplayFilter, ReplayStep } from "../outbox.ts";
import { type Bytes, toBytes, toNullableBytes, toText } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import { orRemember } from "./damage.ts";
import { deliveryId, type Position } from "./delivery_id.ts";
import type { Insertion, NameTables } from "./insertion.ts";
import { IS_FRESH } from "./reading.ts";
import { parseReplayId, replayId } from "./replay_id.ts";
import { ReplayScan, type Scan } from "./replay_scan.ts";
import { STATE_FILTERS } from "./schema.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** How many rows one step looks at for those that it is to send again. */
export const LOOKED_ROWS = 2_000;

/** Begins replays and carries them out, step by step, within the store's transactions. */
export class Replaying {
  readonly #sql: Statements<keyof typeof REPLAYING_SQL>;
  readonly #names: NameTables;
  readonly #insertion: Insertion;
  readonly #scan: ReplayScan;
  /** Events on damaged pages, which can't be sent again. */
  readonly #damaged = new Set<number>();
  /** How many have begun: what finishes now finishes after that many. */
  #last: number;
  #lastCommitted: number;

  constructor(db: DatabaseSync, names: NameTables, insertion: Insertion) {
    this.#sql = prepareAll(db, REPLAYING_SQL);
    this.#names = names;
    this.#insertion = insertion;
    this.#scan = new ReplayScan(db, names);
    const { last } = this.#sql.begun.get() as { last: number };
    this.#last = this.#lastCommitted = last;
  }

  get last(): number {
    return this.#last;
  }

  committed(): void {
    this.#lastCommitted = this.#last;
  }

  rolledBack(): void {
    this.#last = this.#lastCommitted;
  }

  /** Draws the line between what finished before and after; answers the replay's number. */
  begin(): number {
    this.#sql.begin.run({ number: ++this.#last });
    return this.#last;
  }

  /** Stores a replay that has begun, once it is known how much there is to send. */
  open({ number, total, beginning: { filter, by, at } }: ReplayOpening): Replay {
    const { newest } = this.#sql.newestDelivery.get() as { newest: Instant };
    const row = this.#sql.open.get({
      number,
      createdAt: Math.round(at),
      operator: toBytes(by),
      subscription: toNullableBytes(filter.subscription),
      type: toNullableBytes(filter.type),
      state: filter.state === undefined ? null : STATE_FILTERS.indexOf(filter.state),
      since: filter.since,
      until: filter.until,
      // What is created from now on, by this replay above all, is not looked at.
      endsAt: Math.min(filter.until, newest + 1),
      total,
    });
    return replayFromRow(row as unknown as ReplayRow);
  }

  step({ id, limit, at }: ReplayStepRequest, changes: Changes): ReplayStep {
    const position = parseReplayId(id);
    const row = position && this.#sql.unfinished.get({ ...position }) as unknown as
      | (ReplayRow & { cursor_at: Instant; cursor_seq: number; ends_at: Instant })
      | undefined;
    if (!row) return { subscriptions: [], finished: true };
    const { filter } = replayFromRow(row);
    const cursor = { createdAt: row.cursor_at, seq: row.cursor_seq };
    const scan = this.#scan.over(filter, row.number);
    const walked = scan
      ? this.#walk({ scan, cursor, until: row.ends_at, limit, at }, changes)
      : { subscriptions: new Set<number>(), sent: 0, cursor, finished: true };
    this.#sql.goOn.run({
      number: row.number,
      cursorAt: walked.cursor.createdAt,
      cursorSeq: walked.cursor.seq,
      sent: walked.sent,
      finishedAt: walked.finished ? Math.round(at) : null,
    });
    const names = [...walked.subscriptions].map((each) => this.#names.subscriptions.name(each));
    return { subscriptions: names, finished: walked.finished };
  }

  #walk(
    { scan, cursor, until, limit, at }: {
      scan: Scan;
      cursor: Position;
      until: Instant;
      limit: number;
      at: Instant;
    },
    changes: Changes,
  ): Walked {
    const subscriptions = new Set<number>();
    let sent = 0;
    for (let looked = 0; looked < LOOKED_ROWS && sent < limit;) {
      const rows = Math.min(Math.max(limit, CHUNK_ROWS), LOOKED_ROWS - looked);
      const positions = scan.look({ after: cursor, until, rows });
      const taken = scan.take(positions, limit - sent);
      for (const row of taken) {
        const redeliveryOf = deliveryId({ createdAt: row.created_at, seq: row.seq });
        const { event } = row;
        if (this.#damaged.has(event)) continue;
        const again = { ...row, cause: "redelivery", redeliveryOf } as const;
        orRemember(() => {
          this.#insertion.delivery(again, at, changes);
          this.#sql.raiseCount.run({ event });
        }, () => this.#damaged.add(event));
        subscriptions.add(row.subscription);
      }
      sent += taken.length;
      if (sent === limit) {
        const last = taken.at(-1);
        if (last) cursor = { createdAt: last.created_at, seq: last.seq };
        break;
      }
      cursor = positions.at(-1) ?? cursor;
      if (positions.length < rows) return { subscriptions, sent, cursor, finished: true };
      looked += rows;
    }
    return { subscriptions, sent, cursor, finished: false };
  }
}

const CHUNK_ROWS = 250;

/** A replay that an operator asks for. */
export interface ReplayBeginning {
  readonly filter: ReplayFilter;
  readonly by: string;
  readonly at: Instant;
}

/** One that has begun, and how many deliveries it has to send. */
export interface ReplayOpening {
  readonly beginning: ReplayBeginning;
  readonly number: number;
  readonly total: number;
}

/** The next step of a replay. */
export interface ReplayStepRequest {
  readonly id: string;
  readonly limit: number;
  readonly at: Instant;
}

interface Walked {
  readonly subscriptions: ReadonlySet<number>;
  readonly sent: number;
  readonly cursor: Position;
  readonly finished: boolean;
}

/** A row of replays. */
export interface ReplayRow {
  readonly number: number;
  readonly created_at: Instant;
  readonly operator: Bytes;
  readonly subscription: Bytes | null;
  readonly type: Bytes | null;
  readonly state: number | null;
  readonly since: Instant;
  readonly until: Instant;
  readonly total: number;
  readonly done: number;
  readonly finished_at: Instant | null;
}

export function replayFromRow(row: ReplayRow): Replay {
  return {
    id: replayId({ createdAt: row.created_at, seq: row.number }),
    filter: {
      ...(row.subscription === null ? {} : { subscription: toText(row.subscription) }),
      ...(row.type === null ? {} : { type: toText(row.type) }),
      ...(row.state === null
        ? {}
        : { state: STATE_FILTERS[row.state] as NonNullable<ReplayFilter["state"]> }),
      since: row.since,
      until: row.until,
    },
    total: row.total,
    done: row.done,
    by: toText(row.operator),
    createdAt: row.created_at,
    ...(row.finished_at === null ? {} : { finishedAt: row.finished_at }),
  };
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const REPLAYING_SQL = {
  begun: "select count as last from replays_begun",

  begin: "update replays_begun set count = :number",

  newestDelivery: `
    select max(
      coalesce((select max(created_at) from deliveries where fresh = 0), 0),
      coalesce((select max(created_at) from deliveries where ${IS_FRESH}), 0)
    ) as newest`,

  open: `
    insert into replays (
      number, created_at, operator, subscription, type, state, since, until,
      cursor_at, cursor_seq, ends_at, total, done
    ) values (
      :number, :createdAt, :operator, :subscription, :type, :state, :since, :until,
      :since, 0, :endsAt, :total, 0
    )
    returning number, created_at, operator, subscription, type, state, since, until, total, done,
      finished_at`,

  unfinished: `
    select number, created_at, operator, subscription, type, state, since, until, total, done,
      finished_at, cursor_at, cursor_seq, ends_at
    from replays where number = :seq and created_at = :createdAt and finished_at is null`,

  goOn: `
    update replays set cursor_at = :cursorAt, cursor_seq = :cursorSeq, done = done + :sent,
      finished_at = :finishedAt
    where number = :number`,

  raiseCount: "update events set delivery_count = delivery_count + 1 where seq = :event",
} as const;
