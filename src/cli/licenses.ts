import type { Command } from "commander";
import { EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook licenses`: of Bellhook and of everything in the build. */
export function addLicenses(program: Command, shell: Shell): void {
  program.command("licenses")
    .description("print the licenses of Bellhook and of everything that is built into it")
    .addHelpText("after", EXAMPLES)
    .action(shell.does((options) => {
      if (shell.licenses.length === 0) {
        shell.say(
          "this is a checkout, which has nothing built in: its own license is in the file LICENSE, " +
            "and deno.lock lists the packages that it uses",
        );
      }
      for (const one of shell.licenses) {
        if (options.json) shell.print(JSON.stringify(one));
        else shell.print(`${one.name} ${one.version} (${one.license})\n\n${one.text.trim()}\n`);
      }
      return Promise.resolve(EXIT.done);
    }));
}

const EXAMPLES = `
Examples:
  $ bellhook licenses | less
  $ bellhook licenses --json | jq -r '[.name, .version, .license] | @tsv'
`;
