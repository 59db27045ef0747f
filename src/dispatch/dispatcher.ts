import { Buffer } from "node:buffer";
import type { Attempt, Outcome } from "../domain/attempt.ts";
import { isSuccess } from "../domain/attempt.ts";
import type { Event } from "../domain/event.ts";
import type { Health, HealthChange } from "../domain/health.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import { chanceOf } from "../domain/ladder.ts";
import type { Subscription } from "../domain/subscription.ts";
import { decide, type Verdict } from "../domain/verdict.ts";
import type { Claim, HistoryEntry, NewEvent, Outbox, Recording } from "../outbox/outbox.ts";
import { renderBody } from "../profiles/render.ts";
import { headersFor, redact, type SentHeader } from "../profiles/sign.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { Transport } from "../transport/transport.ts";
import type { HealthBoard } from "./health_board.ts";
import { CHANGE_KINDS, type Notice, type Notices } from "./notices.ts";

/** How long a recording that the database refused waits before it is tried again. */
const RECORD_AGAIN_MS = 1_000;

export interface DispatcherPorts {
  readonly outbox: Outbox;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly health: HealthBoard;
  readonly notices: Notices;
  readonly log: Log;
  /** When the next attempt of anything for the subscription is due, as far as is known. */
  readonly nextDueAt: (subscription: string) => Instant | undefined;
  /** Told of each channel that has a notice to send. */
  readonly onNotice: (channel: string) => void;
}

/** Carries out what the scheduler decided: one attempt, from rendering to its record. */
export class Dispatcher {
  readonly #ports: DispatcherPorts;
  readonly #encoder = new TextEncoder();
  #stopped = false;

  constructor(ports: DispatcherPorts) {
    this.#ports = ports;
  }

  /** From now on what comes of attempts is not recorded: they were broken off, not refused. */
  stop(): void {
    this.#stopped = true;
  }

