import { isInState } from "../../domain/delivery.ts";
import { parseReplayId, replayId } from "../ids.ts";
import type { Replay, ReplayFilter, ReplayLimits, ReplayStep } from "../outbox.ts";
import { type DeliveryRow, idOf, oldestFirst, type ReplayRow, type Rows } from "./rows.ts";

/** What a step of a replay does to one delivery; false where it leaves it alone. */
export interface ReplayActions {
  sendAgain(row: DeliveryRow): void;
  hasten(row: DeliveryRow): void;
  cancel(row: DeliveryRow, reason: string): void;
}

/** Deliveries that fit a filter, the oldest first: of finished ones those that finished before a replay. */
export function fitting(rows: Rows, filter: ReplayFilter, number = Infinity): DeliveryRow[] {
  const { subscription, type, state, since, until } = filter;
  return [...rows.deliveries.values()].filter((row) =>
    row.createdAt >= since && row.createdAt < until &&
    (subscription === undefined || row.subscription === subscription) &&
    (type === undefined || row.event.event.type === type) &&
    (state === undefined || isInState(row, state)) &&
    (state === "pending" ? row.cause !== "notice" : isToSendAgain(row, number))
  ).sort(oldestFirst);
}

/** Of an event to a subscription only the newest is sent again, and none of a test or a notice. */
function isToSendAgain(row: DeliveryRow, number: number): boolean {
  const { event: { deliveries }, subscription, cause, seq } = row;
  const first = deliveries[0]!.cause;
  return row.state !== "pending" && row.finishedAfter! < number &&
    (cause === "event" || cause === "redelivery" && first !== "test" && first !== "notice") &&
    !deliveries.some((other) =>
      other.subscription === subscription && other.cause === "redelivery" && other.seq > seq
    );
}

export function startReplay(
  rows: Rows,
  { filter, by, at }: { readonly filter: ReplayFilter; readonly by: string; readonly at: number },
): Replay {
  const number = ++rows.last.replay, createdAt = Math.round(at);
  const newest = Math.max(0, ...[...rows.deliveries.values()].map((row) => row.createdAt));
  const replay: Replay = {
    id: replayId({ createdAt, seq: number }),
    filter,
    total: fitting(rows, filter, number).length,
    done: 0,
    by,
    createdAt,
    state: "running",
  };
  // What is created from now on, by this replay above all, is not looked at.
  const endsAt = Math.min(filter.until, newest + 1);
  rows.replays.set(number, { replay, number, endsAt, cursor: { createdAt: filter.since, seq: 0 } });
  return replay;
}

/** The row of a replay that is under way; undefined where there is none. */
export function openReplay(rows: Rows, id: string): ReplayRow | undefined {
  const row = rows.replays.get(parseReplayId(id)?.seq ?? 0);
  return row?.replay.id === id && row.replay.state === "running" ? row : undefined;
}

export function stepReplay(
  rows: Rows,
  { id, limit, at, isHeld }: ReplayLimits & { readonly id: string },
  actions: ReplayActions,
): ReplayStep {
  const row = openReplay(rows, id);
  if (!row) return { subscriptions: [], cancelled: [], finished: true };
  const { replay: { filter, by }, number, endsAt, cursor } = row;
  const left = fitting(rows, { ...filter, until: endsAt }, number)
    .filter((each) => oldestFirst(each, cursor) > 0);
  const taken = left.slice(0, limit), finished = taken.length < limit;
  const subscriptions = new Set<string>(), cancelled: string[] = [];
  let done = 0;
  for (const each of taken) {
    if (filter.state === "pending" && filter.action === "cancel") {
      actions.cancel(each, `cancelled by ${by} (${id})`);
      cancelled.push(idOf(each));
    } else if (filter.state !== "pending") actions.sendAgain(each);
    else if (isHeld?.(each.subscription)) continue;
    else actions.hasten(each);
    subscriptions.add(each.subscription);
    done++;
  }
  const { createdAt, seq } = taken.at(-1) ?? cursor;
  row.cursor = { createdAt, seq };
  row.replay = {
    ...row.replay,
    done: row.replay.done + done,
    ...(finished && { finishedAt: Math.round(at), state: "finished" }),
  };
  return { subscriptions: [...subscriptions], cancelled, finished };
}
