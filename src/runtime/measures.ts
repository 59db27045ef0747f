import type { Steps } from "./turn.ts";
import type { Instant } from "../domain/instant.ts";
import type { Metrics } from "./metrics.ts";

/** Everything the daemon counts as it happens, so that an operator's numbers are one page. */
export interface Measures {
  /** One request was stored: so many new events, known ones, and new ones that nobody gets. */
  accepted(facts: { stored: number; repeated: number; unmatched: number }): void;
  /** A publisher's request was answered with this error status, by a rule that the status may not tell. */
  refused(status: number, rule?: string): void;
  /** Somebody had no token, or a wrong one, or was not signed in. */
  accessRefused(reason: string): void;
  attempted(facts: {
    subscription: string;
    succeeded: boolean;
    /** Where it did not succeed: `4xx` and the like, or the kind of failure. */
    failure?: string;
    durationMs: number;
  }): void;
  /** An attempt could not begin: the machine lacked something for it. */
  heldBack(): void;
  /** An attempt's record is durable, and the delivery has ended with it. */
  finished(facts: { subscription: string; state: string; sinceAcceptedMs?: number }): void;
  committed(facts: { durationMs: number; ok: boolean }): void;
  /** A timer came so late. */
  loopDelayed(ms: number): void;
  /** A config was put in force, or was not. */
  reloaded(facts: { ok: boolean; at: Instant }): void;
  /** These subscriptions are in force as well. */
  configured(subscriptions: readonly { readonly id: string }[]): Steps<void>;
  /** What was counted of others is dropped: some are gone. */
  gone(isKnown: (id: string) => boolean): Steps<void>;
}

