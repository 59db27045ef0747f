// Asynchronous as the port is.
// deno-lint-ignore-file require-await
import type { Delivery } from "../../domain/delivery.ts";
import type { Instant } from "../../domain/instant.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import type { OutboxFailed } from "../errors.ts";
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
import { Changing } from "./changing.ts";
import { Claims } from "./claims.ts";
import { Commits } from "./commits.ts";
import { enqueue } from "./enqueueing.ts";
import { MemoryReader } from "./memory_reader.ts";
import { Pruning } from "./pruning.ts";
import { openReplay, startReplay, stepReplay } from "./replaying.ts";
import { deliveryOf, Rows } from "./rows.ts";

/** So many subscriptions are named in a digest. */
const MOST_NAMED = 10;

/**
 * The outbox in memory: what every operation means, with nothing but maps. Each is a commit of its own,
 * carried out when it is asked for. What outlives the process is in its rows, and claims are not.
 */
export class MemoryOutbox extends MemoryReader implements Outbox, OutboxReader {
  readonly #rows: Rows;
  readonly #claims: Claims;
  readonly #changing: Changing;
  readonly #pruning: Pruning;
  readonly #commits = new Commits();
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();

  constructor(rows = new Rows()) {
    super(rows);
    this.#rows = rows;
    this.#claims = new Claims(rows);
    this.#changing = new Changing(rows, this.#claims);
    this.#pruning = new Pruning(rows);
  }

  get failed(): Promise<OutboxFailed> {
    return this.#commits.failed;
  }

  get commits(): number {
    return this.#commits.count;
  }

  timeCommits(timed: TimedCommit): void {
    this.#commits.timed = timed;
  }

