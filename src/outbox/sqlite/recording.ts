import type { DatabaseSync } from "node:sqlite";
import { type Attempt, responseOf } from "../../domain/attempt.ts";
import type { Health } from "../../domain/health.ts";
import type { Recording } from "../outbox.ts";
import { toCast } from "./bytes.ts";
import type { Changes } from "./changes.ts";
import type { Claims, Grant } from "./claims.ts";
import type { ExhaustedCounts } from "./exhausted_digest.ts";
import type { HeaderTexts } from "./header_texts.ts";
import type { HealthKeeping } from "./health_keeping.ts";
import type { History } from "./history.ts";
import type { Insertion } from "./insertion.ts";
import type { Names } from "./names.ts";
import type { Numbers } from "./numbers.ts";
import { extentOf } from "./reading.ts";
import type { Replaying } from "./replaying.ts";
import type { RollingUp } from "./rolling_up.ts";
import { STATES } from "./schema.ts";
import { prepareAll, type Statements } from "./statements.ts";

interface Parts {
  readonly claims: Claims;
  readonly urls: Names;
  readonly headers: HeaderTexts;
  readonly numbers: Numbers;
  readonly insertion: Insertion;
  readonly replaying: Replaying;
  readonly health: HealthKeeping;
  readonly exhausted: ExhaustedCounts;
  readonly history: History;
  readonly rollingUp: RollingUp;
}

/**
 * Stores what an attempt came to: its own row, and the delivery's outcome or when it is due again. What
 * else there is to know of it (counts, tallies, the last success) is read from its row until that is
 * rolled up.
 */
export class RecordingAttempts {
  readonly #sql: Statements<keyof typeof RECORDING_SQL>;
  readonly #parts: Parts;

  constructor(db: DatabaseSync, parts: Parts) {
    this.#sql = prepareAll(db, RECORDING_SQL);
    this.#parts = parts;
  }

  record(recording: Recording, changes: Changes): boolean {
    const { claims } = this.#parts;
    const grant = claims.grantOf(recording.claim);
    if (!grant) return false;
    if (!claims.holds(grant)) {
      if (claims.wasCancelled(grant)) this.#recordLate(recording, grant, changes);
      return false;
    }
    if (!this.#conclude(recording, grant.seq)) {
      // The claim is still held: if it was cancelled, then in this same transaction.
      this.#recordLate(recording, grant, changes);
      return false;
    }
    const { claim, attempt, verdict, at } = recording;
    const isPending = verdict.kind === "retry";
    this.#insertAttempt(claim, grant, { attempt, state: isPending ? 0 : STATE[verdict.kind] });
    changes.ended.push(grant);
    if (isPending) changes.touched?.add(grant.seq);
    else changes.finish(grant);
    if (verdict.kind === "exhausted") {
      const { subscription } = grant, { reason } = verdict;
      this.#parts.exhausted.add({ subscription, delivery: claim.delivery.id, reason, at });
    }
    // That it succeeded once more is read from the attempt.
    const isTold = (health: Health) =>
      verdict.kind === "delivered" && attempt.result === "success" &&
      !this.#parts.health.isNews(grant.subscription, health, changes);
    this.#recordHealth(recording, grant, changes, isTold);
    return true;
  }

