import { configure, getLogger, type LogRecord } from "@logtape/logtape";

/**
 * Every sentence the daemon logs, so that an operator's vocabulary is one page. No bodies, no
 * secrets, no query strings. Written through LogTape; `logTo` says where it goes.
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
  historyNotKept(deed: string, error: unknown): void;
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

const CATEGORY = ["bellhook"];
const ATTEMPT = "attempt";

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

/** The daemon's log through LogTape's category `bellhook`. */
export function systemLog(): Log {
  const logger = getLogger(CATEGORY);
  return {
    started: (facts) => logger.info("bellhook is ready", { ...facts }),
    databaseOutdated: (facts) =>
      logger.warn("the database is from an older version: copying it, then upgrading it", {
        ...facts,
      }),
    upgradeGoesOn: (facts) => logger.info("still upgrading the database", { ...facts }),
    copiedBeforeMigration: (facts) =>
      logger.warn("bringing the database up to date; a copy of it as it was is kept", { ...facts }),
    stopping: () => logger.info("stopping: no new events; attempts under way get their grace"),
    stoppedBeforeStart: () => logger.info("stopped while starting: the database is as it was"),
    stopped: (facts) => logger.info("stopped", { ...facts }),
    attempted(facts) {
      const failed = facts.status === undefined || facts.verdict !== "delivered";
      if (failed) logger.warn("attempt failed", { ...facts });
      else lines?.(attemptRecord(facts));
    },
    subscriptionFailing: (subscription, reason) =>
      logger.error("subscription is failing", { subscription, reason }),
    subscriptionRecovered: (subscription) =>
      logger.info("subscription is healthy again", { subscription }),
    subscriptionPaused: (subscription, reason) =>
      logger.error("subscription was paused", { subscription, reason }),
    deliveryExhausted: (facts) => logger.error("delivery is exhausted", { ...facts }),
    deliveryWithheld: (facts) =>
      logger.error("a delivery was cancelled, for its event is another customer's", { ...facts }),
    digestDelayed: (error) =>
      logger.error("can't store the digest of exhausted deliveries yet; trying again", {
        ...cause(error),
      }),
    recordingDelayed: (delivery, error) =>
      logger.error("an attempt can't be recorded yet; trying again", { delivery, ...cause(error) }),
    claimLost: (delivery) =>
      logger.warn("an attempt was not recorded: its claim had ended", { delivery }),
    claimFailed: (subscription, error) =>
      logger.error("can't read what is due; trying again", { subscription, ...cause(error) }),
    dataDamaged: (subscription, deliveries) =>
      logger.error("deliveries ended because their data is damaged; run bellhook audit", {
        subscription,
        deliveries,
      }),
    attemptBroke: (delivery, error) =>
      logger.error("a fault inside bellhook kept an attempt back", { delivery, ...cause(error) }),
    attemptsHeldBack: (subscription, lack) =>
      logger.warn("attempts wait because this machine runs short; none is lost", {
        subscription,
        lack,
      }),
    startDelayed: (delivery, error) =>
      logger.error("could not store the start of an attempt for its rate limit; trying again", {
        delivery,
        ...cause(error),
      }),
    clockStepped: (byMs) =>
      logger.warn("the wall clock was stepped; due times move with it", { byMs }),
    timeNotKept: (error) =>
      logger.error(
        "could not store the time that retries are measured by; trying again",
        cause(error),
      ),
    shiftFailed: (byMs, error) =>
      logger.error("due times could not follow the wall clock", { byMs, ...cause(error) }),
    replayFailed: (error) => logger.error("a replay can't go on now; trying again", cause(error)),
    historyNotKept: (deed, error) =>
      logger.error("it was done, but not kept in the history", { deed, ...cause(error) }),
    pruned: (facts) => logger.info("pruned what was kept long enough", { ...facts }),
    pruningFailed: (error) => logger.error("pruning failed; trying again later", cause(error)),
    configReloaded: (summary) => logger.info("config reloaded", { summary }),
    configRejected: (problems) =>
      logger.error("config rejected; the one before stays in force", {
        problems: problems.join("; "),
      }),
    journalPinned: (bytes, readers) =>
      logger.error(
        "the journal can't be emptied while another program reads in it; end that program",
        {
          journalMiB: Math.round(bytes / 1024 ** 2),
          readers,
        },
      ),
    journalFreed: () => logger.info("the journal can be emptied again"),
    proxiesIgnored: (variables) =>
      logger.warn("a proxy is set in the environment and ignored: requests go out directly", {
        variables: variables.join(", "),
      }),
    configWarning: (problem) => logger.warn("config", { problem }),
    accessRefused: (facts) => logger.warn("access refused", { ...facts }),
    accessRefusedToMore: (facts) =>
      logger.warn("access refused to further addresses", { ...facts }),
    requestBroke: (facts, error) =>
      logger.error("a fault inside bellhook broke a request", { ...facts, ...cause(error) }),
    acceptFailed: (error) =>
      logger.warn("can't accept a connection; closing idle ones and trying again", cause(error)),
    storageFailed: (error) =>
      logger.fatal("the database failed; stopping rather than trust it", cause(error)),
  };
}

/** Where `logTo` sends the log. */
let lines: ((record: LogRecord) => void) | undefined;

