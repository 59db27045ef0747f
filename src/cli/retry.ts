import { type Command, Option } from "commander";
import type { Delivery } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { confirmed } from "./confirmed.ts";
import { stateCell } from "./delivery_columns.ts";
import {
  addFilterOptions,
  deliveriesCounted,
  type DeliveryFilter,
  isGiven,
  queryOf,
} from "./delivery_filter.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { sayNoneFit } from "./none_fit.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { printLine } from "./table.ts";

interface RetryOptions extends DeliveryFilter {
  readonly yes?: boolean;
}

/** `bellhook retry` and `bellhook cancel`: deliveries by id, or all that a filter finds. */
export function addRetryAndCancel(program: Command, shell: Shell): void {
  for (const action of ["retry", "cancel"] as const) {
    const { description, states, preset, examples } = WORDS[action];
    const command = program.command(action)
      .description(description)
      .argument(
        "[ids...]",
        "these deliveries; or say by the options below which",
        (id, earlier: readonly string[] = []) => [...earlier, givenId(id)],
      );
    addFilterOptions(command, { states, preset, clock: shell.terminal.clock })
      .addOption(new Option("--yes", "don't ask"))
      .addHelpText("after", examples)
      .action(shell.does<RetryOptions, [string[]]>(async (options, ids) => {
        if ((ids.length > 0) === isGiven(options)) {
          throw new CommandError(
            EXIT.notValid,
            `say which deliveries to ${action}: either by their ids, or by --subscription, ` +
              "--state, --type, --since or --until",
          );
        }
        using client = await ApiClient.for(options, shell.terminal);
        const doing = { action, client, options, shell };
        if (ids.length > 0) return await steerAll(ids, doing);
        const found = await idsOf({ state: preset, ...options }, client);
        if (found.length === 0) {
          await sayNoneFit(options.subscription, { client, shell });
          return EXIT.done;
        }
        const agreed = await confirmed({
          found: deliveriesCounted(found.length),
          question: `${action} ${found.length === 1 ? "it" : "them"}`,
          yes: options.yes ?? false,
        }, shell.terminal);
        return agreed ? await steerAll(found, doing) : EXIT.failed;
      }));
  }
}

/** All of them before the first is touched: what a retry makes must not be found again. */
async function idsOf(filter: DeliveryFilter, client: ApiClient): Promise<string[]> {
  const ids: string[] = [];
  const query = { ...queryOf(filter), limit: 500 };
  for await (const page of client.pages<Delivery>("/v1/deliveries", query)) {
    for (const { id } of page) ids.push(id);
  }
  return ids;
}

interface Doing {
  readonly action: "retry" | "cancel";
  readonly client: ApiClient;
  readonly options: GlobalOptions;
  readonly shell: Shell;
}

/** Steered at a time. */
const BATCH = 16;
const PROGRESS_EVERY_MS = 2_000;

async function steerAll(ids: readonly string[], doing: Doing): Promise<ExitCode> {
  const { shell, shell: { terminal: { clock } } } = doing;
  let exitCode: ExitCode = EXIT.done;
  let toldAtMs = clock.monotonicMs();
  for (let at = 0; at < ids.length; at += BATCH) {
    if (clock.monotonicMs() - toldAtMs >= PROGRESS_EVERY_MS) {
      toldAtMs = clock.monotonicMs();
      shell.say(`${at} of ${ids.length}`);
    }
    const batch = ids.slice(at, at + BATCH);
    for (const steered of await Promise.all(batch.map((id) => steer(id, doing)))) {
      if (steered.kind === "done") print(steered, doing);
      else {
        shell.say(`bellhook: ${steered.error.message}`);
        // Not found outweighs refused.
        if (steered.error.exitCode > exitCode) exitCode = steered.error.exitCode;
      }
    }
  }
  return exitCode;
}

type Steered =
  | { readonly kind: "done"; readonly id: string; readonly delivery: Delivery }
  | { readonly kind: "refused"; readonly error: CommandError };

async function steer(id: string, { action, client }: Doing): Promise<Steered> {
  try {
    const path = `/v1/deliveries/${encodeURIComponent(id)}/${action}`;
    return { kind: "done", id, delivery: (await client.post<Delivery>(path)).answer };
  } catch (error) {
    const goesOn = error instanceof CommandError &&
      (error.exitCode === EXIT.notFound || error.exitCode === EXIT.failed);
    if (goesOn) return { kind: "refused", error };
    throw error;
  }
}

function print({ id, delivery }: Steered & { kind: "done" }, { options, shell }: Doing): void {
  if (options.json) return shell.print(JSON.stringify(delivery));
  const { terminal } = shell;
  const label = terminal.columns === undefined ? "" : "repeats ";
  const repeated = delivery.id === id ? "" : label + id;
  printLine([delivery.id, stateCell(delivery), repeated], terminal);
}

const WORDS = {
  retry: {
    description: "attempt a pending delivery now, or send a finished one again",
    states: ["pending", "delivered", "failed", "exhausted", "cancelled"],
    preset: "failed",
    examples: `
Examples:
  $ bellhook retry dlv_01JA0000000000000000000000
  $ bellhook retry --subscription guests --since 2h
  $ bellhook retry --subscription guests --state pending --yes

"bellhook replay" sends many again at a pace, and goes on by itself.
`,
  },
  cancel: {
    description: "end pending deliveries without another attempt",
    states: ["pending"],
    preset: "pending",
    examples: `
Examples:
  $ bellhook cancel dlv_01JA0000000000000000000000
  $ bellhook cancel --subscription gone-for-good
  $ bellhook cancel --type booking.test --since 1h --yes

"bellhook replay --cancel" cancels many in one go, and goes on by itself.
`,
  },
} as const;
