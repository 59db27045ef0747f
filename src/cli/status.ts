import type { Command } from "commander";
import { commandAbout, shellWord } from "../domain/curl.ts";
import type { Condition } from "../domain/health.ts";
import { resultWords } from "../domain/result_words.ts";
import type { Delivery, DeliveryWithAttempts, Health, Subscription } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { conditionCell, conditionOf } from "./condition.ts";
import { answerOf, resultOf, stateCell } from "./delivery_columns.ts";
import { EXIT, type ExitCode } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { printable } from "./printable.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import {
  type Cell,
  type Column,
  printFields,
  printIndented,
  printLine,
  printTable,
} from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { exactlyWhen, when } from "./when.ts";

interface StatusOptions {
  readonly all?: boolean;
  readonly check?: boolean;
  readonly ready?: boolean;
}

/** `bellhook status`: how the daemon and every receiver are doing, and what to do about it. */
export function addStatus(program: Command, shell: Shell): void {
  program.command("status")
    .description("show which receivers need attention and why, or one subscription in detail")
    .argument("[subscription]", "show this one", givenId)
    .option("--all", "show every subscription, those that need attention first")
    .option(
      "--check",
      "exit code 1 where one is failing, not answering or paused, or the daemon is not ready",
    )
    .option("--ready", "only whether the daemon takes events: exit code 0 or 1, without a token")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<StatusOptions>(async (options, id) => {
      using client = await ApiClient.for(options, shell.terminal);
      if (options.ready) return await readiness(client, shell);
      const doing = { client, options, shell };
      return id === undefined ? await overview(doing) : await detail(id, doing);
    }));
}

/** What a container's health check asks. */
async function readiness(client: ApiClient, shell: Shell): Promise<ExitCode> {
  const notReady = await client.notReadyBecause();
  shell.say(notReady === undefined ? "ready" : `not ready: ${notReady}`);
  return notReady === undefined ? EXIT.done : EXIT.failed;
}

interface Removed {
  readonly id: string;
  readonly pending: number;
}

interface Doing {
  readonly client: ApiClient;
  readonly options: StatusOptions & GlobalOptions;
  readonly shell: Shell;
}

async function overview({ client, options, shell }: Doing): Promise<ExitCode> {
  const notReady = await client.notReadyBecause();
  const subscriptions: Subscription[] = [];
  for await (const page of client.pages<Subscription>("/v1/subscriptions", { limit: 500 })) {
    subscriptions.push(...page);
  }
  subscriptions.sort((a, b) => urgencyOf(b) - urgencyOf(a));
  shell.say(notReady === undefined ? "ready" : `not ready: ${notReady}`);
  shell.say(summaryOf(subscriptions));
  if (options.json) { for (const one of subscriptions) shell.print(JSON.stringify(one)); }
  else show(subscriptions, { options, shell });
  const { removed = [] } = await client.get<{ removed?: Removed[] }>("/v1/subscriptions?limit=1");
  for (const { id, pending } of removed) {
    shell.say(printable(
      `${id}: the config has it no more; holds ${pending} pending until it comes back. ` +
        `To end them: bellhook cancel --subscription ${shellWord(id)}`,
    ));
  }
  const sound = notReady === undefined && !subscriptions.some(isUnhealthy);
  return options.check && !sound ? EXIT.failed : EXIT.done;
}

/** `5 000 subscriptions: 2 failing, 1 not answering, 4 997 healthy`. */
function summaryOf(subscriptions: readonly Subscription[]): string {
  if (subscriptions.length === 0) return "the config has no subscriptions";
  const counts = new Map<Condition, number>();
  for (const { health } of subscriptions) {
    const condition = conditionOf(health);
    counts.set(condition, (counts.get(condition) ?? 0) + 1);
  }
  const told = [...counts].map(([condition, count]) => `${count} ${condition}`).join(", ");
  return `${subscriptions.length} ${
    subscriptions.length === 1 ? "subscription" : "subscriptions"
  }: ${told}`;
}

/** So many that need attention are shown unless all are asked for: a network that is down is one fault. */
const SHOWN = 50;