/**
 * What LogTape would make of it. Attempts that went well go past it: there may be thousands a second,
 * and it takes as long over each as spelling the line does.
 */
function attemptRecord(facts: AttemptFacts): LogRecord {
  return recordOf("info", ATTEMPT, { ...facts });
}

function recordOf(
  level: LogRecord["level"],
  text: string,
  properties: Record<string, unknown>,
): LogRecord {
  return {
    category: CATEGORY,
    level,
    message: [text],
    rawMessage: text,
    timestamp: Date.now(),
    properties,
  };
}

function cause(error: unknown): { error: string } {
  return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

/** Says nothing: for tests and commands that report in their own words. */
export const silentLog: Log = new Proxy({} as Log, { get: () => () => {} });

/** How a line of the log may look. */
export const LOG_FORMATS = ["pretty", "logfmt", "json"] as const;

/** `pretty` for eyes, `logfmt` for grep, `json` for collectors. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** How the log looks. */
export interface LogLook {
  readonly format?: LogFormat;
  readonly colour?: boolean;
}

/** Sends the log, a line a record, to where `write` takes it. */
export async function logTo(write: (line: string) => void, look: LogLook = {}): Promise<void> {
  const spell = spellingOf(look);
  const sink = gathered((record) => `${spell(record)}\n`, write);
  lines = sink;
  await configure({
    reset: true,
    sinks: { lines: sink },
    loggers: [
      { category: CATEGORY, sinks: ["lines"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "warning" },
    ],
  });
}

function spellingOf({ format = "logfmt", colour = false }: LogLook): (record: LogRecord) => string {
  return { pretty: colour ? coloured : pretty, logfmt, json }[format];
}

/** The line that stands in the place of so many. */
export function droppedLine(lines: number, look: LogLook): string {
  const { message, were } = lines === 1
    ? { message: "1 line", were: "was" }
    : { message: `${lines} lines`, were: "were" };
  const text = `${message} ${were} dropped because nobody read the log`;
  return `${spellingOf(look)(recordOf("warning", text, { lines }))}\n`;
}

/** How long a line about an attempt that went well may wait for others. */
const GATHERING_MS = 10;

/**
 * Writes what went well with attempts together, for there may be thousands a second and each write is
 * a call into the system; all else is written at once, and what waits before it.
 */
function gathered(
  spell: (record: LogRecord) => string,
  write: (text: string) => void,
): (record: LogRecord) => void {
  let waiting = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const text = waiting;
    waiting = "";
    write(text);
  };
  return (record) => {
    waiting += spell(record);
    if (record.rawMessage !== ATTEMPT) flush();
    else timer ??= setTimeout(flush, GATHERING_MS);
  };
}

/** `time=… level=… msg="…" key=value …` */
function logfmt(record: LogRecord): string {
  const facts = pairs(record);
  const said = `time=${timeOf(record)} level=${record.level} msg=${
    quoted(record.message.join(""))
  }`;
  return facts === "" ? said : `${said} ${facts}`;
}

/** One object, with the same names. */
function json(record: LogRecord): string {
  return spelledOut(JSON.stringify({
    time: timeOf(record),
    level: record.level,
    msg: record.message.join(""),
    ...record.properties,
  }));
}

/** `10:30:00.123 warning  attempt failed  key=value …`, the time in UTC. */
function pretty(record: LogRecord): string {
  return prettyWith(record, (text) => text);
}

function coloured(record: LogRecord): string {
  const code = COLOURS[record.level];
  return prettyWith(record, (text) => code === undefined ? text : `\x1b[${code}m${text}\x1b[0m`);
}

const COLOURS: { readonly [level in LogRecord["level"]]?: number } = {
  warning: 33,
  error: 31,
  fatal: 31,
};

function prettyWith(record: LogRecord, paint: (text: string) => string): string {
  const time = timeOf(record).slice(11, -1);
  const message = spelledOut(record.message.join(""));
  const facts = pairs(record);
  const said = `${time} ${paint(`${record.level.padEnd(7)}  ${message}`)}`;
  return facts === "" ? said : `${said}  ${facts}`;
}

function timeOf({ timestamp }: LogRecord): string {
  if (timestamp !== lastTime.timestamp) {
    lastTime = { timestamp, text: new Date(timestamp).toISOString() };
  }
  return lastTime.text;
}

/** Attempts end several to a millisecond, and spelling it takes as long as half of their line. */
let lastTime = { timestamp: NaN, text: "" };

function pairs({ properties }: LogRecord): string {
  let text = "";
  for (const name in properties) {
    const value = properties[name];
    if (value === undefined) continue;
    text += `${text === "" ? "" : " "}${name}=${
      typeof value === "number" ? value : quoted(String(value))
    }`;
  }
  return text;
}

function quoted(text: string): string {
  if (PLAIN.test(text)) return text;
  return /^[^\s"=\\]+$/.test(text) && spelledOut(text) === text
    ? text
    : spelledOut(JSON.stringify(text));
}

/** What nearly every value is: visible ASCII, without what has a meaning in a line. */
const PLAIN = /^[!#-<>-[\]-~]+$/;

/**
 * As JSON has it, what could end a line, steer a terminal or reorder a text: publishers and
 * receivers choose words that stand in the log.
 */
function spelledOut(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => {
      const units = character.split("");
      return units.map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
    },
  );
}
