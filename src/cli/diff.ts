import type { Command } from "commander";
import { ApiClient } from "./api_client.ts";
import { EXIT } from "./exit_code.ts";
import { printReload, type Reloaded } from "./reload.ts";
import type { Shell } from "./shell.ts";

/** `bellhook diff`: what a reload would change. */
export function addDiff(program: Command, shell: Shell): void {
  program.command("diff")
    .description("show what a reload would change")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      using client = await ApiClient.for(options, shell.terminal);
      const { answer } = await client.post<Reloaded>("/-/reload?dryRun=true");
      printReload(answer, { options, shell });
      if (answer.changes.length === 0) shell.say("nothing would change");
      return EXIT.done;
    }));
}

const EXAMPLES = `
Examples:
  $ bellhook diff
  $ bellhook diff --json | jq .removed
`;
