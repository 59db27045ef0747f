import { type Log, type LogRecord, logThrough } from "./log.ts";

/** How a line of the log may look. */
export const LOG_FORMATS = ["pretty", "logfmt", "json"] as const;

/** `pretty` for eyes, `logfmt` for grep, `json` for collectors. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** How the log looks. */
export interface LogLook {
  readonly format?: LogFormat;
  readonly colour?: boolean;
}

/** The log as lines of text. */
export function lineLog(write: (text: string) => void, look: LogLook = {}): Log {
  const spell = spellingOf(look);
  return logThrough(
    gathered((record) => `${spell({ ...record, timestamp: Date.now() })}\n`, write),
  );
}

interface StampedRecord extends LogRecord {
  /** Unix milliseconds. */
  readonly timestamp: number;
}

function spellingOf(
  { format = "logfmt", colour = false }: LogLook,
): (record: StampedRecord) => string {
  return { pretty: colour ? coloured : pretty, logfmt, json }[format];
}

/** The line that stands in the place of so many. */
export function droppedLine(lines: number, look: LogLook): string {
  const { message, were } = lines === 1
    ? { message: "1 line", were: "was" }
    : { message: `${lines} lines`, were: "were" };
  const text = `${message} ${were} dropped because nobody read the log`;
  return `${
    spellingOf(look)({ level: "warning", text, facts: { lines }, timestamp: Date.now() })
  }\n`;
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
    if (!record.isFrequent) flush();
    else timer ??= setTimeout(flush, GATHERING_MS);
  };
}

/** `time=… level=… msg="…" key=value …` */
function logfmt(record: StampedRecord): string {
  const facts = pairs(record);
  const said = `time=${timeOf(record)} level=${record.level} msg=${quoted(record.text)}`;
  return facts === "" ? said : `${said} ${facts}`;
}

/** One object, with the same names. */
function json(record: StampedRecord): string {
  return spelledOut(JSON.stringify({
    time: timeOf(record),
    level: record.level,
    msg: record.text,
    ...record.facts,
  }));
}

/** `10:30:00.123 warning  attempt failed  key=value …`, the time in UTC. */
function pretty(record: StampedRecord): string {
  return prettyWith(record, (text) => text);
}

function coloured(record: StampedRecord): string {
  const code = COLOURS[record.level];
  return prettyWith(record, (text) => code === undefined ? text : `\x1b[${code}m${text}\x1b[0m`);
}

const COLOURS: { readonly [level in LogRecord["level"]]?: number } = {
  warning: 33,
  error: 31,
  fatal: 31,
};

function prettyWith(record: StampedRecord, paint: (text: string) => string): string {
  const time = timeOf(record).slice(11, -1);
  const message = spelledOut(record.text);
  const facts = pairs(record);
  const said = `${time} ${paint(`${record.level.padEnd(7)}  ${message}`)}`;
  return facts === "" ? said : `${said}  ${facts}`;
}

function timeOf({ timestamp }: StampedRecord): string {
  if (timestamp !== lastTime.timestamp) {
    lastTime = { timestamp, text: new Date(timestamp).toISOString() };
  }
  return lastTime.text;
}

/** Attempts end several to a millisecond, and spelling it takes as long as half of their line. */
let lastTime = { timestamp: NaN, text: "" };

function pairs({ facts }: LogRecord): string {
  let text = "";
  for (const name in facts) {
    const value = facts[name];
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