/** Prints those that need attention, or all that there are. */
function show(
  subscriptions: readonly Subscription[],
  { options, shell }: Omit<Doing, "client">,
): void {
  const needing = subscriptions.filter(needsAttention);
  const shown = options.all ? subscriptions : needing.slice(0, SHOWN);
  printTable(shown, columns(shell.terminal), shell.terminal);
  advise(needing.slice(0, SHOWN), shell);
  if (options.all || subscriptions.length === shown.length) return;
  const more = needing.length - shown.length;
  const rest = more > 0 ? `${more} more need attention` : `the others need no attention`;
  shell.say(
    `${needing.length === 0 ? "none needs attention" : rest}; bellhook status --all shows all`,
  );
}

async function detail(id: string, { client, options, shell }: Doing): Promise<ExitCode> {
  const { terminal } = shell;
  const subscription = await client.get<Subscription>(
    `/v1/subscriptions/${encodeURIComponent(id)}`,
  );
  const recentFailures = await failuresOf(id, client);
  const exitCode = options.check && isUnhealthy(subscription) ? EXIT.failed : EXIT.done;
  if (options.json) {
    shell.print(JSON.stringify({ ...subscription, recentFailures }));
    return exitCode;
  }
  printFields(fieldsOf(subscription, terminal), terminal);
  for (const failure of recentFailures) printFailure(failure, terminal);
  advise([subscription], shell);
  return exitCode;
}

/** What needs a look most has most; the order among equals stays as the API has it, by id. */
const URGENCY = { healthy: 0, disabled: 1, paused: 2, "not answering": 3, failing: 4 } as const;

function urgencyOf({ health }: Subscription): number {
  const condition = conditionOf(health);
  const wavers = condition === "healthy" && health.consecutiveFailures > 0;
  return wavers ? URGENCY.disabled + 0.5 : URGENCY[condition];
}

function isUnhealthy({ health }: Subscription): boolean {
  return URGENCY[conditionOf(health)] >= URGENCY.paused;
}

/** Of what is disabled on purpose only deliveries that wait for it; else whatever failed last. */
function needsAttention(subscription: Subscription): boolean {
  const { state, pending, consecutiveFailures } = subscription.health;
  if (state === "disabled") return pending > 0;
  return isUnhealthy(subscription) || consecutiveFailures > 0;
}

function columns(terminal: Terminal): Column<Subscription>[] {
  return [
    { heading: "SUBSCRIPTION", cell: ({ id }) => id, shrinksTo: 12 },
    { heading: "STATE", cell: ({ health }) => conditionCell(health) },
    {
      heading: "SINCE",
      cell: ({ health }) => when(conditionSince(health), terminal),
      named: true,
    },
    {
      heading: "LAST SUCCESS",
      cell: ({ health }) => when(health.lastSuccessAt, terminal) || terminalOnly("never", terminal),
      dropRank: 2,
      named: true,
    },
    {
      heading: "FAILURES",
      cell: ({ health }) => countCell(health.consecutiveFailures),
      dropRank: 1,
      named: true,
    },
    { heading: "PENDING", cell: ({ health }) => String(health.pending), named: true },
    { heading: "LAST ANSWER", cell: ({ health }) => lastAnswer(health, terminal), shrinksTo: 18 },
  ];
}

/** Since when it is what conditionOf() calls it, as far as is known. */
function conditionSince(health: Health): string | undefined {
  return conditionOf(health) === "not answering" ? health.failuresSince : health.since;
}

function lastAnswer({ lastResult }: Health, { clock }: Terminal): string {
  return lastResult === undefined ? "" : resultWords(lastResult, clock.wall());
}

function terminalOnly(text: string, { columns }: Terminal): string {
  return columns === undefined ? "" : text;
}

function countCell(failures: number): Cell {
  return { text: String(failures), colour: failures > 0 ? "red" : undefined };
}