  /** Attempts a delivery and records it; answers when it is due again, if it is. */
  async attempt(claim: Claim, subscription: Subscription): Promise<Instant | undefined> {
    const sent = this.#render(claim, subscription);
    const startedAt = this.#ports.steady.now();
    const startedMs = this.#ports.clock.monotonicMs();
    const answer = await this.#ports.transport.send({
      url: subscription.url,
      headers: sent.headers.map(({ name, value }) => [name, value] as const),
      body: sent.body,
      deadlineMs: subscription.timeoutMs,
      allowNetworks: subscription.allowNetworks,
      pool: subscription.id,
    });
    if (this.#stopped) return undefined;
    // Not by the schedule's time, which follows a wall clock that is stepped meanwhile.
    const durationMs = Math.ceil(this.#ports.clock.monotonicMs() - startedMs);
    const outcome = withoutSecrets(answer, sent.headers);
    const facts = { sent, outcome, startedAt, durationMs };
    return await this.#record(this.#judge(claim, subscription, facts));
  }

  #render(claim: Claim, subscription: Subscription): Sent {
    const body = this.#encoder.encode(renderBody(claim.format, claim.event));
    const event: Event = claim.event;
    const at = this.#ports.clock.wall();
    return { body, headers: headersFor({ subscription, event, body, at }) };
  }

  #judge(
    claim: Claim,
    subscription: Subscription,
    { sent, outcome, startedAt, durationMs }: {
      sent: Sent;
      outcome: Outcome;
      startedAt: Instant;
      durationMs: number;
    },
  ): Recording {
    const at = this.#ports.steady.justAfter();
    const number = claim.delivery.attemptCount + 1;
    const succeeded = isSuccess(outcome, subscription.success);
    const verdict = decide(
      subscription,
      {
        attempt: number,
        firstAt: claim.firstAttemptAt ?? startedAt,
        chance: chanceOf(claim.delivery.id, number),
      },
      outcome,
      at,
    );
    const attempt: Attempt = {
      number,
      startedAt,
      durationMs,
      result: succeeded ? "success" : "failure",
      url: subscription.url,
      requestHeaders: redact(sent.headers),
      outcome,
    };
    const facts = { succeeded, at };
    const { health, change } = this.#ports.health.afterAttempt(subscription.id, verdict, facts);
    this.#tell(claim, attempt, verdict, change);
    const judged = { claim, attempt, verdict, at, health };
    // A notice that fails is only logged: one about it would go the same way.
    if (claim.delivery.cause === "notice") return judged;
    return {
      ...judged,
      notices: this.#noticesOf(judged, subscription, change),
      ...(change === undefined ? {} : { history: [entryOf(judged, change)] }),
    };
  }

  /** What operators are to be told of this attempt, as events for their channels. */
  #noticesOf(
    { claim, attempt, verdict, at, health }: Judged,
    subscription: Subscription,
    change: HealthChange | undefined,
  ): NewEvent[] {
    const { id } = subscription;
    const about = {
      at,
      subscription: id,
      url: withoutQuery(subscription.url),
      delivery: { id: claim.delivery.id, type: claim.event.type, attempts: attempt.number },
      lastOutcome: attempt.outcome,
    };
    const notices: Notice[] = [];
    if (verdict.kind === "exhausted") {
      notices.push({
        ...about,
        kind: "delivery.exhausted",
        summary: `a delivery to ${id} is exhausted: ${verdict.reason}`,
        command: `bellhook retry ${claim.delivery.id}`,
      });
    }
    if (change === "recovered") {
      const { lastOutcome: _, ...rest } = about;
      notices.push({
        ...rest,
        kind: "subscription.recovered",
        summary: `${id} is healthy again`,
        since: at,
        command: `bellhook deliveries --subscription ${id} --state exhausted`,
      });
    } else if (change !== undefined) {
      const reason = verdict.kind === "exhausted" || verdict.kind === "cancelled"
        ? verdict.reason
        : "";
      const dueAt = change === "failing" ? this.#ports.nextDueAt(id) : undefined;
      notices.push({
        ...about,
        kind: CHANGE_KINDS[change],
        summary: change === "failing"
          ? `${id} is failing: ${reason}`
          : `${id} was paused: ${reason}`,
        since: health.changedAt ?? at,
        ...(dueAt === undefined ? {} : { nextAttemptAt: dueAt }),
        command: change === "failing" ? `bellhook status ${id}` : `bellhook resume ${id}`,
      });
    }
    return notices.map((notice) => this.#ports.notices.compose(notice)).filter((one) => !!one);
  }

  /** Goes on trying: what a receiver was sent must stand on record before it is judged again. */
  async #record(recording: Recording): Promise<Instant | undefined> {
    const { claim, verdict, notices = [], history = [] } = recording;
    while (!this.#stopped) {
      try {
        if (await this.#ports.outbox.record(recording)) {
          for (const { deliveries } of notices) {
            for (const { subscription } of deliveries) this.#ports.onNotice(subscription);
          }
          return verdict.kind === "retry" ? verdict.dueAt : undefined;
        }
        this.#ports.log.claimLost(claim.delivery.id);
        if (history.length > 0) await this.#ports.health.keep(claim.delivery.subscription);
        return undefined;
      } catch (error) {
        this.#ports.log.recordingDelayed(claim.delivery.id, error);
        await new Promise<void>((resolve) => this.#ports.clock.after(RECORD_AGAIN_MS, resolve));
      }
    }
    return undefined;
  }

  #tell(claim: Claim, attempt: Attempt, verdict: Verdict, change?: string): void {
    const { log } = this.#ports;
    const { id, subscription } = claim.delivery;
    const { outcome } = attempt;
    log.attempted({
      delivery: id,
      subscription,
      type: claim.event.type,
      attempt: attempt.number,
      ...(outcome.kind === "answered"
        ? { status: outcome.status }
        : { failure: `${outcome.error.kind}: ${outcome.error.message}` }),
      durationMs: attempt.durationMs,
      verdict: verdict.kind,
      ...(verdict.kind === "retry" ? { nextAttemptAt: formatInstant(verdict.dueAt) } : {}),
    });
    if (verdict.kind === "exhausted") {
      log.deliveryExhausted({ delivery: id, subscription, reason: verdict.reason });
    }
    if (change === "failing" && verdict.kind === "exhausted") {
      log.subscriptionFailing(subscription, verdict.reason);
    }
    if (change === "paused" && verdict.kind === "cancelled") {
      log.subscriptionPaused(subscription, verdict.reason);
    }
    if (change === "recovered") log.subscriptionRecovered(subscription);
  }
}

type Judged = Pick<Recording, "claim" | "attempt" | "verdict" | "at"> & {
  readonly health: Health;
};

function entryOf({ claim, verdict, at }: Judged, change: HealthChange): HistoryEntry {
  return {
    at,
    kind: change,
    subscription: claim.delivery.subscription,
    delivery: claim.delivery.id,
    cause: "reason" in verdict && verdict.reason !== undefined ? verdict.reason : "a success",
  };
}

/** What a receiver echoes of our secret headers is not kept. */
function withoutSecrets(outcome: Outcome, sent: readonly SentHeader[]): Outcome {
  const secrets = sent.filter(({ secret, value }) => secret && value !== "").map((h) => h.value);
  if (secrets.length === 0 || outcome.kind !== "answered") return outcome;
  const cleaned = (text: string) =>
    secrets.reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), text);
  // Latin-1 maps every byte to a character and back, so that the rest of the body stays as it is.
  const body = Buffer.from(outcome.body).toString("latin1");
  const without = cleaned(body);
  return {
    ...outcome,
    headers: outcome.headers.map(([name, value]) => [name, cleaned(value)] as const),
    body: without === body ? outcome.body : new Uint8Array(Buffer.from(without, "latin1")),
  };
}

/** A query may hold a token; notices are read by many. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/, "");
}

interface Sent {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: readonly SentHeader[];
}
