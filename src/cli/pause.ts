import type { Command } from "commander";
import type { Subscription } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { stateCell } from "./delivery_columns.ts";
import { EXIT } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import type { Shell } from "./shell.ts";
import { printLine } from "./table.ts";

/** `bellhook pause` and `bellhook resume`: a subscription's deliveries are held, or go on. */
export function addPauseAndResume(program: Command, shell: Shell): void {
  for (const action of ["pause", "resume"] as const) {
    const { description, examples } = WORDS[action];
    program.command(action)
      .description(description)
      .argument("<subscription>", "the subscription's id", givenId)
      .addHelpText("after", examples)
      .action(shell.does(async (options, id = "") => {
        using client = await ApiClient.for(options, shell.terminal);
        const { answer } = await client.post<Subscription>(
          `/v1/subscriptions/${encodeURIComponent(id)}/${action}`,
        );
        const { health } = answer;
        if (options.json) shell.print(JSON.stringify(answer));
        else printLine([answer.id, stateCell(health), `${health.pending} pending`], shell.terminal);
        return EXIT.done;
      }));
  }
}

const WORDS = {
  pause: {
    description: "hold a subscription's deliveries, also across restarts, until it is resumed",
    examples: `
Examples:
  $ bellhook pause guests
  $ bellhook pause guests --json
`,
  },
  resume: {
    description: "let a paused subscription's deliveries go on",
    examples: `
Examples:
  $ bellhook resume guests
  $ bellhook test guests && bellhook resume guests
`,
  },
} as const;