/** What to do about those that are not well, a line or two for each. */
function advise(subscriptions: readonly Subscription[], shell: Shell): void {
  for (const { id, health } of subscriptions) {
    const word = shellWord(id);
    const say = (text: string) => shell.say(printable(`${id}: ${text}`));
    if (health.state === "failing") {
      say(`what failed:      bellhook deliveries --subscription ${word} --state failed`);
      say(`once it is well:  bellhook replay --subscription ${word} --state failed --since 7d`);
    } else if (health.state === "paused") {
      const why = health.reason === undefined ? "" : ` (${health.reason})`;
      say(`to go on${why}: ${commandAbout("resume", id)}`);
    } else if (health.state === "disabled" && health.pending > 0) {
      say(
        `holds ${health.pending} pending: set "enabled": true in the config, then bellhook reload`,
      );
    } else if (health.consecutiveFailures > 0) {
      const only = health.pending > 0 ? " --state pending" : "";
      say(`what fails:       bellhook deliveries --subscription ${word}${only}`);
      if (health.answering === false) say(`to try it now:    ${commandAbout("test", id)}`);
    }
  }
}

function fieldsOf(
  { id, url, description = "", profile, events, health, counts, config }: Subscription,
  terminal: Terminal,
): [string, Cell][] {
  return [
    ["subscription", id],
    ["description", description],
    ["url", url],
    ["profile", profile],
    ["events", events.join(", ")],
    ["state", conditionCell(health)],
    ["reason", health.reason ?? ""],
    ["since", exactlyWhen(conditionSince(health), terminal)],
    ["last answer", lastAnswer(health, terminal)],
    ["answered", exactlyWhen(health.lastResult?.at, terminal)],
    [
      "last success",
      exactlyWhen(health.lastSuccessAt, terminal) || terminalOnly("never", terminal),
    ],
    ["failures in a row", countCell(health.consecutiveFailures)],
    ...Object.entries(counts).map(([state, count]): [string, string] => [state, String(count)]),
    ...Object.entries(config).filter(([, value]) => isTelling(value)).map(
      ([name, value]): [string, string] => [
        name,
        typeof value === "string" ? value : JSON.stringify(value),
      ],
    ),
  ];
}

/** Whether a setting says more than that there is none. */
function isTelling(value: unknown): boolean {
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}

const FAILURES_SHOWN = 5;

/** The newest deliveries whose last attempt failed. */
async function failuresOf(
  subscription: string,
  client: ApiClient,
): Promise<DeliveryWithAttempts[]> {
  const failed: Delivery[] = [];
  for (const state of ["failed", "pending"]) {
    let found = 0;
    for await (
      const page of client.pages<Delivery>("/v1/deliveries", { subscription, state, limit: 50 })
    ) {
      const tried = page.filter(({ attemptCount }) => attemptCount > 0);
      failed.push(...tried);
      found += tried.length;
      // A backlog of pending ones may be long, and none of them tried.
      if (found >= FAILURES_SHOWN || page.length === 0 || state === "pending") break;
    }
  }
  failed.sort((a, b) => a.createdAt < b.createdAt ? 1 : -1);
  const newest = failed.slice(0, FAILURES_SHOWN);
  return await Promise.all(
    newest.map(({ id }) => client.get<DeliveryWithAttempts>(`/v1/deliveries/${id}`)),
  );
}

function printFailure(delivery: DeliveryWithAttempts, terminal: Terminal): void {
  const last = delivery.attempts.at(-1);
  if (last === undefined) return;
  const { diagnosis = "" } = last;
  if (terminal.columns === undefined) {
    const { id, state } = delivery;
    return printLine(["failure", id, state, last.startedAt, resultOf(last), diagnosis], terminal);
  }
  terminal.stdout("\n");
  const answer = answerOf(last);
  const at = when(last.startedAt, terminal);
  printLine([delivery.id, stateCell(delivery), answer, at], terminal);
  if (diagnosis !== "") printIndented(diagnosis, terminal);
}

const EXAMPLES = `
Examples:
  $ bellhook status
  $ bellhook status guests
  $ bellhook status --check > /dev/null || page-someone
  $ bellhook status --json | jq -r 'select(.health.state == "failing") | .id'
`;
