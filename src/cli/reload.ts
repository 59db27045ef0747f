import type { Command } from "commander";
import { ApiClient } from "./api_client.ts";
import { EXIT } from "./exit_code.ts";
import { printable } from "./printable.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

/** `bellhook reload`: the daemon reads its config file anew. */
export function addReload(program: Command, shell: Shell): void {
  program.command("reload")
    .description("make the daemon read its config file anew; a bad file changes nothing")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      using client = await ApiClient.for(options, shell.terminal);
      const { answer } = await client.post<Reloaded>("/-/reload");
      printReload(answer, { options, shell });
      if (answer.changes.length === 0) shell.say("nothing changed");
      return EXIT.done;
    }));
}

/** What a reload has changed, or would. */
export interface Reloaded {
  /** In lines for people. */
  readonly changes: readonly string[];
  readonly warnings: readonly string[];
}

/** Prints a reload's report. */
export function printReload(
  report: Reloaded,
  { options, shell }: { options: GlobalOptions; shell: Shell },
): void {
  if (options.json) return shell.print(JSON.stringify(report));
  for (const change of report.changes) shell.print(printable(change));
  for (const warning of report.warnings) shell.say(`warning: ${warning}`);
}

const EXAMPLES = `
Examples:
  $ bellhook reload
  $ bellhook reload --url unix:/run/bellhook.sock
`;
