// Asynchronous as the port is.
// deno-lint-ignore-file require-await
import { type Attempt, responseOf } from "../../domain/attempt.ts";
import type { Delivery, DeliveryCause } from "../../domain/delivery.ts";
import { type Health, isAnswering, UNTRIED } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import { isChannelId } from "../../domain/notice.ts";
import type { Verdict } from "../../domain/verdict.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import { OutboxFailed, OutboxUnavailable } from "../errors.ts";
import type {
  Claim,
  Claimed,
  ClaimRequest,
  Enqueue,
  Enqueued,
  ExhaustedDigest,
  HistoryEntry,
  NewEvent,
  Outbox,
  PacedStart,
  Pausing,
  Pruned,
  PruneRequest,
  Recording,
  Replay,
  ReplayEntry,
  ReplayFilter,
  ReplayLimits,
  ReplayStep,
  Resuming,
  TimedCommit,
} from "../outbox.ts";
import type { Change, OutboxReader } from "../reader.ts";
import { enqueue } from "./enqueueing.ts";
import { MemoryReader } from "./memory_reader.ts";
import { Pruning } from "./pruning.ts";
import { openReplay, startReplay, stepReplay } from "./replaying.ts";
import { deliveryOf, type DeliveryRow, type EventRow, idOf, Rows } from "./rows.ts";

/** So many subscriptions are named in a digest. */
const MOST_NAMED = 10;

/**
 * The outbox in memory: what every operation means, with nothing but maps. Each is a commit of its own,
 * carried out when it is asked for. What outlives the process is in its rows, and claims are not.
 */
export class MemoryOutbox extends MemoryReader implements Outbox, OutboxReader {
  readonly failed: Promise<OutboxFailed>;
  commits = 0;
  readonly #rows: Rows;
  readonly #pruning: Pruning;
  /** The token of each claim, by its delivery's number. */
  readonly #claims = new Map<number, number>();
  /** The same of deliveries that were cancelled while claimed: their attempts are still to come. */
  readonly #cancelled = new Map<number, number>();
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  #timed: TimedCommit = (commit) => commit();
  #lastToken = 0;
  /** Commits that have begun. */
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;
  /** Why the last commit could not be carried out. */
  #refused: OutboxFailed | OutboxUnavailable | undefined;
  readonly #fail: (failure: OutboxFailed) => void;
  /** What the operation under way changes. */
  #touched = new Set<DeliveryRow>();
  #turned = new Set<string>();

  constructor(rows = new Rows()) {
    super(rows);
    this.#rows = rows;
    this.#pruning = new Pruning(rows);
    const { promise, resolve } = Promise.withResolvers<OutboxFailed>();
    this.failed = promise;
    this.#fail = resolve;
  }

  timeCommits(timed: TimedCommit): void {
    this.#timed = timed;
  }

