import { type Command, Option } from "commander";
import { assertJson, compact, type JsonText } from "../domain/json_text.ts";
import { CommandError, EXIT } from "./exit_code.ts";

/** Options by which a command is told an event. */
export interface EventOptions {
  readonly data?: string;
  readonly scope?: readonly string[];
  readonly id?: string;
  readonly timestamp?: string;
  readonly metadata?: string;
  readonly file?: string;
}

/** Adds the event's type and the options of EventOptions; `file` says what the file may hold. */
export function addEventOptions(command: Command, { file }: { file: string }): Command {
  return command
    .argument("[type]", "the event's type, as in booking.created")
    // More values of --scope. It takes one itself: an option of many would take the type as well.
    .allowExcessArguments()
    .option("--data <json>", "the event's data: JSON, @FILE, or - for standard input")
    .addOption(
      new Option(
        "--scope <name=value>",
        "what the event is about, one or several; JSON values keep their type",
      )
        .argParser((text, earlier: readonly string[] = []) => [...earlier, text]),
    )
    .option("--id <id>", "the event's id: makes it safe to send again")
    .option("--timestamp <time>", "when it happened, as RFC 3339")
    .option("--metadata <json>", "the event's metadata: JSON, @FILE, or -")
    .option("--file <file>", file);
}

/**
 * The event, or the file of them, that was given, as the JSON text to post. The words are those that
 * no option has taken: the type, and more values of `--scope`.
 */
export async function postedText(
  words: readonly string[],
  options: EventOptions,
  stdin: () => Promise<string>,
): Promise<string> {
  const isScope = (word: string) => options.scope !== undefined && word.includes("=");
  const [type, ...more] = words.filter((word) => !isScope(word));
  if (options.file !== undefined) {
    const others = ["data", "scope", "id", "timestamp", "metadata"] as const;
    const other = others.find((name) => options[name] !== undefined);
    if (type !== undefined || other !== undefined) {
      const given = type === undefined ? `--${other}` : "a type";
      throw new CommandError(EXIT.notValid, `--file holds whole events; leave ${given} out`);
    }
    return json(await textAt(options.file, stdin), `--file ${options.file}`);
  }
  const scope = [...options.scope ?? [], ...words.filter(isScope)];
  if (type === undefined) {
    const taken = scope.length === 0 ? "" : ` beside what --scope took (${scope.join(" ")})`;
    throw new CommandError(
      EXIT.notValid,
      `an event needs a type${taken}; or give whole events by --file`,
    );
  }
  if (more.length > 0) {
    const types = [type, ...more].map((word) => `"${word}"`).join(", ");
    throw new CommandError(
      EXIT.notValid,
      `an event has one type, and these are several: ${types}; the rest goes by --scope or --data`,
    );
  }
  return await eventText(type, { ...options, scope }, stdin);
}

/** The event as JSON text, put together without parsing, so that numbers keep their digits. */
async function eventText(
  type: string,
  { data = "{}", scope = [], id, timestamp, metadata }: EventOptions,
  stdin: () => Promise<string>,
): Promise<JsonText> {
  if (data === "-" && metadata === "-") {
    throw new CommandError(EXIT.notValid, "data and metadata can't both come from standard input");
  }
  const members = [
    ...(id === undefined ? [] : [`"id":${JSON.stringify(id)}`]),
    `"type":${JSON.stringify(type)}`,
    ...(timestamp === undefined ? [] : [`"timestamp":${JSON.stringify(timestamp)}`]),
    ...(scope.length === 0 ? [] : [`"scope":{${scope.map(scopeMember).join(",")}}`]),
    `"data":${await valueOf(data, "--data", stdin)}`,
    ...(metadata === undefined
      ? []
      : [`"metadata":${await valueOf(metadata, "--metadata", stdin)}`]),
  ];
  return `{${members.join(",")}}`;
}

/** `venue_id=12` is a number, `venue_id=v12` and `venue_id="12"` are texts. */
function scopeMember(text: string): string {
  const at = text.indexOf("=");
  if (at < 1) {
    throw new CommandError(EXIT.notValid, `--scope "${text}" is not of the form name=value`);
  }
  const value = text.slice(at + 1);
  return `${JSON.stringify(text.slice(0, at))}:${isScalar(value) ? value : JSON.stringify(value)}`;
}

function isScalar(text: string): boolean {
  try {
    const value = JSON.parse(text);
    return value === null || typeof value !== "object";
  } catch {
    return false;
  }
}

/** A JSON value as it was typed, or from the file or the standard input that was named. */
export async function valueOf(
  text: string,
  option: string,
  stdin: () => Promise<string>,
): Promise<JsonText> {
  if (text === "-") return compact(json(await stdin(), `${option} -`));
  if (!text.startsWith("@")) return compact(json(text, option));
  return compact(json(await textAt(text.slice(1), stdin), `${option} ${text}`));
}

async function textAt(path: string, stdin: () => Promise<string>): Promise<string> {
  if (path === "-") return await stdin();
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new CommandError(EXIT.notValid, `can't read "${path}": ${(error as Error).message}`);
  }
}

function json(given: string, what: string): string {
  // A byte order mark, which Windows' programs begin files and pipes with, is not part of the JSON.
  const text = given.replace(/^\ufeff/, "");
  try {
    assertJson(text);
    return text;
  } catch (error) {
    throw new CommandError(EXIT.notValid, `${what} is no JSON: ${(error as Error).message}`);
  }
}
