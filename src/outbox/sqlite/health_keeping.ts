import type { DatabaseSync } from "node:sqlite";
import { type Health, isAnswering } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Changes, FreshSuccess } from "./changes.ts";
import { FRESH_SUCCESSES } from "./reading.ts";
import { prepareAll, type Statements } from "./statements.ts";

/**
 * Writes how receivers do: at once what anything follows from, and with the indexes' next bite when a
 * receiver succeeded last, as long as its fresh deliveries tell.
 */
export class HealthKeeping {
  readonly #sql: Statements<keyof typeof HEALTH_SQL>;
  /** What was written of a subscription last, as of the last commit; unknown until then. */
  readonly #written = new Map<number, Health>();
  /** The last successes that only fresh deliveries tell of, by subscription. */
  readonly #successes: Map<number, FreshSuccess>;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, HEALTH_SQL);
    const told = this.#sql.freshSuccesses.all() as unknown as {
      subscription: number;
      last_at: Instant;
      status: number | null;
    }[];
    this.#successes = new Map(
      told.map(({ subscription, last_at: at, status }) => [subscription, { at, status }]),
    );
  }

  /** Whether more is to be written than when the last success was. */
  isNews(subscription: number, health: Health, changes: Changes): boolean {
    const before = changes.health.get(subscription) ?? this.#written.get(subscription);
    return before === undefined || health.consecutiveFailures !== before.consecutiveFailures ||
      health.failingSince !== before.failingSince || health.pausedAt !== before.pausedAt ||
      health.pausedReason !== before.pausedReason || health.changedAt !== before.changedAt;
  }

  /** Whether what is stored is about to take a turn that is worth telling. */
  isTurning(subscription: number, health: Health): boolean {
    const before = this.#sql.before.get(subscription) as unknown as
      | StoredTurn
      | undefined;
    // Enabled or disabled, it is another from then on; when it is met first nothing has changed.
    const isSwitched = (before?.changed_at ?? null) !== null &&
      before!.changed_at !== health.changedAt;
    return isSwitched || (before?.failing_since ?? null) !== (health.failingSince ?? null) ||
      (before?.paused_at ?? null) !== (health.pausedAt ?? null) ||
      wasAnswering(before) !== isAnswering(health);
  }

  /** At the end of a transaction; `takesIn`: fresh deliveries will tell of nothing any more. */
  write(changes: Changes, { takesIn }: { takesIn: boolean }): void {
    for (const [subscription, health] of changes.health) {
      this.#sql.write.get(
        subscription,
        health.failingSince ?? null,
        health.pausedAt ?? null,
        health.pausedReason ?? null,
        health.lastSuccessAt ?? null,
        health.consecutiveFailures,
        health.failuresSince ?? null,
        health.changedAt ?? null,
        health.lastResult ? Math.round(health.lastResult.at) : null,
        health.lastResult?.status ?? null,
        health.lastResult?.error?.kind ?? null,
        health.lastResult?.error?.message ?? null,
      );
    }
    if (!takesIn) return;
    for (const successes of [this.#successes, changes.successes]) {
      for (const [subscription, { at, status }] of successes) {
        this.#sql.succeed.get({ subscription, at: Math.round(at), status });
      }
    }
  }

  committed(changes: Changes, { takesIn }: { takesIn: boolean }): void {
    for (const [subscription, health] of changes.health) this.#written.set(subscription, health);
    if (takesIn) return this.#successes.clear();
    for (const [subscription, success] of changes.successes) {
      this.#successes.set(subscription, success);
    }
  }
}

interface StoredTurn {
  readonly failing_since: Instant | null;
  readonly paused_at: Instant | null;
  readonly changed_at: Instant | null;
  readonly consecutive_failures: number;
  readonly last_success_at: Instant | null;
}

/** A row with failures was written whole: no fresh delivery knows of a later success. */
function wasAnswering(row: StoredTurn | undefined): boolean {
  return row === undefined || isAnswering({
    consecutiveFailures: row.consecutive_failures,
    ...(row.last_success_at === null ? {} : { lastSuccessAt: row.last_success_at }),
  });
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const HEALTH_SQL = {
  freshSuccesses: FRESH_SUCCESSES,

  before: `
    select failing_since, paused_at, changed_at, consecutive_failures, last_success_at
    from health where subscription = ?`,

  write: `
    insert into health (
      subscription, failing_since, paused_at, paused_reason, last_success_at,
      consecutive_failures, failures_since, changed_at, last_result_at, last_status,
      last_error_kind, last_error_message
    ) values (?, ?, ?, cast(? as blob), ?, ?, ?, ?, ?, ?, ?, cast(? as blob))
    on conflict (subscription) do update set
      failing_since = excluded.failing_since,
      paused_at = excluded.paused_at,
      paused_reason = excluded.paused_reason,
      last_success_at = excluded.last_success_at,
      consecutive_failures = excluded.consecutive_failures,
      failures_since = excluded.failures_since,
      changed_at = excluded.changed_at,
      last_result_at = excluded.last_result_at,
      last_status = excluded.last_status,
      last_error_kind = excluded.last_error_kind,
      last_error_message = excluded.last_error_message`,

  succeed: `
    update health set last_success_at = max(coalesce(last_success_at, :at), :at),
      last_result_at = max(coalesce(last_result_at, :at), :at),
      last_status = iif(:at > coalesce(last_result_at, -1), :status, last_status),
      last_error_kind = iif(:at > coalesce(last_result_at, -1), null, last_error_kind),
      last_error_message = iif(:at > coalesce(last_result_at, -1), null, last_error_message)
    where subscription = :subscription`,
} as const;
