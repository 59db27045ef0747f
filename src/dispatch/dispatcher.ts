import type { Attempt, Headers, Outcome } from "../domain/attempt.ts";
import { isSuccess, responseOf } from "../domain/attempt.ts";
import { commandAbout, shellWord } from "../domain/curl.ts";
import type { HealthChange } from "../domain/health.ts";
import { unmetScope } from "../domain/event.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import { canonicalScalar } from "../domain/json_text.ts";
import { chanceOf } from "../domain/ladder.ts";
import { addressRedactorOf, redactorOf } from "../domain/redaction.ts";
import type { Subscription } from "../domain/subscription.ts";
import { decide, type Verdict } from "../domain/verdict.ts";
import type { Claim, HistoryEntry, Outbox, Recording } from "../outbox/outbox.ts";
import { renderBody } from "../profiles/render.ts";
import { headersFor, redact } from "../profiles/sign.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Measures } from "../runtime/measures.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import type { AttemptingFacts, AttemptingSpan, Tracing } from "../runtime/tracing.ts";
import type { Transport } from "../transport/transport.ts";
import { BodyEncoder } from "./body_encoder.ts";
import type { Attempted } from "./scheduler.ts";
import type { HealthBoard } from "./health_board.ts";
import type { Notice } from "./notice.ts";
import { CHANGE_KINDS, type Notices } from "./notices.ts";

/** A receiver that takes so long keeps its deliveries waiting, not a busy daemon. */
const SLOW_MS = 1_000;
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
  readonly measures: Measures;
  /** Undefined where no traces are kept. */
  readonly tracing?: Tracing | undefined;
  /** When the next attempt of anything for the subscription is due, as far as is known. */
  readonly nextDueAt: (subscription: string) => Instant | undefined;
  /** The key of an event's scope that says whose it is; undefined where the config has none. */
  readonly tenancyKey: () => string | undefined;
  /** Told of each channel that has a notice to send. */
  readonly onNotice: (channel: string) => void;
  /** Told of each exhausted delivery that a digest is to tell of. */
  readonly onExhausted: () => void;
}

/** Carries out what the scheduler decided: one attempt, from rendering to its record. */
export class Dispatcher {
  readonly #ports: DispatcherPorts;
  readonly #encoder = new BodyEncoder();
  #stopped = false;

  constructor(ports: DispatcherPorts) {
    this.#ports = ports;
  }

  /** From now on what comes of attempts is not recorded: they were broken off, not refused. */
  stop(): void {
    this.#stopped = true;
  }

