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
      printReload(answer, { options, shell, otherwise: "nothing changed" });
      return EXIT.done;
    }));
}

/** What a reload has changed, or would. */
export interface Reloaded {
  /** In lines for people. */
  readonly changes?: readonly string[];
  readonly warnings?: readonly string[];
}

/** Prints the lines of a reload's report; `otherwise` where there are none. */
export function printReload(
  report: Reloaded,
  { options, shell, otherwise }: { options: GlobalOptions; shell: Shell; otherwise: string },
): void {
  if (options.json) return shell.print(JSON.stringify(report));
  const { changes = [], warnings = [] } = report;
  for (const change of changes) shell.print(printable(change));
  if (changes.length === 0) shell.print(otherwise);
  for (const warning of warnings) shell.say(`warning: ${warning}`);
}

const EXAMPLES = `
Examples:
  $ bellhook reload
  $ bellhook reload --url unix:/run/bellhook.sock
`;
