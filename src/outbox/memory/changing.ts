import { type Attempt, responseOf } from "../../domain/attempt.ts";
import type { DeliveryCause } from "../../domain/delivery.ts";
import { type Health, isAnswering, UNTRIED } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import { isChannelId } from "../../domain/notice.ts";
import type { Verdict } from "../../domain/verdict.ts";
import type { HistoryEntry, NewEvent } from "../outbox.ts";
import type { Change } from "../reader.ts";
import type { Claims } from "./claims.ts";
import { deliveryOf, type DeliveryRow, type EventRow, idOf, type Rows } from "./rows.ts";

/** What the operations do to rows, and what of it watchers are to be told. */
export class Changing {
  readonly #rows: Rows;
  readonly #claims: Claims;
  readonly #touched = new Set<DeliveryRow>();
  /** The subscriptions that began or ceased to fail, to be paused or to answer. */
  readonly #turned = new Set<string>();

  constructor(rows: Rows, claims: Claims) {
    this.#rows = rows;
    this.#claims = claims;
  }

  insert({ event, publisher, contentHash, source, deliveries }: NewEvent, at: Instant): EventRow {
    const row: EventRow = {
      seq: ++this.#rows.last.event,
      event: { ...event, occurredAt: Math.round(event.occurredAt) },
      ...{ publisher, contentHash, source },
      acceptedAt: Math.round(at),
      deliveries: [],
    };
    this.#rows.events.set(row.seq, row);
    for (const { subscription, format, cause } of deliveries) {
      this.#insertDelivery({ event: row, subscription, format, cause }, at);
    }
    return row;
  }

  #insertDelivery(
    delivery: Pick<DeliveryRow, "event" | "subscription" | "format"> & {
      readonly cause: DeliveryCause;
      readonly redeliveryOf?: string;
    },
    at: Instant,
  ): DeliveryRow {
    const row: DeliveryRow = {
      redeliveryOf: undefined,
      ...delivery,
      seq: ++this.#rows.last.delivery,
      createdAt: Math.round(at),
      dueAt: Math.round(at),
      state: "pending",
      attempts: [],
    };
    this.#rows.deliveries.set(row.seq, row);
    row.event.deliveries.push(row);
    this.#touched.add(row);
    return row;
  }

  sendAgain(row: DeliveryRow, at: Instant): DeliveryRow {
    const { event, subscription, format } = row;
    const again = { event, subscription, format, redeliveryOf: idOf(row) };
    return this.#insertDelivery({ ...again, cause: "redelivery" }, at);
  }

  hasten(row: DeliveryRow, now: Instant): void {
    row.dueAt = Math.min(row.dueAt, Math.round(now));
    this.#touched.add(row);
  }

  /** Whoever has claimed it may have an attempt under way. */
  cancel(row: DeliveryRow, reason: string, at: Instant): void {
    this.#claims.cancel(row);
    this.finish(row, { state: "cancelled", reason, at });
  }

  finish(
    row: DeliveryRow,
    { state, reason, at }: {
      readonly state: Exclude<Verdict["kind"], "retry">;
      readonly reason: string | undefined;
      readonly at: Instant;
    },
  ): void {
    const finishedAt = Math.round(at), finishedAfter = this.#rows.last.replay;
    Object.assign(row, { state, reason, finishedAt, finishedAfter });
    this.#touched.add(row);
    if (state !== "exhausted" || isChannelId(row.subscription)) return;
    const { exhausted } = this.#rows, { subscription } = row;
    const first = exhausted.get(subscription) ?? {
      ...{ since: finishedAt, subscription, deliveries: 0 },
      example: { delivery: idOf(row), reason: reason! },
    };
    exhausted.set(subscription, { ...first, deliveries: first.deliveries + 1 });
  }

  addAttempt(row: DeliveryRow, attempt: Attempt, verdict: Verdict["kind"] | undefined): void {
    const kept: Attempt = {
      ...attempt,
      number: row.attempts.length + 1,
      startedAt: Math.round(attempt.startedAt),
      // The clock may be set back while an attempt runs.
      durationMs: Math.max(0, Math.round(attempt.durationMs)),
    };
    row.attempts.push(kept);
    row.lastStatus = responseOf(attempt.outcome)?.status;
    if (row.cause !== "notice") this.#rows.tallies.add(row.subscription, kept, verdict);
    this.#touched.add(row);
  }

  healthOf(subscription: string): Health {
    return this.#rows.health.get(subscription) ?? UNTRIED;
  }

  setHealth(subscription: string, health: Health): void {
    const before = this.healthOf(subscription);
    // Enabled or disabled, it is another from then on; when it is met first nothing has changed.
    const isSwitched = before.changedAt !== undefined && before.changedAt !== health.changedAt;
    const isTurning = isSwitched || before.failingSince !== health.failingSince ||
      before.pausedAt !== health.pausedAt || isAnswering(before) !== isAnswering(health);
    if (isTurning) this.#turned.add(subscription);
    this.#rows.health.set(subscription, health);
  }

  remember(entry: HistoryEntry): void {
    this.#rows.history.push({ ...entry, seq: ++this.#rows.last.entry });
  }

  /** What was changed since it was asked last. */
  take(): Change[] {
    const changes: Change[] = [
      ...[...this.#touched].map((row) => ({
        kind: "delivery" as const,
        delivery: deliveryOf(row),
      })),
      ...[...this.#turned].map((subscription) => ({
        kind: "subscription" as const,
        subscription,
        health: this.#rows.health.get(subscription)!,
        pending: this.#rows.pending().filter((row) => row.subscription === subscription).length,
      })),
    ];
    this.#touched.clear();
    this.#turned.clear();
    return changes;
  }
}
