import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Replay, ReplayEntry, ReplayFilter, ReplayLimits, ReplayStep } from "../outbox.ts";
import { type Bytes, toBytes, toNullableBytes, toText } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import { orRemember } from "./damage.ts";
import { deliveryId, parseReplayId, type Position, replayId } from "../ids.ts";
import type { Insertion, NameTables } from "./insertion.ts";
import type { OperatorActions } from "./operator_actions.ts";
import { type ReplayedRow, ReplayScan, type Scan } from "./replay_scan.ts";
import { STATE_FILTERS } from "./schema.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** How many rows one step looks at for those that it is to send again. */
export const LOOKED_ROWS = 2_000;

interface Parts {
  readonly names: NameTables;
  readonly insertion: Insertion;
  readonly actions: OperatorActions;
}

/** Begins replays and carries them out, step by step, within the store's transactions. */
export class Replaying {
  readonly #sql: Statements<keyof typeof REPLAYING_SQL>;
  readonly #names: NameTables;
  readonly #insertion: Insertion;
  readonly #scan: ReplayScan;
  /** Events on damaged pages, which can't be sent again. */
  readonly #damaged = new Set<number>();
  readonly #actions: OperatorActions;
  /** How many have begun: what finishes now finishes after that many. */
  #last: number;
  #lastCommitted: number;

  constructor(db: DatabaseSync, { names, insertion, actions }: Parts) {
    this.#actions = actions;
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
      cancels: filter.action === "cancel" ? 1 : 0,
      // What is created from now on, by this replay above all, is not looked at.
      endsAt: Math.min(filter.until, newest + 1),
      total,
    });
    return replayFromRow(row as unknown as ReplayRow);
  }

  step({ id, limit, at, isHeld }: ReplayStepRequest, changes: Changes): ReplayStep {
    const position = parseReplayId(id);
    const row = position && this.#sql.unfinished.get({ ...position }) as unknown as
      | (ReplayRow & { cursor_at: Instant; cursor_seq: number; ends_at: Instant })
      | undefined;
    if (!row) return { subscriptions: [], cancelled: [], finished: true };
    const { filter, by } = replayFromRow(row);
    const cancelled: string[] = [];
    const act = (taken: ReplayedRow): boolean => {
      if (filter.state !== "pending") return this.#sendAgain(taken, at, changes);
      const delivery = deliveryId({ createdAt: taken.created_at, seq: taken.seq });
      if (filter.action !== "cancel") {
        const subscription = this.#names.subscriptions.name(taken.subscription);
        return !isHeld?.(subscription) && this.#actions.hasten(delivery, at, changes);
      }
      const reason = `cancelled by ${by} (${id})`;
      const ended = this.#actions.cancel({ deliveryIds: [delivery], reason, now: at }, changes);
      const isCancelled = ended > 0;
      if (isCancelled) cancelled.push(delivery);
      return isCancelled;
    };
    const cursor = { createdAt: row.cursor_at, seq: row.cursor_seq };
    const scan = this.#scan.over(filter, row.number);
    const walked = scan
      ? this.#walk({ scan, cursor, until: row.ends_at, limit, act })
      : { subscriptions: new Set<number>(), done: 0, cursor, finished: true };
    this.#sql.goOn.run({
      number: row.number,
      cursorAt: walked.cursor.createdAt,
      cursorSeq: walked.cursor.seq,
      done: walked.done,
      finishedAt: walked.finished ? Math.round(at) : null,
    });
    const names = [...walked.subscriptions].map((each) => this.#names.subscriptions.name(each));
    return { subscriptions: names, cancelled, finished: walked.finished };
  }

  /** Ends one that is under way; undefined where there is none. */
  stop(id: string, at: Instant): Replay | undefined {
    const position = parseReplayId(id);
    const row = position && this.#sql.stop.get({ ...position, at: Math.round(at) });
    return row && replayFromRow(row as unknown as ReplayRow);
  }

  #sendAgain(row: ReplayedRow, at: Instant, changes: Changes): boolean {
    const { event } = row;
    if (this.#damaged.has(event)) return false;
    const redeliveryOf = deliveryId({ createdAt: row.created_at, seq: row.seq });
    const again = { ...row, cause: "redelivery", redeliveryOf } as const;
    orRemember(() => {
      this.#insertion.delivery(again, at, changes);
      this.#sql.raiseCount.run({ event });
    }, () => this.#damaged.add(event));
    return true;
  }

  #walk(
    { scan, cursor, until, limit, act }: {
      scan: Scan;
      cursor: Position;
      until: Instant;
      limit: number;
      act: (row: ReplayedRow) => boolean;
    },
  ): Walked {
    const subscriptions = new Set<number>();
    let done = 0, seen = 0;
    for (let looked = 0; looked < LOOKED_ROWS && seen < limit;) {
      const rows = Math.min(Math.max(limit, CHUNK_ROWS), LOOKED_ROWS - looked);
      const positions = scan.look({ after: cursor, until, rows });
      const taken = scan.take(positions, limit - seen);
      for (const row of taken) {
        if (!act(row)) continue;
        subscriptions.add(row.subscription);
        done++;
      }
      seen += taken.length;
      if (seen === limit) {
        const last = taken.at(-1);
        if (last) cursor = { createdAt: last.created_at, seq: last.seq };
        break;
      }
      cursor = positions.at(-1) ?? cursor;
      if (positions.length < rows) return { subscriptions, done, cursor, finished: true };
      looked += rows;
    }
    return { subscriptions, done, cursor, finished: false };
  }
}

