/**
 * Every sentence the daemon logs, so that an operator's vocabulary is one page. No bodies, no
 * secrets, no query strings.
 */
export interface Log {
  started(facts: { url: string; version: string; subscriptions: number; database: string }): void;
  /** The schema is an older one: a copy is made, or found, and then it is changed. */
  databaseOutdated(
    facts: {
      database: string;
      fromVersion: number;
      toVersion: number;
      bytes: number;
      freeBytes: number;
    },
  ): void;
  /** So far is that, told every few seconds. */
  upgradeGoesOn(facts: { doing: string; done?: number; total?: number }): void;
  /** What was there is kept beside the database, which is changed next. */
  copiedBeforeMigration(
    facts: { database: string; copy: string; fromVersion: number; toVersion: number },
  ): void;
  /** Told to stop before it took any events: the database is as it was. */
  stoppedBeforeStart(): void;
  stopping(): void;
  stopped(facts: { left: number }): void;
  attempted(facts: AttemptFacts): void;
  subscriptionFailing(subscription: string, reason: string): void;
  subscriptionRecovered(subscription: string): void;
  subscriptionPaused(subscription: string, reason: string): void;
  deliveryExhausted(facts: { delivery: string; subscription: string; reason: string }): void;
  /** It would have gone to another customer's receiver, and was cancelled. */
  deliveryWithheld(facts: { delivery: string; subscription: string; reason: string }): void;
  digestDelayed(error: unknown): void;
  /** A recording had to wait: the attempt is done, the database cannot take it yet. */
  recordingDelayed(delivery: string, error: unknown): void;
  /** The claim had passed on, or an operator had cancelled the delivery. */
  claimLost(delivery: string): void;
  claimFailed(subscription: string, error: unknown): void;
  /** So many deliveries ended because the database can't give their data any more. */
  dataDamaged(subscription: string, deliveries: number): void;
  /** A fault of our own: the delivery stays pending. */
  attemptBroke(delivery: string, error: unknown): void;
  /** This machine lacks something that attempts need: they wait, and cost nothing. Once a minute. */
  attemptsHeldBack(subscription: string, lack: string): void;
  /** A rate limit's count can't be stored now: the delivery stays pending. */
  startDelayed(delivery: string, error: unknown): void;
  clockStepped(byMs: number): void;
  /** The next process may not notice that the wall clock was set in between. */
  timeNotKept(error: unknown): void;
  shiftFailed(byMs: number, error: unknown): void;
  replayFailed(error: unknown): void;
  historyNotKept(action: string, error: unknown): void;
  pruned(facts: { deliveries: number; events: number }): void;
  pruningFailed(error: unknown): void;
  configReloaded(summary: string): void;
  configRejected(problems: readonly string[]): void;
  configWarning(problem: string): void;
  journalPinned(bytes: number, readers: string): void;
  journalFreed(): void;
  proxiesIgnored(variables: readonly string[]): void;
  /** Requests of one address were refused for their tokens, or sign-ins were; at most a line a minute. */
  accessRefused(facts: { address: string; count: number; reasons: string }): void;
  /** The same of so many addresses that each has no line. */
  accessRefusedToMore(facts: { count: number; addresses: number }): void;
  requestBroke(facts: { method: string; path: string }, error: unknown): void;
  storageFailed(error: unknown): void;
  /** A connection can't be taken now, for lack of descriptors most likely; it is tried again. */
  acceptFailed(error: unknown): void;
}

/** What one line about an attempt says. */
export interface AttemptFacts {
  readonly delivery: string;
  readonly subscription: string;
  readonly type: string;
  readonly attempt: number;
  readonly status?: number;
  readonly failure?: string;
  readonly durationMs: number;
  readonly verdict: string;
  /** RFC 3339. */
  readonly nextAttemptAt?: string;
}

/** What one line of the log says. */
export interface LogRecord {
  readonly level: "info" | "warning" | "error" | "fatal";
  readonly text: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Whether there may be thousands a second, which can be written together. */
  readonly isFrequent?: boolean;
}