  /** False where the delivery is final already. */
  #conclude({ claim: { delivery }, attempt, verdict, at }: Recording, seq: number): boolean {
    const { attemptCount, createdAt } = delivery;
    const status = responseOf(attempt.outcome)?.status ?? null;
    if (verdict.kind === "retry") {
      // Rounded up: never early.
      const dueAt = Math.ceil(verdict.dueAt);
      const { changes } = this.#sql.postpone.run({ seq, dueAt, before: attemptCount, status });
      return changes > 0;
    }
    const { changes } = this.#sql.finish.run(
      seq,
      STATE[verdict.kind],
      attemptCount + 1,
      createdAt,
      Math.round(at),
      this.#parts.replaying.last,
      status,
      verdict.reason ?? null,
    );
    if (changes === 0) return false;
    if (this.#parts.rollingUp.hasRow(seq, attemptCount)) this.#sql.waitsNoLonger.get(seq);
    return true;
  }

  /** The attempt was sent, whatever became of its delivery meanwhile: it stays on record. */
  #recordLate(recording: Recording, grant: Grant, changes: Changes): void {
    const { claim, attempt } = recording;
    const { seq } = grant;
    const before = claim.delivery.attemptCount;
    const status = responseOf(attempt.outcome)?.status ?? null;
    const { changes: changed } = this.#sql.countLate.run({ seq, before, status });
    if (changed === 0) return;
    this.#insertAttempt(claim, grant, { attempt, state: FINAL_ALREADY });
    changes.settled.push(grant);
    changes.touched?.add(seq);
    this.#recordHealth(recording, grant, changes);
  }

  #recordHealth(
    { at, health, healthNotices = [], history = [] }: Recording,
    { subscription }: Grant,
    changes: Changes,
    isTold: (health: Health) => boolean = () => false,
  ): void {
    if (health && !isTold(health)) changes.health.set(subscription, health);
    for (const notice of healthNotices) this.#parts.insertion.event(notice, at, changes);
    for (const entry of history) this.#parts.history.remember(entry);
  }

  #insertAttempt(
    { delivery }: Recording["claim"],
    { seq }: Grant,
    { attempt, state }: { attempt: Attempt; state: number },
  ): void {
    const { outcome } = attempt;
    const answer = responseOf(outcome);
    const error = outcome.kind === "failed" ? outcome.error : undefined;
    const { urls, headers } = this.#parts;
    const sent = headers.of(attempt.requestHeaders);
    const received = answer && headers.ofAnswer(answer.headers);
    this.#sql.insertAttempt.get(
      ++this.#parts.numbers.attempt,
      seq,
      delivery.attemptCount + 1,
      Math.round(attempt.startedAt),
      // The clock may be set back while an attempt runs.
      Math.max(0, Math.round(attempt.durationMs)),
      attempt.result === "success" ? 1 : 0,
      urls.intern(attempt.url),
      sent.names,
      sent.text,
      outcome.remoteAddress ?? null,
      answer?.status ?? null,
      received?.names ?? null,
      received?.text ?? null,
      answer ? toCast(answer.body) : null,
      answer ? extentOf(answer) : null,
      error?.kind ?? null,
      error?.message ?? null,
      state,
    );
  }
}

const STATE = {
  delivered: STATES.indexOf("delivered"),
  exhausted: STATES.indexOf("exhausted"),
  cancelled: STATES.indexOf("cancelled"),
} as const;

/** What an attempt says whose delivery was cancelled while it was under way. */
const FINAL_ALREADY = 4;

/** The statements by name; the tests ask SQLite how it would run each. */
export const RECORDING_SQL = {
  finish: `
    insert into outcomes (
      delivery, state, attempt_count, created_at, finished_at, finished_after, last_status, reason
    ) values (?, ?, ?, ?, ?, ?, ?, cast(? as blob))
    on conflict (delivery) do nothing`,

  waitsNoLonger: "delete from pending where delivery = ?",

  postpone: `
    insert into pending (
      delivery, subscription, created_at, due_at, attempt_count, is_test, last_status
    )
    select d.seq, d.subscription, d.created_at, :dueAt, :before + 1, d.cause = 'test', :status
    from deliveries d
    where d.seq = :seq and not exists (select 1 from outcomes o where o.delivery = d.seq)
    on conflict (delivery) do update set
      due_at = excluded.due_at,
      attempt_count = excluded.attempt_count,
      last_status = excluded.last_status
    where attempt_count = :before`,

  countLate: `
    update outcomes set attempt_count = :before + 1, last_status = :status
    where delivery = :seq and state = 3 and attempt_count = :before`,

  insertAttempt: `
    insert into attempts (
      seq, delivery, number, started_at, duration_ms, succeeded, url_number, request_names,
      request_headers, remote_address, status, response_names, response_headers, response_body,
      truncated, error_kind, error_message, state
    ) values (
      ?, ?, ?, ?, ?, ?, ?, ?, cast(? as blob), cast(? as blob), ?, ?, cast(? as blob),
      cast(? as blob), ?, ?, cast(? as blob), ?
    )`,
} as const;