  /** Attempts a delivery and records it. */
  async attempt(claim: Claim, subscription: Subscription): Promise<Attempted> {
    const whose = this.#notForIt(claim, subscription);
    if (whose !== undefined) return await this.#withhold(claim, whose);
    const span = this.#ports.tracing?.attempting(spanFacts(claim, subscription));
    const sent = this.#render(claim, subscription, span);
    const startedMs = this.#ports.clock.monotonicMs();
    const startedAt = this.#ports.steady.now(startedMs);
    const sending = this.#ports.transport.send({
      url: subscription.url,
      headers: sent.wire,
      body: sent.body,
      deadlineMs: subscription.timeoutMs,
      allowNetworks: subscription.allowNetworks,
      pool: subscription.id,
    });
    // Our own fault: there was no attempt.
    if (span) sending.catch(() => span.breakOff());
    const answer = await sending;
    const hung = answer.kind === "failed" && answer.error.kind === "timeout";
    if (this.#stopped) {
      span?.breakOff();
      return { hung };
    }
    // Not by the schedule's time, which follows a wall clock that is stepped meanwhile.
    const endedMs = this.#ports.clock.monotonicMs();
    const outcome = redactorOf(subscription).outcome(answer);
    const facts = {
      sent,
      outcome,
      startedAt,
      durationMs: Math.ceil(endedMs - startedMs),
      at: this.#ports.steady.justAfter(endedMs),
    };
    const judged = this.#judge(claim, subscription, facts);
    span?.end(spanEnd(judged));
    const slow = !judged.succeeded || facts.durationMs >= SLOW_MS;
    return { dueAt: await this.#record(judged, subscription), hung, slow };
  }

  /**
   * Why an event of one customer must not reach another's receiver; undefined where it may. It was for
   * this subscription once: a reload may have changed whom that is for.
   */
  #notForIt({ delivery, event }: Claim, { scope }: Subscription): string | undefined {
    const key = this.#ports.tenancyKey();
    if (key === undefined || delivery.cause === "notice") return undefined;
    const wanted = scope.get(key), value = event.scope.get(key);
    if (wanted === undefined) return undefined;
    const unmet = unmetScope(new Map([[key, wanted]]), () => value && canonicalScalar(value));
    return unmet && `scope.${key} of its event is ${value ?? "missing"}, ` +
        "and the subscription gets the events of others now";
  }

  async #withhold({ delivery }: Claim, why: string): Promise<Attempted> {
    const { id, subscription } = delivery;
    const at = this.#ports.steady.now();
    if (await this.#ports.outbox.cancel([id], `not sent: ${why}`, at) > 0) {
      this.#ports.log.deliveryWithheld({ delivery: id, subscription, reason: why });
      this.#ports.measures.finished({ subscription, state: "cancelled" });
    }
    return { hung: false };
  }

  #render(claim: Claim, subscription: Subscription, span: AttemptingSpan | undefined): Sent {
    const { format, event } = claim;
    const body = this.#encoder.encode(renderBody(format, event));
    const at = this.#ports.clock.wall();
    const headers = headersFor({ subscription, event, format, body, at });
    if (span && subscription.traceparent) {
      headers.push({ name: "traceparent", value: span.traceparent, secret: false });
    }
    const wire = headers.map(({ name, value }) => [name, value] as const);
    const hasSecrets = headers.some(({ secret }) => secret);
    return { body, wire, shown: hasSecrets ? redact(headers) : wire };
  }

  #judge(
    claim: Claim,
    subscription: Subscription,
    { sent, outcome, startedAt, durationMs, at }: {
      sent: Sent;
      outcome: Outcome;
      startedAt: Instant;
      durationMs: number;
      at: Instant;
    },
  ): Judged {
    const number = claim.delivery.attemptCount + 1;
    const succeeded = isSuccess(outcome, subscription.success);
    const verdict = decide(
      subscription,
      {
        attempt: number,
        firstAt: claim.firstAttemptAt ?? startedAt,
        // Asked for where an attempt is to follow.
        get chance() {
          return chanceOf(claim.delivery.id, number);
        },
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
      requestHeaders: sent.shown,
      outcome: succeeded ? keepingOf(outcome, subscription.keepResponseBytes) : outcome,
    };
    this.#tell(claim, attempt, verdict);
    return { claim, attempt, verdict, at, succeeded };
  }

  /** What an attempt gives rise to beside its verdict, as things stand now. */
  #consider(judged: Judged, subscription: Subscription): Considered {
    const { succeeded, ...recording } = judged;
    const { verdict, at } = judged;
    const end = { succeeded, outcome: judged.attempt.outcome, at };
    const { failingSince } = this.#ports.health.of(subscription.id);
    const { health, change } = this.#ports.health.afterAttempt(subscription.id, verdict, end);
    const history = change === undefined ? [] : [entryOf(judged, change)];
    // A notice that fails is only logged: one about it would go the same way, or its channel is gone.
    const isNotice = judged.claim.delivery.cause === "notice";
    if (isNotice || this.#ports.notices.channel(subscription.id)) {
      return { ...recording, health, history, change };
    }
    const notice = this.#changeNotice(judged, subscription, { change, failingSince });
    return {
      ...recording,
      health,
      history,
      change,
      healthNotices: notice === undefined ? [] : this.#ports.notices.compose(notice),
    };
  }

  #changeNotice(
    judged: Judged,
    subscription: Subscription,
    { change, failingSince }: {
      change: HealthChange | undefined;
      failingSince: Instant | undefined;
    },
  ): Notice | undefined {
    if (change === undefined) return undefined;
    const { id } = subscription;
    const { verdict, at } = judged;
    const about = { ...aboutAttempt(judged, subscription), kind: CHANGE_KINDS[change] };
    if (change === "recovered") {
      const { lastOutcome: _, ...rest } = about;
      return {
        ...rest,
        summary: `${id} is healthy again`,
        // Since when it had been failing.
        ...(failingSince === undefined ? {} : { since: failingSince }),
        command: `bellhook deliveries --subscription ${shellWord(id)} --state failed`,
      };
    }
    const reason = "reason" in verdict ? verdict.reason ?? "" : "";
    const dueAt = change === "failing" ? this.#ports.nextDueAt(id) : undefined;
    return {
      ...about,
      summary: change === "failing" ? `${id} is failing: ${reason}` : `${id} was paused: ${reason}`,
      since: at,
      ...(dueAt === undefined ? {} : { nextAttemptAt: dueAt }),
      command: commandAbout(change === "failing" ? "status" : "resume", id),
    };
  }

  /** Goes on trying: what a receiver was sent must stand on record before it is judged again. */
  async #record(judged: Judged, subscription: Subscription): Promise<Instant | undefined> {
    const { outbox, steady, health, log } = this.#ports;
    const followedMs = steady.followedMs;
    while (!this.#stopped) {
      // Anew each time: the clock may have been set meanwhile, the health be another.
      const now = shifted(judged, steady.followedMs - followedMs);
      const considered = this.#consider(now, subscription);
      try {
        const stored = await health.whileStoring(subscription.id, () => outbox.record(considered));
        this.#tellStored(considered, stored);
        if (!stored) return undefined;
        const { verdict } = shifted(judged, steady.followedMs - followedMs);
        return verdict.kind === "retry" ? verdict.dueAt : undefined;
      } catch (error) {
        log.recordingDelayed(judged.claim.delivery.id, error);
        await new Promise<void>((resolve) => this.#ports.clock.after(RECORD_AGAIN_MS, resolve));
      }
    }
    return undefined;
  }

  /** A recording that was refused, its delivery being cancelled, counts for the health all the same. */
  #tellStored(considered: Considered, stored: boolean): void {
    const { claim, verdict, change, healthNotices = [] } = considered;
    const { log } = this.#ports;
    const { id, subscription } = claim.delivery;
    if (stored) this.#countFinished(considered);
    else log.claimLost(id);
    for (const { deliveries } of healthNotices) {
      for (const { subscription: channel } of deliveries) this.#ports.onNotice(channel);
    }
    if (stored && verdict.kind === "exhausted") {
      log.deliveryExhausted({ delivery: id, subscription, reason: verdict.reason });
      this.#ports.onExhausted();
    }
    if (change === "failing" && verdict.kind === "exhausted") {
      log.subscriptionFailing(subscription, verdict.reason);
    }
    if (change === "paused" && verdict.kind === "cancelled") {
      log.subscriptionPaused(subscription, verdict.reason);
    }
    if (change === "recovered") log.subscriptionRecovered(subscription);
  }

  #countFinished({ claim: { delivery }, verdict, at }: Recording): void {
    if (verdict.kind === "retry") return;
    const { subscription, cause, createdAt } = delivery;
    this.#ports.measures.finished({
      subscription,
      state: verdict.kind,
      // Tests, notices and what is sent again would blur what a publisher's event has to wait.
      ...(cause === "event" && verdict.kind === "delivered" && {
        sinceAcceptedMs: Math.max(0, at - createdAt),
      }),
    });
  }

  #tell(claim: Claim, attempt: Attempt, verdict: Verdict): void {
    const { log } = this.#ports;
    const { id, subscription } = claim.delivery;
    const { outcome } = attempt;
    const response = responseOf(outcome);
    this.#ports.measures.attempted({
      subscription,
      succeeded: attempt.result === "success",
      ...(attempt.result === "failure" && { failure: failureOf(outcome) }),
      durationMs: attempt.durationMs,
    });
    log.attempted({
      delivery: id,
      subscription,
      type: claim.event.type,
      attempt: attempt.number,
      ...(response && { status: response.status }),
      ...(outcome.kind === "failed" && {
        failure: `${outcome.error.kind}: ${outcome.error.message}`,
      }),
      durationMs: attempt.durationMs,
      verdict: verdict.kind,
      ...(verdict.kind === "retry" ? { nextAttemptAt: formatInstant(verdict.dueAt) } : {}),
    });
  }
}

