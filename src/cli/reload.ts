import type { Command } from "commander";
import { ApiClient } from "./api_client.ts";
import { EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook reload`: the daemon reads its config file anew. */
export function addReload(program: Command, shell: Shell): void {
  program.command("reload")
    .description("make the daemon read its config file anew; a bad file changes nothing")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      using client = await ApiClient.for(options, shell.terminal);
      const { answer } = await client.post<Report>("/-/reload");
      if (options.json) {
        shell.print(JSON.stringify(answer));
        return EXIT.done;
      }
      const changes = LISTS.filter((list) => (answer[list]?.length ?? 0) > 0);
      for (const list of changes) shell.print(`${NAMES[list]}: ${answer[list]!.join(", ")}`);
      if (changes.length === 0) shell.print("nothing changed");
      for (const warning of answer.warnings ?? []) shell.say(`warning: ${warning}`);
      return EXIT.done;
    }));
}

const LISTS = ["added", "changed", "removed", "settings", "needsRestart"] as const;

const NAMES = {
  added: "added",
  changed: "changed",
  removed: "removed",
  settings: "settings",
  needsRestart: "needs a restart",
} as const;

type Report =
  & { readonly [list in typeof LISTS[number]]?: readonly string[] }
  & { readonly warnings?: readonly string[] };

const EXAMPLES = `
Examples:
  $ bellhook reload
  $ bellhook reload --url unix:/run/bellhook.sock
`;