const CHUNK_ROWS = 250;

/** A replay that an operator asks for. */
export interface ReplayBeginning {
  readonly filter: ReplayFilter;
  readonly by: string;
  readonly at: Instant;
  readonly entry?: ReplayEntry;
}

/** One that has begun, and how many deliveries it has to send. */
export interface ReplayOpening {
  readonly beginning: ReplayBeginning;
  readonly number: number;
  readonly total: number;
}

/** The next step of a replay. */
export interface ReplayStepRequest extends ReplayLimits {
  readonly id: string;
}

interface Walked {
  readonly subscriptions: ReadonlySet<number>;
  readonly done: number;
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
  readonly cancels: number;
  readonly stopped: number;
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
      ...(row.cancels === 1 ? { action: "cancel" as const } : {}),
      since: row.since,
      until: row.until,
    },
    total: row.total,
    done: row.done,
    by: toText(row.operator),
    createdAt: row.created_at,
    ...(row.finished_at === null ? {} : { finishedAt: row.finished_at }),
    state: row.finished_at === null ? "running" : row.stopped === 1 ? "stopped" : "finished",
  };
}

/** What a ReplayRow holds. */
export const REPLAY = `number, created_at, operator, subscription, type, state, since, until, total,
  done, finished_at, cancels, stopped`;

/** The statements by name; the tests ask SQLite how it would run each. */
export const REPLAYING_SQL = {
  begun: "select count as last from replays_begun",

  begin: "update replays_begun set count = :number",

  newestDelivery: "select coalesce(max(created_at), 0) as newest from deliveries",

  open: `
    insert into replays (
      number, created_at, operator, subscription, type, state, since, until,
      cursor_at, cursor_seq, ends_at, total, done, cancels
    ) values (
      :number, :createdAt, :operator, :subscription, :type, :state, :since, :until,
      :since, 0, :endsAt, :total, 0, :cancels
    )
    returning ${REPLAY}`,

  unfinished: `
    select ${REPLAY}, cursor_at, cursor_seq, ends_at
    from replays where number = :seq and created_at = :createdAt and finished_at is null`,

  goOn: `
    update replays set cursor_at = :cursorAt, cursor_seq = :cursorSeq, done = done + :done,
      finished_at = :finishedAt
    where number = :number`,

  stop: `
    update replays set finished_at = :at, stopped = 1
    where number = :seq and created_at = :createdAt and finished_at is null
    returning ${REPLAY}`,

  raiseCount: "update events set delivery_count = delivery_count + 1 where seq = :event",
} as const;
