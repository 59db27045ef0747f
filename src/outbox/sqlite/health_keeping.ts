import type { DatabaseSync } from "node:sqlite";
import { type Health, isAnswering, UNTRIED } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Changes } from "./changes.ts";
import { healthFromRow, type HealthRow, LAST_SUCCESSES } from "./reading.ts";
import { prepareAll, type Statements } from "./statements.ts";

/**
 * Writes how receivers do: at once what anything follows from. That a receiver goes on answering well is
 * told by its attempts until they are rolled up.
 */
export class HealthKeeping {
  readonly #sql: Statements<keyof typeof HEALTH_SQL>;
  /** What was written of a subscription last, as of the last commit; unknown until then. */
  readonly #written = new Map<number, Health>();

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, HEALTH_SQL);
  }

  /** What is stored of a subscription, as the open transaction leaves it so far. */
  of(subscription: number, { health }: Changes): Health {
    const row = this.#sql.stored.get(subscription) as unknown as HealthRow | undefined;
    return health.get(subscription) ?? (row ? healthFromRow(row) : UNTRIED);
  }

  /** Whether there is more to write than when the last success was. */
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

  /** At the end of a transaction, before rows are rolled up. */
  write({ health: changed }: Changes): void {
    for (const [subscription, health] of changed) {
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
  }

  /** Within a transaction: the successes among the attempts after a number, up to another. */
  addSuccesses({ after, until }: { after: number; until: number }): void {
    this.#sql.addSuccesses.run({ after, until });
  }

  committed({ health: changed }: Changes): void {
    for (const [subscription, health] of changed) this.#written.set(subscription, health);
  }
}

interface StoredTurn {
  readonly failing_since: Instant | null;
  readonly paused_at: Instant | null;
  readonly changed_at: Instant | null;
  readonly consecutive_failures: number;
  readonly last_success_at: Instant | null;
}

/** A row with failures was written whole: no attempt tells of a later success. */
function wasAnswering(row: StoredTurn | undefined): boolean {
  return row === undefined || isAnswering({
    consecutiveFailures: row.consecutive_failures,
    ...(row.last_success_at === null ? {} : { lastSuccessAt: row.last_success_at }),
  });
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const HEALTH_SQL = {
  // Successes that are not rolled up are added when they are, and to whatever is read.
  stored: `
    select failing_since, paused_at, paused_reason, last_success_at, consecutive_failures,
      failures_since, changed_at, last_result_at, last_status, last_error_kind, last_error_message
    from health where subscription = ?`,

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

  addSuccesses: `
    update health set
      last_success_at = max(coalesce(last_success_at, s.last_at), s.last_at),
      last_result_at = max(coalesce(last_result_at, s.last_at), s.last_at),
      last_status = iif(s.last_at > coalesce(last_result_at, -1), s.status, last_status),
      last_error_kind = iif(s.last_at > coalesce(last_result_at, -1), null, last_error_kind),
      last_error_message = iif(s.last_at > coalesce(last_result_at, -1), null, last_error_message)
    from (${LAST_SUCCESSES} and a.seq > :after and a.seq <= :until group by d.subscription) s
    where s.subscription = health.subscription`,
} as const;
