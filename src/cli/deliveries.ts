import { type Command, InvalidArgumentError, Option } from "commander";
import { curlOf, shellWord } from "../domain/curl.ts";
import type { Attempt, Delivery, DeliveryWithAttempts, Searched } from "./answers.ts";
import { ApiClient, type Query } from "./api_client.ts";
import { answerOf, deliveryColumns, resultOf, stateCell } from "./delivery_columns.ts";
import { addFilterOptions, type DeliveryFilter, queryOf } from "./delivery_filter.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { sayNoneFit } from "./none_fit.ts";
import { printableLines } from "./printable.ts";
import { type ProgressBar, progressBar } from "./progress_bar.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { printFields, printIndented, printLine, printTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { exactlyWhen, spokenDuration, when } from "./when.ts";

interface DeliveriesOptions extends DeliveryFilter {
  readonly event?: string;
  readonly status?: string;
  readonly q?: string;
  readonly limit?: number;
  readonly all?: boolean;
  readonly body?: boolean;
  readonly curl?: boolean;
}

/** `bellhook deliveries`: a list of them, or all there is to know about one. */
export function addDeliveries(program: Command, shell: Shell): void {
  const command = program.command("deliveries")
    .description("list deliveries, newest first, or show one with every attempt")
    .argument("[id]", "show this one", givenId);
  addFilterOptions(command, { states: STATES, preset: "any", clock: shell.terminal.clock })
    .option("--event <id>", "those of this event", givenId)
    .option("--status <status>", "those whose last answer had this status")
    .option("--q <text>", "those with this: an id or its beginning, a subscription, a type, a text")
    .addOption(
      new Option("--limit <count>", `show at most so many (${LIMIT})`).argParser(count),
    )
    .option("--all", "show all of them")
    .option("--body", "of one: print the request's body alone")
    .option("--curl", "of one: print a curl command that repeats the last request")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<DeliveriesOptions>(async (options, id) => {
      const { body, curl } = options;
      if (id === undefined && (body || curl)) {
        throw new CommandError(
          EXIT.notValid,
          `${body ? "--body" : "--curl"} is of one delivery: name it`,
        );
      }
      const filter = filterOf(options);
      const given = Object.entries(filter).find(([, value]) => value !== undefined)?.[0] ??
        (["limit", "all"] as const).find((name) => options[name] !== undefined);
      if (id !== undefined && given !== undefined) {
        throw new CommandError(EXIT.notValid, `one delivery takes no filter; leave --${given} out`);
      }
      if (body && curl) {
        throw new CommandError(EXIT.notValid, "--body and --curl can't both be printed");
      }
      using client = await ApiClient.for(options, shell.terminal);
      if (id === undefined) return await list(filter, { client, options, shell });
      return show(await find(id, client), { options, shell });
    }));
}

const STATES = ["pending", "delivered", "failed", "exhausted", "cancelled"];
const LIMIT = 50;
/** The most that the API gives at a time. */
const PAGE = 500;

function filterOf({ event, status, q, ...filter }: DeliveriesOptions): Query {
  return { ...queryOf(filter), event, status, q };
}

interface Doing {
  readonly options: DeliveriesOptions & GlobalOptions;
  readonly shell: Shell;
}

async function list(
  filter: Query,
  { client, options, shell }: Doing & { client: ApiClient },
): Promise<ExitCode> {
  const { terminal } = shell;
  const most = options.all ? Infinity : options.limit ?? LIMIT;
  const searching = new Searching(terminal);
  // A terminal's columns are as wide as the widest row; a pipe gets each page as it comes.
  const rows: Delivery[] = [];
  let count = 0, isMore = false;
  try {
    for await (
      // One more than asked for tells whether there are more.
      const page of client.pages<Delivery>("/v1/deliveries", {
        ...filter,
        limit: Math.min(most + 1, PAGE),
      }, (searched) => searching.show(searched))
    ) {
      const shown = page.slice(0, most - count);
      count += shown.length;
      if (shown.length > 0 && (options.json || terminal.columns === undefined)) searching.hide();
      if (options.json) { for (const delivery of shown) shell.print(JSON.stringify(delivery)); }
      else if (terminal.columns === undefined) {
        printTable(shown, deliveryColumns(terminal), terminal);
      } else rows.push(...shown);
      if (!terminal.hasReader()) return EXIT.done;
      isMore = shown.length < page.length;
      if (isMore || searching.isStopped) break;
    }
  } finally {
    searching.end();
  }
  printTable(rows, deliveryColumns(terminal), terminal);
  if (isMore) shell.say("there are more; --all shows them");
  else if (searching.isStopped) {
    shell.say(searching.stoppedText());
    return EXIT.failed;
  } else if (count === 0) await sayNoneFit(options.subscription, { client, shell });
  return EXIT.done;
}

/** A search that goes on through older deliveries: how far back it is, and a way to stop it. */
class Searching {
  readonly #bar: ProgressBar;
  readonly #ignore: () => void;
  #backTo: string | undefined;
  isStopped = false;

