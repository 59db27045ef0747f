import type { Attempt, Outcome } from "../domain/attempt.ts";
import { isSuccess } from "../domain/attempt.ts";
import type { Event } from "../domain/event.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import { chanceOf } from "../domain/ladder.ts";
import type { Subscription } from "../domain/subscription.ts";
import { decide, type Verdict } from "../domain/verdict.ts";
import type { Claim, Outbox, Recording } from "../outbox/outbox.ts";
import { renderBody } from "../profiles/render.ts";
import { headersFor, redact, type SentHeader } from "../profiles/sign.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { Transport } from "../transport/transport.ts";
import type { HealthBoard } from "./health_board.ts";

/** How long a recording that the database refused waits before it is tried again. */
const RECORD_AGAIN_MS = 1_000;

export interface DispatcherPorts {
  readonly outbox: Outbox;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly health: HealthBoard;
  readonly log: Log;
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
    const outcome = await this.#ports.transport.send({
      url: subscription.url,
      headers: sent.headers.map(({ name, value }) => [name, value] as const),
      body: sent.body,
      deadlineMs: subscription.timeoutMs,
      allowNetworks: subscription.allowNetworks,
      pool: subscription.id,
    });
    if (this.#stopped) return undefined;
    return await this.#record(this.#judge(claim, subscription, { sent, outcome, startedAt }));
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
    { sent, outcome, startedAt }: { sent: Sent; outcome: Outcome; startedAt: Instant },
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
      durationMs: at - startedAt,
      result: succeeded ? "success" : "failure",
      url: subscription.url,
      requestHeaders: redact(sent.headers),
      outcome,
    };
    const { health, change } = this.#ports.health.afterAttempt(subscription.id, verdict, {
      succeeded,
      at,
    });
    this.#tell(claim, attempt, verdict, change);
    return { claim, attempt, verdict, at, health };
  }

  /** Goes on trying: what a receiver was sent must stand on record before it is judged again. */
  async #record(recording: Recording): Promise<Instant | undefined> {
    const { claim, verdict } = recording;
    while (!this.#stopped) {
      try {
        const recorded = await this.#ports.outbox.record(recording);
        if (!recorded) this.#ports.log.claimLost(claim.delivery.id);
        return recorded && verdict.kind === "retry" ? verdict.dueAt : undefined;
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

interface Sent {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: readonly SentHeader[];
}
