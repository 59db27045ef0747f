import { type Attempt, lastResultOf } from "../../domain/attempt.ts";
import type { Delivery, DeliveryCause, DeliveryState, FormatText } from "../../domain/delivery.ts";
import type { Event } from "../../domain/event.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import { deliveryId, parseDeliveryId } from "../ids.ts";
import type { ExhaustedDigest, Replay } from "../outbox.ts";
import type { RememberedEntry, StoredEvent } from "../reader.ts";
import { Tallies } from "./tallies.ts";

/** What is kept of an event. */
export interface EventRow {
  readonly seq: number;
  readonly event: Event;
  readonly publisher: string | undefined;
  readonly source: string | undefined;
  readonly contentHash: Uint8Array | undefined;
  readonly acceptedAt: Instant;
  /** In the order of their numbers; an event without any goes when its time is over. */
  readonly deliveries: DeliveryRow[];
}

/** What is kept of a delivery: what it is, and how it stands. */
export interface DeliveryRow {
  readonly seq: number;
  readonly event: EventRow;
  readonly subscription: string;
  readonly format: FormatText;
  readonly cause: DeliveryCause;
  readonly createdAt: Instant;
  readonly redeliveryOf: string | undefined;
  readonly attempts: Attempt[];
  state: DeliveryState;
  /** Counts while it is pending. */
  dueAt: Instant;
  reason?: string | undefined;
  lastStatus?: number | undefined;
  finishedAt?: Instant;
  /** How many replays had begun when it finished. */
  finishedAfter?: number;
}

/** A replay, and how far it got. */
export interface ReplayRow {
  replay: Replay;
  readonly number: number;
  /** It looks at what was created before this. */
  readonly endsAt: Instant;
  cursor: Pick<DeliveryRow, "createdAt" | "seq">;
}

/** The answer to an Idempotency-Key, by the numbers of the events. */
export interface KeyRow {
  readonly content: Uint8Array;
  readonly events: readonly { readonly id: string; readonly seq: number }[];
  readonly createdAt: Instant;
}

/** What operators were not told of yet. */
export type ExhaustedRow = ExhaustedDigest["most"][number] & { readonly since: Instant };

/** All that outlives the process: whoever opens an outbox on it meets what the one before left. */
export class Rows {
  readonly events = new Map<number, EventRow>();
  readonly deliveries = new Map<number, DeliveryRow>();
  readonly keys = new Map<string, KeyRow>();
  readonly health = new Map<string, Health>();
  readonly replays = new Map<number, ReplayRow>();
  readonly exhausted = new Map<string, ExhaustedRow>();
  readonly starts = new Map<string, Instant[]>();
  readonly tallies = new Tallies();
  history: RememberedEntry[] = [];
  timeMark: TimeMark | undefined;
  /** The last numbers that were given. */
  readonly last = { event: 0, delivery: 0, replay: 0, entry: 0 };

  /** The delivery of that id; undefined where there is none. */
  delivery(id: string): DeliveryRow | undefined {
    const position = parseDeliveryId(id);
    const row = position && this.deliveries.get(position.seq);
    return row?.createdAt === position?.createdAt ? row : undefined;
  }

  pending(): DeliveryRow[] {
    return [...this.deliveries.values()].filter(({ state }) => state === "pending");
  }

  /** The events that publishers gave this id, or receivers know by it; the first stored come first. */
  eventsNamed(id: string): EventRow[] {
    return [...this.events.values()].filter(({ event }) => event.id === id || event.sentAs === id);
  }
}

export function idOf(row: Pick<DeliveryRow, "createdAt" | "seq">): string {
  return deliveryId(row);
}

export function storedEvent({ event, publisher, acceptedAt }: EventRow): StoredEvent {
  return { ...event, acceptedAt, ...(publisher !== undefined && { publisher }) };
}

export function deliveryOf(row: DeliveryRow): Delivery {
  const { event: { event }, subscription, cause, state, createdAt, attempts } = row;
  const last = attempts.at(-1);
  return {
    id: idOf(row),
    eventId: event.id,
    ...(event.sentAs !== undefined && { eventSentAs: event.sentAs }),
    type: event.type,
    subscription,
    cause,
    state,
    ...(row.reason !== undefined && { reason: row.reason }),
    ...(row.lastStatus !== undefined && { lastStatus: row.lastStatus }),
    ...(last && { lastResult: lastResultOf(last.outcome, last.startedAt + last.durationMs) }),
    attemptCount: attempts.length,
    ...(state === "pending" && { dueAt: row.dueAt }),
    createdAt,
    ...(row.finishedAt !== undefined && { finishedAt: row.finishedAt }),
    ...(row.redeliveryOf !== undefined && { redeliveryOf: row.redeliveryOf }),
  };
}

/** The order of lists, turned round. */
export function oldestFirst(
  a: Pick<DeliveryRow, "createdAt" | "seq">,
  b: Pick<DeliveryRow, "createdAt" | "seq">,
): number {
  return a.createdAt - b.createdAt || a.seq - b.seq;
}