  enqueue(request: Enqueue): Promise<Enqueued> {
    return this.#commit(() => {
      const claims: Claim[] = [], unclaimed = new Set<string>();
      const answer = enqueue(this.#rows, request, (incoming) => {
        const event = this.#insert(incoming, request.at);
        for (const [index, row] of event.deliveries.entries()) {
          if (incoming.deliveries[index]!.claim) claims.push(this.#claim(row));
          else unclaimed.add(row.subscription);
        }
        return event;
      });
      return answer.kind === "accepted" ? { ...answer, claims, unclaimed: [...unclaimed] } : answer;
    }, { ofEvents: 1 });
  }

  async claim({ subscription, now, limit, testsOnly = false }: ClaimRequest): Promise<Claimed> {
    this.#assertOpen();
    const free = this.#unclaimed().filter((row) =>
      row.subscription === subscription && (!testsOnly || row.cause === "test")
    ).sort((a, b) => a.dueAt - b.dueAt || a.seq - b.seq);
    const taken = free.slice(0, limit).filter(({ dueAt }) => dueAt <= now);
    const next = free[taken.length];
    const claims = taken.map((row) => this.#claim(row));
    return { claims, ...(next && { nextDueAt: next.dueAt }) };
  }

  record(recording: Recording): Promise<boolean> {
    return this.#commit(() => {
      const { claim: { delivery: { id }, token }, attempt, verdict, at } = recording;
      const row = this.#rows.delivery(id);
      const isHeld = row !== undefined && this.#claims.get(row.seq) === token;
      const isLate = row !== undefined && this.#cancelled.get(row.seq) === token;
      if (!isHeld && !isLate) return false;
      this.#claims.delete(row.seq);
      this.#cancelled.delete(row.seq);
      this.#addAttempt(row, attempt, isHeld ? verdict.kind : undefined);
      // Rounded up: never early.
      if (isHeld && verdict.kind === "retry") row.dueAt = Math.ceil(verdict.dueAt);
      else if (isHeld && verdict.kind !== "retry") {
        this.#finish(row, { state: verdict.kind, reason: verdict.reason, at });
      }
      const { health, healthNotices = [], history = [] } = recording;
      if (health) this.#setHealth(row.subscription, health);
      for (const notice of healthNotices) this.#insert(notice, at);
      for (const entry of history) this.#remember(entry);
      return isHeld;
    });
  }

  async release(claims: readonly Claim[]): Promise<void> {
    this.#assertOpen();
    for (const { delivery: { id }, token } of claims) {
      const seq = this.#rows.delivery(id)?.seq ?? 0;
      for (const held of [this.#claims, this.#cancelled]) {
        if (held.get(seq) === token) held.delete(seq);
      }
    }
  }

  hasten(deliveryId: string, now: Instant): Promise<boolean> {
    return this.#commit(() => {
      const row = this.#rows.delivery(deliveryId);
      if (row?.state !== "pending") return false;
      this.#hasten(row, now);
      return true;
    });
  }

  redeliver(deliveryId: string, now: Instant): Promise<Delivery | undefined> {
    return this.#commit(() => {
      const row = this.#rows.delivery(deliveryId);
      return row && row.state !== "pending" ? deliveryOf(this.#sendAgain(row, now)) : undefined;
    });
  }

  cancel(deliveryIds: readonly string[], reason: string, now: Instant): Promise<number> {
    return this.#commit(() => {
      const rows = new Set(deliveryIds.flatMap((id) => this.#rows.delivery(id) ?? []));
      const pending = [...rows].filter(({ state }) => state === "pending");
      for (const row of pending) this.#cancel(row, reason, now);
      return pending.length;
    });
  }

  pause({ subscription, at, reason, entry, notices }: Pausing): Promise<boolean> {
    return this.#commit(() => {
      const health = this.#healthOf(subscription);
      if (health.pausedAt !== undefined) return false;
      const paused = { pausedAt: at, pausedReason: reason, changedAt: at };
      this.#setHealth(subscription, { ...health, ...paused });
      this.#remember(entry);
      for (const notice of notices) this.#insert(notice, at);
      return true;
    });
  }

  resume({ subscription, at, entry }: Resuming): Promise<boolean> {
    return this.#commit(() => {
      const { pausedAt, pausedReason: _, ...health } = this.#healthOf(subscription);
      if (pausedAt === undefined) return false;
      this.#setHealth(subscription, { ...health, changedAt: at });
      this.#remember(entry);
      return true;
    });
  }

  noteSwitched(subscriptions: readonly string[], at: Instant): Promise<void> {
    return this.#commit(() => {
      for (const id of subscriptions) {
        this.#setHealth(id, { ...this.#healthOf(id), changedAt: at });
      }
    });
  }

  async exhaustedSince(): Promise<Instant | undefined> {
    const since = Math.min(...[...this.#rows.exhausted.values()].map(({ since }) => since));
    return since < Infinity ? since : undefined;
  }

  tellExhausted(
    at: Instant,
    compose: (digest: ExhaustedDigest) => NewEvent | undefined,
  ): Promise<readonly string[]> {
    return this.#commit(() => {
      const rows = [...this.#rows.exhausted.values()];
      if (rows.length === 0) return [];
      const most = rows.toSorted((a, b) => b.deliveries - a.deliveries || a.since - b.since);
      const notice = compose({
        since: Math.min(...rows.map(({ since }) => since)),
        deliveries: rows.reduce((sum, { deliveries }) => sum + deliveries, 0),
        subscriptions: rows.length,
        most: most.slice(0, MOST_NAMED).map(({ since: _, ...row }) => row),
      });
      this.#rows.exhausted.clear();
      return notice ? this.#insert(notice, at).deliveries.map((row) => row.subscription) : [];
    });
  }

  remember(entries: readonly HistoryEntry[], notices: readonly NewEvent[] = []): Promise<void> {
    return this.#commit(() => {
      for (const entry of entries) this.#remember(entry);
      for (const notice of notices) this.#insert(notice, notice.event.occurredAt);
    });
  }

  startReplay(
    beginning: {
      readonly filter: ReplayFilter;
      readonly by: string;
      readonly at: Instant;
      readonly entry?: ReplayEntry;
    },
  ): Promise<Replay> {
    return this.#commit(() => {
      const replay = startReplay(this.#rows, beginning);
      if (beginning.entry) this.#remember(beginning.entry(replay));
      return replay;
    });
  }

  stopReplay(
    id: string,
    { at, entry }: { readonly at: Instant; readonly entry?: ReplayEntry },
  ): Promise<boolean> {
    return this.#commit(() => {
      const row = openReplay(this.#rows, id);
      if (!row) return false;
      row.replay = { ...row.replay, finishedAt: Math.round(at), state: "stopped" };
      if (entry) this.#remember(entry(row.replay));
      return true;
    });
  }

  stepReplay(id: string, limits: ReplayLimits): Promise<ReplayStep> {
    const { at } = limits;
    return this.#commit(() =>
      stepReplay(this.#rows, { id, ...limits }, {
        sendAgain: (row) => this.#sendAgain(row, at),
        hasten: (row) => this.#hasten(row, at),
        cancel: (row, reason) => this.#cancel(row, reason, at),
      })
    );
  }

  shiftDue(from: Instant, byMs: number, mark?: TimeMark): Promise<void> {
    return this.#commit(() => {
      const by = Math.round(byMs);
      for (const row of this.#rows.pending()) if (row.dueAt > from || by < 0) row.dueAt += by;
      for (const [id, starts] of this.#rows.starts) {
        this.#rows.starts.set(id, starts.map((at) => at + by));
      }
      if (mark) this.#rows.timeMark = rounded(mark);
    });
  }

  keepTime(mark: TimeMark): Promise<void> {
    return this.#commit(() => void (this.#rows.timeMark = rounded(mark)));
  }

  async timeMark(): Promise<TimeMark | undefined> {
    return this.#rows.timeMark;
  }

  noteStart({ subscription, at, perMs }: PacedStart): Promise<void> {
    return this.#commit(() => {
      const counted = (this.#rows.starts.get(subscription) ?? [])
        .filter((start) => start >= Math.floor(at - perMs));
      this.#rows.starts.set(subscription, [...counted, Math.ceil(at)].sort((a, b) => a - b));
    });
  }

  async starts(): Promise<ReadonlyMap<string, readonly Instant[]>> {
    return new Map(this.#rows.starts);
  }

  async nextDue(): Promise<ReadonlyMap<string, Instant>> {
    const next = new Map<string, Instant>();
    for (const { subscription, dueAt } of this.#unclaimed()) {
      next.set(subscription, Math.min(next.get(subscription) ?? Infinity, dueAt));
    }
    return next;
  }

  prune(request: PruneRequest): Promise<Pruned> {
    return this.#commit(() => this.#pruning.batch(request));
  }

  async unavailableBecause(): Promise<string | undefined> {
    if (!this.#refused && !this.#isClosed) return undefined;
    try {
      await this.#commit(() => {});
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  watch(listener: (changes: readonly Change[]) => void): () => void {
    // Of its own, so that one function can watch twice.
    const own = (changes: readonly Change[]) => listener(changes);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  // What the operations have in common.

  async #commit<Value>(change: () => Value, about?: { readonly ofEvents: number }): Promise<Value> {
    this.#assertOpen();
    const committing = this.#carryOut(change, about);
    this.#underWay.add(committing);
    try {
      const answer = await committing;
      this.#refused = undefined;
      return answer;
    } catch (error) {
      if (error instanceof OutboxFailed) this.#fail(this.#refused = error);
      if (error instanceof OutboxUnavailable) this.#refused = error;
      throw error;
    } finally {
      this.#underWay.delete(committing);
    }
  }

  async #carryOut<Value>(change: () => Value, about?: { readonly ofEvents: number }) {
    return await this.#timed(() => {
      this.#touched = new Set();
      this.#turned = new Set();
      const answer = change();
      this.commits++;
      this.#tell();
      return Promise.resolve(answer);
    }, about);
  }

  #assertOpen(): void {
    if (this.#refused instanceof OutboxFailed) throw this.#refused;
    if (this.#isClosed) throw new OutboxUnavailable(CLOSED);
  }

  #tell(): void {
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
    for (const listener of changes.length > 0 ? [...this.#listeners] : []) {
      try {
        listener(changes);
      } catch {
        // Its own trouble.
      }
    }
  }

  #insert({ event, publisher, contentHash, source, deliveries }: NewEvent, at: Instant): EventRow {
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

  #sendAgain(row: DeliveryRow, at: Instant): DeliveryRow {
    const { event, subscription, format } = row;
    const again = { event, subscription, format, redeliveryOf: idOf(row) };
    return this.#insertDelivery({ ...again, cause: "redelivery" }, at);
  }

  #hasten(row: DeliveryRow, now: Instant): void {
    row.dueAt = Math.min(row.dueAt, Math.round(now));
    this.#touched.add(row);
  }

  /** Whoever has claimed it may have an attempt under way. */
  #cancel(row: DeliveryRow, reason: string, at: Instant): void {
    const token = this.#claims.get(row.seq);
    if (token !== undefined) this.#cancelled.set(row.seq, token);
    this.#claims.delete(row.seq);
    this.#finish(row, { state: "cancelled", reason, at });
  }

  #finish(
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

  #addAttempt(row: DeliveryRow, attempt: Attempt, verdict: Verdict["kind"] | undefined): void {
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

  #healthOf(subscription: string): Health {
    return this.#rows.health.get(subscription) ?? UNTRIED;
  }

  #setHealth(subscription: string, health: Health): void {
    const before = this.#healthOf(subscription);
    // Enabled or disabled, it is another from then on; when it is met first nothing has changed.
    const isSwitched = before.changedAt !== undefined && before.changedAt !== health.changedAt;
    const isTurning = isSwitched || before.failingSince !== health.failingSince ||
      before.pausedAt !== health.pausedAt || isAnswering(before) !== isAnswering(health);
    if (isTurning) this.#turned.add(subscription);
    this.#rows.health.set(subscription, health);
  }

  #remember(entry: HistoryEntry): void {
    this.#rows.history.push({ ...entry, seq: ++this.#rows.last.entry });
  }

  #unclaimed(): DeliveryRow[] {
    return this.#rows.pending().filter(({ seq }) => !this.#claims.has(seq));
  }

  #claim(row: DeliveryRow): Claim {
    const { subscription, cause, createdAt, redeliveryOf, attempts, event, format } = row;
    const token = ++this.#lastToken;
    this.#claims.set(row.seq, token);
    return {
      delivery: {
        id: idOf(row),
        ...{ subscription, cause, attemptCount: attempts.length, createdAt },
        ...(redeliveryOf !== undefined && { redeliveryOf }),
      },
      event: event.event,
      format,
      ...(attempts[0] && { firstAttemptAt: attempts[0].startedAt }),
      token,
    };
  }
}

const CLOSED = "the outbox in memory is closed: Bellhook is stopping";

function rounded(mark: TimeMark): TimeMark {
  return { ...mark, reachedAt: Math.round(mark.reachedAt) };
}