  enqueue(request: Enqueue): Promise<Enqueued> {
    return this.#commit(() => {
      const claims: Claim[] = [], unclaimed = new Set<string>();
      const answer = enqueue(this.#rows, request, (incoming) => {
        const event = this.#changing.insert(incoming, request.at);
        for (const [index, row] of event.deliveries.entries()) {
          if (incoming.deliveries[index]!.claim) claims.push(this.#claims.claim(row));
          else unclaimed.add(row.subscription);
        }
        return event;
      });
      return answer.kind === "accepted" ? { ...answer, claims, unclaimed: [...unclaimed] } : answer;
    }, { ofEvents: 1 });
  }

  async claim({ subscription, now, limit, testsOnly = false }: ClaimRequest): Promise<Claimed> {
    this.#commits.assertOpen();
    const free = this.#claims.unclaimed().filter((row) =>
      row.subscription === subscription && (!testsOnly || row.cause === "test")
    ).sort((a, b) => a.dueAt - b.dueAt || a.seq - b.seq);
    const taken = free.slice(0, limit).filter(({ dueAt }) => dueAt <= now);
    const next = free[taken.length];
    const claims = taken.map((row) => this.#claims.claim(row));
    return { claims, ...(next && { nextDueAt: next.dueAt }) };
  }

  record(recording: Recording): Promise<boolean> {
    return this.#commit(() => {
      const { claim, attempt, verdict, at } = recording;
      const ended = this.#claims.end(claim);
      if (!ended) return false;
      const { row, isLate } = ended;
      this.#changing.addAttempt(row, attempt, isLate ? undefined : verdict.kind);
      // Rounded up: never early.
      if (!isLate && verdict.kind === "retry") row.dueAt = Math.ceil(verdict.dueAt);
      else if (!isLate && verdict.kind !== "retry") {
        this.#changing.finish(row, { state: verdict.kind, reason: verdict.reason, at });
      }
      const { health, healthNotices = [], history = [] } = recording;
      if (health) this.#changing.setHealth(row.subscription, health);
      for (const notice of healthNotices) this.#changing.insert(notice, at);
      for (const entry of history) this.#changing.remember(entry);
      return !isLate;
    });
  }

  async release(claims: readonly Claim[]): Promise<void> {
    this.#commits.assertOpen();
    for (const claim of claims) this.#claims.end(claim);
  }

  hasten(deliveryId: string, now: Instant): Promise<boolean> {
    return this.#commit(() => {
      const row = this.#rows.delivery(deliveryId);
      if (row?.state !== "pending") return false;
      this.#changing.hasten(row, now);
      return true;
    });
  }

  redeliver(deliveryId: string, now: Instant): Promise<Delivery | undefined> {
    return this.#commit(() => {
      const row = this.#rows.delivery(deliveryId);
      return row && row.state !== "pending"
        ? deliveryOf(this.#changing.sendAgain(row, now))
        : undefined;
    });
  }

  cancel(deliveryIds: readonly string[], reason: string, now: Instant): Promise<number> {
    return this.#commit(() => {
      const rows = new Set(deliveryIds.flatMap((id) => this.#rows.delivery(id) ?? []));
      const pending = [...rows].filter(({ state }) => state === "pending");
      for (const row of pending) this.#changing.cancel(row, reason, now);
      return pending.length;
    });
  }

  pause({ subscription, at, reason, entry, notices }: Pausing): Promise<boolean> {
    return this.#commit(() => {
      const health = this.#changing.healthOf(subscription);
      if (health.pausedAt !== undefined) return false;
      const paused = { pausedAt: at, pausedReason: reason, changedAt: at };
      this.#changing.setHealth(subscription, { ...health, ...paused });
      this.#changing.remember(entry);
      for (const notice of notices) this.#changing.insert(notice, at);
      return true;
    });
  }

  resume({ subscription, at, entry }: Resuming): Promise<boolean> {
    return this.#commit(() => {
      const { pausedAt, pausedReason: _, ...health } = this.#changing.healthOf(subscription);
      if (pausedAt === undefined) return false;
      this.#changing.setHealth(subscription, { ...health, changedAt: at });
      this.#changing.remember(entry);
      return true;
    });
  }

  noteSwitched(subscriptions: readonly string[], at: Instant): Promise<void> {
    return this.#commit(() => {
      for (const id of subscriptions) {
        this.#changing.setHealth(id, { ...this.#changing.healthOf(id), changedAt: at });
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
      return notice
        ? this.#changing.insert(notice, at).deliveries.map((row) => row.subscription)
        : [];
    });
  }

  remember(entries: readonly HistoryEntry[], notices: readonly NewEvent[] = []): Promise<void> {
    return this.#commit(() => {
      for (const entry of entries) this.#changing.remember(entry);
      for (const notice of notices) this.#changing.insert(notice, notice.event.occurredAt);
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
      if (beginning.entry) this.#changing.remember(beginning.entry(replay));
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
      if (entry) this.#changing.remember(entry(row.replay));
      return true;
    });
  }

  stepReplay(id: string, limits: ReplayLimits): Promise<ReplayStep> {
    const { at } = limits;
    return this.#commit(() =>
      stepReplay(this.#rows, { id, ...limits }, {
        sendAgain: (row) => this.#changing.sendAgain(row, at),
        hasten: (row) => this.#changing.hasten(row, at),
        cancel: (row, reason) => this.#changing.cancel(row, reason, at),
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
    for (const { subscription, dueAt } of this.#claims.unclaimed()) {
      next.set(subscription, Math.min(next.get(subscription) ?? Infinity, dueAt));
    }
    return next;
  }

  prune(request: PruneRequest): Promise<Pruned> {
    return this.#commit(() => this.#pruning.batch(request));
  }

  unavailableBecause(): Promise<string | undefined> {
    return this.#commits.unavailableBecause();
  }

  watch(listener: (changes: readonly Change[]) => void): () => void {
    // Of its own, so that one function can watch twice.
    const own = (changes: readonly Change[]) => listener(changes);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  close(): Promise<void> {
    return this.#commits.close();
  }

  #commit<Value>(change: () => Value, about?: { readonly ofEvents: number }): Promise<Value> {
    return this.#commits.run(() => {
      const answer = change();
      this.#tell(this.#changing.take());
      return answer;
    }, about);
  }

  #tell(changes: readonly Change[]): void {
    for (const listener of changes.length > 0 ? [...this.#listeners] : []) {
      try {
        listener(changes);
      } catch {
        // Its own trouble.
      }
    }
  }
}

function rounded(mark: TimeMark): TimeMark {
  return { ...mark, reachedAt: Math.round(mark.reachedAt) };
}