/** The log, each sentence of which is handed to `write`. */
export function logThrough(write: (record: LogRecord) => void): Log {
  const at = (level: LogRecord["level"]) => (text: string, facts: LogRecord["facts"] = {}) =>
    write({ level, text, facts });
  const say = {
    info: at("info"),
    warn: at("warning"),
    error: at("error"),
    fatal: at("fatal"),
  };
  return {
    started: (facts) => say.info("bellhook is ready", { ...facts }),
    databaseOutdated: (facts) =>
      say.warn("the database is from an older version: copying it, then upgrading it", {
        ...facts,
      }),
    upgradeGoesOn: (facts) => say.info("still upgrading the database", { ...facts }),
    copiedBeforeMigration: (facts) =>
      say.warn("bringing the database up to date; a copy of it as it was is kept", { ...facts }),
    stopping: () => say.info("stopping: no new events; attempts under way get their grace"),
    stoppedBeforeStart: () => say.info("stopped while starting: the database is as it was"),
    stopped: (facts) => say.info("stopped", { ...facts }),
    attempted(facts) {
      const failed = facts.status === undefined || facts.verdict !== "delivered";
      const which = failed
        ? { level: "warning", text: "attempt failed" } as const
        : { level: "info", text: "attempt", isFrequent: true } as const;
      write({ ...which, facts: { ...facts } });
    },
    subscriptionFailing: (subscription, reason) =>
      say.error("subscription is failing", { subscription, reason }),
    subscriptionRecovered: (subscription) =>
      say.info("subscription is healthy again", { subscription }),
    subscriptionPaused: (subscription, reason) =>
      say.error("subscription was paused", { subscription, reason }),
    deliveryExhausted: (facts) => say.error("delivery is exhausted", { ...facts }),
    deliveryWithheld: (facts) =>
      say.error("a delivery was cancelled, for its event is another customer's", { ...facts }),
    digestDelayed: (error) =>
      say.error("can't store the digest of exhausted deliveries yet; trying again", {
        ...cause(error),
      }),
    recordingDelayed: (delivery, error) =>
      say.error("an attempt can't be recorded yet; trying again", { delivery, ...cause(error) }),
    claimLost: (delivery) =>
      say.warn("an attempt was not recorded: its claim had ended", { delivery }),
    claimFailed: (subscription, error) =>
      say.error("can't read what is due; trying again", { subscription, ...cause(error) }),
    dataDamaged: (subscription, deliveries) =>
      say.error("deliveries ended because their data is damaged; run bellhook audit", {
        subscription,
        deliveries,
      }),
    attemptBroke: (delivery, error) =>
      say.error("a fault inside bellhook kept an attempt back", { delivery, ...cause(error) }),
    attemptsHeldBack: (subscription, lack) =>
      say.warn("attempts wait because this machine runs short; none is lost", {
        subscription,
        lack,
      }),
    startDelayed: (delivery, error) =>
      say.error("could not store the start of an attempt for its rate limit; trying again", {
        delivery,
        ...cause(error),
      }),
    clockStepped: (byMs) =>
      say.warn("the wall clock was stepped; due times move with it", { byMs }),
    timeNotKept: (error) =>
      say.error(
        "could not store the time that retries are measured by; trying again",
        cause(error),
      ),
    shiftFailed: (byMs, error) =>
      say.error("due times could not follow the wall clock", { byMs, ...cause(error) }),
    replayFailed: (error) => say.error("a replay can't go on now; trying again", cause(error)),
    historyNotKept: (action, error) =>
      say.error("it was done, but not kept in the history", { action, ...cause(error) }),
    pruned: (facts) => say.info("pruned what was kept long enough", { ...facts }),
    pruningFailed: (error) => say.error("pruning failed; trying again later", cause(error)),
    configReloaded: (summary) => say.info("config reloaded", { summary }),
    configRejected: (problems) =>
      say.error("config rejected; the one before stays in force", {
        problems: problems.join("; "),
      }),
    journalPinned: (bytes, readers) =>
      say.error(
        "the journal can't be emptied while another program reads in it; end that program",
        {
          journalMiB: Math.round(bytes / 1024 ** 2),
          readers,
        },
      ),
    journalFreed: () => say.info("the journal can be emptied again"),
    proxiesIgnored: (variables) =>
      say.warn("a proxy is set in the environment and ignored: requests go out directly", {
        variables: variables.join(", "),
      }),
    configWarning: (problem) => say.warn("config", { problem }),
    accessRefused: (facts) => say.warn("access refused", { ...facts }),
    accessRefusedToMore: (facts) => say.warn("access refused to further addresses", { ...facts }),
    requestBroke: (facts, error) =>
      say.error("a fault inside bellhook broke a request", { ...facts, ...cause(error) }),
    acceptFailed: (error) =>
      say.warn("can't accept a connection; closing idle ones and trying again", cause(error)),
    storageFailed: (error) =>
      say.fatal("the database failed; stopping rather than trust it", cause(error)),
  };
}

function cause(error: unknown): { error: string } {
  return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

/** Says nothing: for tests and commands that report in their own words. */
export const silentLog: Log = new Proxy({} as Log, { get: () => () => {} });
