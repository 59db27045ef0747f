import type { Instant } from "../../domain/instant.ts";
import {
  type KeptTimes,
  type Pruned,
  PRUNED_KINDS,
  type PrunedKind,
  type PruneRequest,
} from "../outbox.ts";
import { type DeliveryRow, type EventRow, type Rows } from "./rows.ts";

/** A row that is kept for some time from an instant on. */
interface Prunable {
  readonly at: Instant;
  remove(): void;
}

/** Takes away what nobody needs to keep any longer, in batches. */
export class Pruning {
  readonly #rows: Rows;
  /** The kind that the next batch begins with: when one ran out of time, the others go first. */
  #turn = 0;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  batch(request: PruneRequest): Pruned {
    const { limit, hold } = request;
    const startedMs = hold?.monotonicMs() ?? 0;
    const heldMs = () => hold === undefined ? 0 : hold.monotonicMs() - startedMs;
    let isOver = false, mayHaveMore = false;
    const pruned = { deliveries: 0, events: 0, others: 0 };
    for (let i = 0; i < PRUNED_KINDS.length && !isOver; i++) {
      const kind = PRUNED_KINDS[this.#turn]!;
      this.#turn = (this.#turn + 1) % PRUNED_KINDS.length;
      const before = overdueBefore(kind, request), events = this.#rows.events.size;
      let count = 0;
      if (kind === "tallies") count = this.#rows.tallies.prune(before, limit);
      for (const { at, remove } of this.#prunable(kind, request).slice(0, limit)) {
        if (at >= before) break;
        remove();
        count++;
        isOver = hold !== undefined && heldMs() >= hold.maxMs;
        if (isOver) break;
      }
      pruned.events += events - this.#rows.events.size;
      if (isFinalState(kind)) pruned.deliveries += count;
      else if (kind !== "events") pruned.others += count;
      mayHaveMore ||= count >= limit || isOver;
    }
    return { ...pruned, mayHaveMore, heldMs: heldMs() };
  }

  /** For how long the oldest row of each kind has been overdue; kinds without any are left out. */
  overdue(times: KeptTimes): Map<PrunedKind, number> {
    const overdue = new Map<PrunedKind, number>();
    for (const kind of PRUNED_KINDS) {
      const [oldest] = this.#prunable(kind, times);
      const at = kind === "tallies" ? this.#rows.tallies.oldest : oldest?.at;
      if (at !== undefined && at < overdueBefore(kind, times)) {
        overdue.set(kind, overdueBefore(kind, times) - at);
      }
    }
    return overdue;
  }

  /** The oldest come first. Of tallies none: they see to themselves. */
  #prunable(kind: PrunedKind, times: KeptTimes): Prunable[] {
    return this.#ended(kind, times).filter(({ at }) => at < Infinity).sort((a, b) => a.at - b.at);
  }

  #ended(kind: PrunedKind, { delivered }: KeptTimes): Prunable[] {
    const { events, deliveries, keys, replays, history } = this.#rows;
    switch (kind) {
      case "events":
        return [...events.values()].filter((row) => row.deliveries.length === 0)
          .map(({ seq, acceptedAt: at }) => ({ at, remove: () => events.delete(seq) }));
      case "keys":
        return [...keys].map(([key, { createdAt: at }]) => ({
          at,
          remove: () => keys.delete(key),
        }));
      case "history":
        return history.map((entry) => ({ at: entry.at, remove: () => this.#forget(entry) }));
      case "replays":
        return [...replays].map(([number, { replay: { finishedAt: at = Infinity } }]) => ({
          at,
          remove: () => replays.delete(number),
        }));
      case "tallies":
        return [];
      default:
        return [...deliveries.values()].filter(({ state }) => state === kind)
          .map((row) => ({
            at: row.finishedAt!,
            remove: () => this.#removeDelivery(row, delivered),
          }));
    }
  }

  #forget(entry: Rows["history"][number]): void {
    this.#rows.history = this.#rows.history.filter((other) => other !== entry);
  }

  /** An event goes with its last delivery; one too young to go is found later, being bare. */
  #removeDelivery({ seq, event }: DeliveryRow, acceptedBefore: Instant): void {
    this.#rows.deliveries.delete(seq);
    event.deliveries.splice(event.deliveries.findIndex((row) => row.seq === seq), 1);
    if (isOverdue(event, acceptedBefore)) this.#rows.events.delete(event.seq);
  }
}

function isOverdue({ deliveries, acceptedAt }: EventRow, acceptedBefore: Instant): boolean {
  return deliveries.length === 0 && acceptedAt < acceptedBefore;
}

function isFinalState(kind: PrunedKind): boolean {
  return kind === "delivered" || kind === "exhausted" || kind === "cancelled";
}

/** Before when rows of a kind are overdue. */
function overdueBefore(kind: PrunedKind, { delivered, exhausted }: KeptTimes): Instant {
  if (kind === "delivered" || kind === "events") return delivered;
  // A key may name events of either end.
  return kind === "keys" ? Math.min(delivered, exhausted) : exhausted;
}
