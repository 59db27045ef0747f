import type { Command } from "commander";
import { openReader } from "../outbox/sqlite/reader.ts";
import { existingDatabase } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook audit`: the promises, proved from the database; with or without a daemon running. */
export function addAudit(program: Command, shell: Shell): void {
  program.command("audit")
    .description("prove from the database that no delivery was lost")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      const path = await existingDatabase(options, shell.terminal.environment);
      const reader = openReader(path);
      try {
        const audit = await reader.audit();
        if (options.json) shell.print(JSON.stringify(audit));
        else {
          const { events, deliveries, attempts, faults, notes } = audit;
          const states = Object.entries(deliveries).map(([state, count]) => `${count} ${state}`);
          shell.print(`events      ${events}`);
          shell.print(`deliveries  ${states.join(", ")}`);
          shell.print(`attempts    ${attempts}`);
          shell.print(`faults      ${faults.length}`);
          for (const fault of faults) shell.print(`  ${fault}`);
          for (const note of notes) shell.say(`note: ${note}`);
        }
        return audit.faults.length === 0 ? EXIT.done : EXIT.failed;
      } finally {
        reader.close();
      }
    }));
}

const EXAMPLES = `
Examples:
  $ bellhook audit
  $ bellhook audit -c /etc/bellhook/config.json --json
`;
