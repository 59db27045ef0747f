import type { Command } from "commander";
import type { Audit } from "../outbox/reader.ts";
import { auditFile } from "../outbox/sqlite/audit_file.ts";
import { existingDatabase } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import { longWork } from "./long_work.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

/** `bellhook audit`: the promises, proved from the database; with or without a daemon running. */
export function addAudit(program: Command, shell: Shell): void {
  program.command("audit")
    .description("prove from the database that no delivery was lost")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      const path = await existingDatabase(options, shell.terminal.environment);
      const audit = await longWork(options, shell, (working) => auditFile(path, working));
      print(audit, options, shell);
      return audit.faults.length === 0 ? EXIT.done : EXIT.failed;
    }));
}

function print(audit: Audit, { json }: GlobalOptions, shell: Shell): void {
  if (json) return shell.print(JSON.stringify(audit));
  const { events, deliveries, attempts, faults, notes } = audit;
  const states = Object.entries(deliveries).map(([state, count]) => `${count} ${state}`);
  shell.print(`events      ${events}`);
  shell.print(`deliveries  ${states.join(", ")}`);
  shell.print(`attempts    ${attempts}`);
  shell.print(`faults      ${faults.length}`);
  for (const fault of faults) shell.print(`  ${fault}`);
  for (const note of notes) shell.say(`note: ${note}`);
}

const EXAMPLES = `
Examples:
  $ bellhook audit
  $ bellhook audit -c /etc/bellhook/config.json --json
`;
