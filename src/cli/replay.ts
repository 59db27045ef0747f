import { type Command, Option } from "commander";
import type { Replay } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { confirmed } from "./confirmed.ts";
import {
  addFilterOptions,
  deliveriesCounted,
  type DeliveryFilter,
  isGiven,
  queryOf,
} from "./delivery_filter.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { unknownSubscription } from "./none_fit.ts";
import { pauseFor } from "./pause_for.ts";
import { progressBar } from "./progress_bar.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { printLine } from "./table.ts";
import { when } from "./when.ts";

interface ReplayOptions extends DeliveryFilter {
  readonly cancel?: boolean;
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly yes?: boolean;
}

/** `bellhook replay`: finished deliveries sent again, at a pace; or how far a replay is. */
export function addReplay(program: Command, shell: Shell): void {
  const command = program.command("replay")
    .description("send deliveries again, or retry or cancel pending ones, or show how far that is")
    .argument("[id]", "show this replay", givenId);
  addFilterOptions(command, {
    states: ["pending", "delivered", "failed", "exhausted", "cancelled"],
    preset: "all that have finished",
    clock: shell.terminal.clock,
  })
    .option("--cancel", "end what is pending instead of sending it")
    .option("--dry-run", "only count")
    .addOption(new Option("--yes", "don't ask"))
    .option("--no-wait", "print the replay's id and leave")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<ReplayOptions>(async (options, id) => {
      const filtered = isGiven(options) || options.dryRun;
      if (id !== undefined && filtered) {
        throw new CommandError(EXIT.notValid, "a replay's id shows it; leave the filter out");
      }
      if (id === undefined && options.since === undefined) {
        throw new CommandError(
          EXIT.notValid,
          'a replay needs to know since when: "--since 2h", or RFC 3339',
        );
      }
      using client = await ApiClient.for(options, shell.terminal);
      const doing = { client, options, shell };
      if (id === undefined) return await replay(doing);
      print(await find(id, client), doing);
      return EXIT.done;
    }));
}

interface Doing {
  readonly client: ApiClient;
  readonly options: ReplayOptions & GlobalOptions;
  readonly shell: Shell;
}

async function replay(doing: Doing): Promise<ExitCode> {
  const { client, options, shell } = doing;
  const action = options.cancel ? "cancel" : "send";
  const filter = { ...queryOf(options), action };
  const counted = await client.post<{ count: number }>(
    "/v1/replays",
    JSON.stringify({ ...filter, dryRun: true }),
  );
  const { count } = counted.answer;
  const unknown = count === 0 && await unknownSubscription(options.subscription, client);
  if (unknown) shell.say(unknown);
  if (options.dryRun) {
    shell.print(options.json ? JSON.stringify({ count }) : String(count));
    return EXIT.done;
  }
  if (count === 0) {
    if (!unknown) shell.say("no delivery fits");
    return EXIT.done;
  }
  const agreed = await confirmed({
    found: deliveriesCounted(count),
    question: `${questionOf(options)} ${count === 1 ? "it" : "them"}${
      options.cancel || options.state === "pending" ? "" : " again"
    }`,
    yes: options.yes ?? false,
  }, shell.terminal);
  if (!agreed) return EXIT.failed;
  const { answer } = await client.post<{ id: string }>("/v1/replays", JSON.stringify(filter));
  if (!options.wait) {
    shell.print(options.json ? JSON.stringify(answer) : answer.id);
    return EXIT.done;
  }
  shell.say(`replay ${answer.id} has begun; it goes on without this command as well`);
  const ended = await finished(answer.id, doing);
  print(ended, doing);
  return ended.state === "stopped" ? EXIT.failed : EXIT.done;
}

function questionOf({ cancel, state }: ReplayOptions): string {
  if (cancel) return "cancel";
  return state === "pending" ? "retry" : "send";
}

const LOOK_EVERY_MS = 500;

/** The replay once it has finished, telling of its progress until then. */
async function finished(id: string, { client, shell }: Doing): Promise<Replay> {
  const { terminal } = shell;
  const bar = progressBar(terminal);
  try {
    for (let told = 0;;) {
      const { state, action, done, total, ...replay } = await find(id, client);
      if (state !== "running") return { state, action, done, total, ...replay };
      bar.show({ doing: action === "cancel" ? "cancelling" : "sending", done, total });
      if (done !== told && !terminal.stderrIsTerminal) shell.say(`${done} of ${total}`);
      told = done;
      await pauseFor(LOOK_EVERY_MS, terminal);
    }
  } finally {
    bar.end();
  }
}

async function find(id: string, client: ApiClient): Promise<Replay> {
  return await client.get<Replay>(`/v1/replays/${encodeURIComponent(id)}`);
}

function print(replay: Replay, { options, shell }: Doing): void {
  if (options.json) return shell.print(JSON.stringify(replay));
  const { id, state, done, total, createdAt } = replay;
  const { terminal } = shell;
  const amount = terminal.columns === undefined
    ? [String(done), String(total)]
    : [`${done} of ${total} ${replay.action === "cancel" ? "cancelled" : "sent"}`];
  printLine([id, state, ...amount, when(createdAt, terminal)], terminal);
}

const EXAMPLES = `
Examples:
  $ bellhook replay --state failed --since 2h --dry-run
  $ bellhook replay --state failed --subscription guests --since 2024-03-15T10:00:00Z
  $ bellhook replay --since 2d --until 1d --type booking.created --yes --no-wait
  $ bellhook replay --state pending --subscription guests --since 2d
  $ bellhook replay --cancel --subscription guests --since 2d
  $ bellhook replay rpl_01JA0000000000000000000000
`;