/** Counts into metrics, whose names and meanings are fixed here. */
export function measuresIn(metrics: Metrics, startedAt: Instant): Measures {
  const accepted = metrics.counter({
    name: "bellhook_events_accepted_total",
    help: "Events that were stored, durable before their answer.",
  });
  const repeated = metrics.counter({
    name: "bellhook_events_repeated_total",
    help: "Events that were posted again and were known already.",
  });
  const unmatched = metrics.counter({
    name: "bellhook_events_unmatched_total",
    help: "Accepted events that no subscription gets.",
  });
  const refused = metrics.counter({
    name: "bellhook_requests_refused_total",
    help: "Publishers' requests that were refused, with nothing stored, by reason.",
    labels: ["reason"],
  });
  const accessRefused = metrics.counter({
    name: "bellhook_access_refused_total",
    help: "Requests without a token or with an unknown one, and sign-ins that failed, by reason.",
    labels: ["reason"],
  });
  const attempts = metrics.counter({
    name: "bellhook_attempts_total",
    help: "Delivery attempts, by subscription and result.",
    labels: ["subscription", "result"],
  });
  const attemptSeconds = metrics.counter({
    name: "bellhook_attempt_seconds_total",
    help: "Time that delivery attempts took, by subscription; over attempts it is their mean.",
    labels: ["subscription"],
  });
  const failures = metrics.counter({
    name: "bellhook_attempt_failures_total",
    help: "Delivery attempts that failed, by what was answered, or why nothing was.",
    labels: ["reason"],
  });
  const heldBack = metrics.counter({
    name: "bellhook_attempts_held_back_total",
    help: "Attempts that were put off because this machine lacked something.",
  });
  // There from the start, so that the first one is seen as a rise.
  heldBack.add(0);
  const attemptDurations = metrics.histogram({
    name: "bellhook_attempt_duration_seconds",
    help: "How long delivery attempts took: resolve, connect, request and response together.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  });
  const finished = metrics.counter({
    name: "bellhook_deliveries_finished_total",
    help: "Deliveries that ended with an attempt, by subscription and final state.",
    labels: ["subscription", "state"],
  });
  const deliveryDurations = metrics.histogram({
    name: "bellhook_delivery_duration_seconds",
    help: "From an event's acceptance to its delivery, retries included.",
    buckets: [
      ...[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      ...[60, 300, 1_800, 7_200, 43_200, 86_400],
    ],
  });
  const commits = metrics.histogram({
    name: "bellhook_commit_duration_seconds",
    help: "How long commits to the database took, fsync included.",
    buckets: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  });
  const failedCommits = metrics.counter({
    name: "bellhook_commit_failures_total",
    help: "Commits to the database that failed: a full disk, a lock, a broken file.",
  });
  const loopDelays = metrics.histogram({
    name: "bellhook_event_loop_delay_seconds",
    help: "How late a timer came, again and again: how long the process was busy otherwise.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  });
  const reloads = metrics.counter({
    name: "bellhook_config_reloads_total",
    help: "Config reloads since the start, by result.",
    labels: ["result"],
  });
  let wasReloaded = true;
  let inForceSince = startedAt;
  metrics.gauge({
    name: "bellhook_config_last_reload_successful",
    help: "Whether the last reload put the config file in force: 1, or 0.",
    read: () => Number(wasReloaded),
  });
  metrics.gauge({
    name: "bellhook_config_last_reload_success_timestamp_seconds",
    help: "When the config in force was put in force, by the start or by a reload.",
    read: () => inForceSince / 1_000,
  });
  // A counter that appears with its first step hides that step from rate() and increase().
  for (const counter of [accepted, repeated, unmatched, failedCommits]) counter.add(0);
  for (const reason of [...REASONS.values(), ...QUOTAS]) refused.add(0, reason);
  for (const reason of ["no_token", "unknown_token", "sign_in"]) accessRefused.add(0, reason);
  for (const result of ["success", "rejected"]) reloads.add(0, result);

  return {
    accepted(facts) {
      accepted.add(facts.stored);
      repeated.add(facts.repeated);
      unmatched.add(facts.unmatched);
    },
    refused: (status, rule) => refused.add(1, rule ?? REASONS.get(status) ?? "other"),
    accessRefused: (reason) => accessRefused.add(1, reason),
    attempted({ subscription, succeeded, failure, durationMs }) {
      attempts.add(1, subscription, succeeded ? "success" : "failure");
      attemptSeconds.add(durationMs / 1_000, subscription);
      if (failure !== undefined) failures.add(1, failure);
      attemptDurations.observe(durationMs / 1_000);
    },
    heldBack: () => heldBack.add(1),
    finished({ subscription, state, sinceAcceptedMs }) {
      finished.add(1, subscription, state);
      if (sinceAcceptedMs !== undefined) deliveryDurations.observe(sinceAcceptedMs / 1_000);
    },
    committed({ durationMs, ok }) {
      commits.observe(durationMs / 1_000);
      if (!ok) failedCommits.add(1);
    },
    loopDelayed: (ms) => loopDelays.observe(ms / 1_000),
    reloaded({ ok, at }) {
      reloads.add(1, ok ? "success" : "rejected");
      wasReloaded = ok;
      if (ok) inForceSince = at;
    },
    *configured(subscriptions) {
      for (const { id } of subscriptions) {
        for (const result of ["success", "failure"]) attempts.add(0, id, result);
        finished.add(0, id, "exhausted");
        yield;
      }
    },
    gone: (isKnown) => metrics.forget("subscription", isKnown),
  };
}

/** The rules of the config that are counted by name: a publisher's `rate` and `maxPending`. */
const QUOTAS = ["rate", "max_pending"] as const;

/** Why a publisher's request was refused, by the status it was answered with. */
const REASONS: ReadonlyMap<number, string> = new Map([
  [400, "malformed"],
  [401, "unauthorized"],
  [403, "forbidden"],
  [408, "too_slow"],
  [409, "conflict"],
  [413, "too_large"],
  [415, "media_type"],
  [422, "invalid"],
  [429, "rate_limited"],
  [500, "fault"],
  [503, "unavailable"],
]);