/** What was judged, on a schedule that has followed the wall clock by so much since. */
function shifted(judged: Judged, byMs: number): Judged {
  const { verdict, attempt } = judged;
  if (byMs === 0) return judged;
  return {
    ...judged,
    at: judged.at + byMs,
    attempt: { ...attempt, startedAt: attempt.startedAt + byMs },
    verdict: verdict.kind === "retry" ? { ...verdict, dueAt: verdict.dueAt + byMs } : verdict,
  };
}

function spanFacts({ delivery, event }: Claim, { id, url }: Subscription): AttemptingFacts {
  return {
    delivery: delivery.id,
    event: event.id,
    type: event.type,
    subscription: id,
    attempt: delivery.attemptCount + 1,
    cause: delivery.cause,
    url,
    link: event.trace,
  };
}

function spanEnd({ attempt: { outcome }, verdict, succeeded }: Judged) {
  return {
    succeeded,
    status: responseOf(outcome)?.status,
    failure: succeeded ? undefined : failureOf(outcome),
    verdict: verdict.kind,
  };
}

function aboutAttempt({ claim, attempt, at }: Judged, subscription: Subscription) {
  const { id, url } = subscription;
  return {
    at,
    subscription: id,
    url: withoutQuery(url),
    delivery: { id: claim.delivery.id, type: claim.event.type, attempts: attempt.number },
    lastOutcome: addressRedactorOf(subscription).outcome(attempt.outcome),
  };
}

/** In a few words, of which there are few: `5xx`, or the kind of failure. */
function failureOf(outcome: Outcome): string {
  return outcome.kind === "answered" ? `${Math.floor(outcome.status / 100)}xx` : outcome.error.kind;
}

type Judged = Pick<Recording, "claim" | "attempt" | "verdict" | "at"> & {
  readonly succeeded: boolean;
};

type Considered = Recording & { readonly change: HealthChange | undefined };

function entryOf({ claim, verdict, at }: Judged, change: HealthChange): HistoryEntry {
  return {
    at,
    kind: change,
    subscription: claim.delivery.subscription,
    delivery: claim.delivery.id,
    cause: "reason" in verdict && verdict.reason !== undefined ? verdict.reason : "a success",
  };
}

/** A success needs no long explanation: so much of its body is kept. */
function keepingOf(outcome: Outcome, bytes: number): Outcome {
  if (outcome.kind !== "answered" || outcome.body.length <= bytes) return outcome;
  return { ...outcome, body: outcome.body.slice(0, bytes), truncated: true };
}

/** A query may hold a token; notices are read by many. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/, "");
}

interface Sent {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly wire: Headers;
  /** What may be kept of them. */
  readonly shown: Headers;
}
