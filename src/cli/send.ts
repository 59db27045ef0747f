import { type Command, Option } from "commander";
import { assertJson, compact, type JsonText } from "../domain/json_text.ts";
import { ApiClient } from "./api_client.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

interface SendOptions {
  readonly data?: string;
  readonly scope?: readonly string[];
  readonly id?: string;
  readonly timestamp?: string;
  readonly metadata?: string;
  readonly file?: string;
}

/** `bellhook send`: posts an event, or a file of them. */
export function addSend(program: Command, shell: Shell): void {
  program.command("send")
    .description("post an event and print what will be delivered to whom")
    .argument("[type]", "the event's type, as in booking.created")
    .option("--data <json>", "the event's data: JSON, @FILE, or - for standard input")
    .addOption(
      new Option("--scope <name=value...>", "what the event is about; JSON values keep their type"),
    )
    .option("--id <id>", "the event's id: makes it safe to send again")
    .option("--timestamp <time>", "when it happened, as RFC 3339")
    .option("--metadata <json>", "the event's metadata: JSON, @FILE, or -")
    .option("--file <file>", "a file with a whole event or an array of them, or -")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<SendOptions>(async (options, type) => {
      const body = await bodyOf(type, options, () => shell.terminal.stdin());
      using client = await ApiClient.for(options, shell.terminal);
      const { status, answer } = await client.post<Receipt | Receipt[]>("/v1/events", body);
      const repeated = status === 200;
      for (const receipt of [answer].flat()) print(receipt, { shell, options, repeated });
      return EXIT.done;
    }));
}

interface Receipt {
  readonly id: string;
  readonly deliveries: readonly { readonly id: string; readonly subscription: string }[];
}

function print(
  receipt: Receipt,
  { shell, options, repeated }: { shell: Shell; options: GlobalOptions; repeated: boolean },
): void {
  if (options.json) return shell.print(JSON.stringify(receipt));
  shell.print(receipt.id);
  for (const { id, subscription } of receipt.deliveries) shell.print(`  ${id}  ${subscription}`);
  if (repeated) shell.say("known already: nothing new was stored");
  else if (receipt.deliveries.length === 0) shell.say("stored, but no subscription gets it");
}

async function bodyOf(
  type: string | undefined,
  options: SendOptions,
  stdin: () => Promise<string>,
): Promise<string> {
  if (options.file !== undefined) {
    const others = ["data", "scope", "id", "timestamp", "metadata"] as const;
    const other = others.find((name) => options[name] !== undefined);
    if (type !== undefined || other !== undefined) {
      const given = type === undefined ? `--${other}` : "a type";
      throw new CommandError(EXIT.notValid, `--file holds whole events; leave ${given} out`);
    }
    return json(await textAt(options.file, stdin), `--file ${options.file}`);
  }
  if (type === undefined) {
    throw new CommandError(EXIT.notValid, "an event needs a type; or give whole events by --file");
  }
  return await eventText(type, options, stdin);
}

/** The event as JSON text, put together without parsing, so that numbers keep their digits. */
async function eventText(
  type: string,
  { data = "{}", scope = [], id, timestamp, metadata }: SendOptions,
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

async function valueOf(
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

function json(text: string, what: string): string {
  try {
    assertJson(text);
    return text;
  } catch (error) {
    throw new CommandError(EXIT.notValid, `${what} is no JSON: ${(error as Error).message}`);
  }
}

const EXAMPLES = `
Examples:
  $ bellhook send booking.created --data '{"booking_id": "bk_1"}'
  $ bellhook send booking.created --scope venue_id=v1 account_id=7 --data @booking.json
  $ generate-booking | bellhook send booking.created --id booking-1-created --data -
  $ bellhook send --file events.json
`;
