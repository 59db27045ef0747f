import type { Command } from "commander";
import { parseDuration } from "../domain/duration.ts";
import type { Attempt, DeliveryWithAttempts, Subscription } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { answerOf, resultOf, stateCell } from "./delivery_columns.ts";
import { valueOf } from "./event_options.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { pauseFor } from "./pause_for.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { printIndented, printLine } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { spokenDuration } from "./when.ts";

interface TestOptions {
  readonly type?: string;
  readonly data?: string;
  readonly wait: boolean;
}

/** `bellhook test`: one event for one subscription, and what its receiver made of it. */
export function addTest(program: Command, shell: Shell): void {
  program.command("test")
    .description(
      "send a test event to one subscription, also a paused one, and see what comes back",
    )
    .argument("<subscription>", "the subscription's id", givenId)
    .option("--type <type>", "the event's type (one that the subscription gets)")
    .option("--data <json>", "the event's data: JSON, @FILE, or - (the profile's example)")
    .option("--no-wait", "print the delivery's id and leave")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<TestOptions>(async (options, id = "") => {
      const { terminal } = shell;
      const body = await bodyOf(options, () => terminal.stdin());
      using client = await ApiClient.for(options, terminal);
      const path = `/v1/subscriptions/${encodeURIComponent(id)}`;
      const { answer: posted } = await client.post<Posted>(`${path}/test`, body);
      if (!options.wait) {
        shell.print(options.json ? JSON.stringify(posted) : posted.delivery);
        return EXIT.done;
      }
      const { config } = await client.get<Subscription>(path);
      const withinMs = (parseDuration(String(config.timeout)) ?? 0) + GRACE_MS;
      const delivery = await attempted(posted.delivery, { client, withinMs, terminal });
      return tell(delivery, { options, shell });
    }));
}

/** How long a test may wait its turn, beyond the time that its receiver has. */
const GRACE_MS = 10_000;
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 1_000;

interface Posted {
  readonly event: string;
  readonly delivery: string;
}

async function bodyOf(
  { type, data }: TestOptions,
  stdin: () => Promise<string>,
): Promise<string> {
  const members = [
    ...(type === undefined ? [] : [`"type":${JSON.stringify(type)}`]),
    ...(data === undefined ? [] : [`"data":${await valueOf(data, "--data", stdin)}`]),
  ];
  return `{${members.join(",")}}`;
}

/** The delivery once its first attempt is over. */
async function attempted(
  id: string,
  { client, withinMs, terminal }: { client: ApiClient; withinMs: number; terminal: Terminal },
): Promise<DeliveryWithAttempts> {
  const { clock } = terminal;
  const startedAt = clock.monotonicMs();
  for (let waitMs = FIRST_LOOK_MS;; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
    const delivery = await client.get<DeliveryWithAttempts>(`/v1/deliveries/${id}`);
    if (delivery.attempts.length > 0 || delivery.state !== "pending") return delivery;
    if (clock.monotonicMs() - startedAt > withinMs) {
      throw new CommandError(
        EXIT.failed,
        `no attempt within ${spokenDuration(withinMs)}; later, see "bellhook deliveries ${id}"`,
      );
    }
    await pauseFor(waitMs, { clock });
  }
}

function tell(
  delivery: DeliveryWithAttempts,
  { options, shell }: { options: GlobalOptions; shell: Shell },
): ExitCode {
  const { terminal } = shell;
  const attempt = delivery.attempts[0];
  const exitCode = attempt?.result === "success" ? EXIT.done : EXIT.failed;
  if (options.json) {
    shell.print(JSON.stringify(delivery));
    return exitCode;
  }
  if (attempt === undefined) printLine([delivery.id, stateCell(delivery)], terminal);
  else printAttempt(attempt, { delivery, terminal });
  return exitCode;
}

function printAttempt(
  attempt: Attempt,
  { delivery, terminal }: { delivery: DeliveryWithAttempts; terminal: Terminal },
): void {
  const { result, durationMs, diagnosis = "" } = attempt;
  const cells = [delivery.id, stateCell({ state: result })];
  if (terminal.columns === undefined) {
    return printLine([...cells, resultOf(attempt), String(durationMs), diagnosis], terminal);
  }
  const answer = answerOf(attempt);
  printLine([cells[1]!, answer, `in ${spokenDuration(durationMs)}`, delivery.type], terminal);
  if (diagnosis !== "") printIndented(diagnosis, terminal);
  if (delivery.nextAttemptAt !== undefined) {
    printIndented(`it will be tried again; "bellhook cancel ${delivery.id}" ends that`, terminal);
  }
}

const EXAMPLES = `
Examples:
  $ bellhook test guests
  $ bellhook test guests --type booking.created --data @booking.json
  $ bellhook test guests --no-wait
`;