  constructor(terminal: Terminal) {
    this.#bar = progressBar(terminal);
    this.#ignore = terminal.onSignal(["SIGINT", "SIGTERM"], () => {
      // What was found so far is still shown, unless somebody is in a hurry.
      if (this.isStopped) terminal.exitSoon(EXIT.failed);
      this.isStopped = true;
    });
  }

  show({ backTo, rows, of }: Searched): void {
    this.#backTo = backTo;
    const minute = backTo.slice(0, "2024-03-15T10:30".length).replace("T", " ");
    this.#bar.show({ doing: "searching", done: rows, total: of, note: `back to ${minute}` });
  }

  /** So that rows can be printed in its place. */
  hide(): void {
    this.#bar.end();
  }

  end(): void {
    this.#bar.end();
    this.#ignore();
  }

  stoppedText(): string {
    if (this.#backTo === undefined) return "stopped";
    return `stopped: searched back to ${this.#backTo}; --until ${this.#backTo} goes on from there`;
  }
}

async function find(id: string, client: ApiClient): Promise<DeliveryWithAttempts> {
  try {
    return await client.get(`/v1/deliveries/${encodeURIComponent(id)}`);
  } catch (error) {
    const isOther = error instanceof CommandError && error.exitCode === EXIT.notFound &&
      !/^dlv_\w{26}$/.test(id);
    if (!isOther) throw error;
    throw new CommandError(
      EXIT.notFound,
      `${error.message}; to search for it, write bellhook deliveries --q ${shellWord(id)}`,
    );
  }
}

function show(delivery: DeliveryWithAttempts, { options, shell }: Doing): ExitCode {
  const { terminal } = shell;
  if (options.body || options.curl) {
    const last = delivery.attempts.at(-1);
    if (last === undefined) {
      throw new CommandError(EXIT.failed, `nothing has been sent yet for "${delivery.id}"`);
    }
    if (options.body) printBody(last.request.body, { options, shell });
    else printCurl(last, { options, shell });
    return EXIT.done;
  }
  if (options.json) {
    shell.print(JSON.stringify(delivery));
    return EXIT.done;
  }
  const { reason, held, attemptCount, nextAttemptAt } = delivery;
  printFields([
    ["delivery", delivery.id],
    ["state", stateCell(delivery)],
    ["reason", reason ?? ""],
    ["held", held ? "its subscription is paused, disabled or gone from the config" : ""],
    ["event", delivery.event],
    ["sent as", delivery.sentAs ?? ""],
    ["type", delivery.type],
    ["subscription", delivery.subscription],
    ["redelivery of", delivery.redeliveryOf ?? ""],
    ["created", exactlyWhen(delivery.createdAt, terminal)],
    ["finished", exactlyWhen(delivery.finishedAt, terminal)],
    ["attempts", String(attemptCount)],
    ["next attempt", exactlyWhen(nextAttemptAt, terminal)],
  ], terminal);
  for (const attempt of delivery.attempts) printAttempt(attempt, shell);
  return EXIT.done;
}

function printAttempt(attempt: Attempt, { terminal }: Shell): void {
  const { number, startedAt, durationMs, diagnosis = "", response } = attempt;
  const answer = shortened(response?.body ?? "");
  if (terminal.columns === undefined) {
    const { result } = attempt;
    printLine(
      ["attempt", ...[number, startedAt, result, resultOf(attempt), durationMs].map(String)].concat(
        diagnosis,
        answer,
      ),
      terminal,
    );
    return;
  }
  terminal.stdout("\n");
  printLine([
    `attempt ${number}`,
    stateCell({ state: attempt.result }),
    answerOf(attempt),
    `in ${spokenDuration(durationMs)}`,
    when(startedAt, terminal),
    attempt.remoteAddress ?? "",
  ], terminal);
  if (diagnosis !== "") printIndented(diagnosis, terminal);
  if (answer !== "") printIndented(`answer: ${answer}`, terminal);
}

const SHOWN_OF_ANSWER = 400;

function shortened(text: string): string {
  const characters = [...text];
  if (characters.length <= SHOWN_OF_ANSWER) return text;
  return `${characters.slice(0, SHOWN_OF_ANSWER).join("")}…`;
}

function printBody(body: string, { options, shell }: Doing): void {
  const { terminal } = shell;
  if (options.json) return shell.print(JSON.stringify({ body }));
  // In a pipe the bytes that were signed, and not one more.
  terminal.stdout(terminal.columns === undefined ? body : `${printableLines(body)}\n`);
}

function printCurl(attempt: Attempt, { options, shell }: Doing): void {
  const curl = curlOf({
    ...attempt.request,
    headers: Object.entries(attempt.request.headers),
  });
  shell.print(options.json ? JSON.stringify({ curl }) : curl);
  shell.say("time stamp and signature are that attempt's; receivers refuse old ones");
  if (curl.includes("[redacted]")) shell.say("put the secrets in where it says [redacted]");
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is not a whole number from 1.");
}

const EXAMPLES = `
Examples:
  $ bellhook deliveries --subscription guests --state failed
  $ bellhook deliveries --since 2h --status 401 --all
  $ bellhook deliveries --q bk_12345 --json | jq -r .id
  $ bellhook deliveries dlv_01JA0000000000000000000000
  $ bellhook deliveries dlv_01JA0000000000000000000000 --curl
`;
