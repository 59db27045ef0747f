import { resolve } from "node:path";
import type { Command } from "commander";
import { backup } from "../outbox/sqlite/backup.ts";
import { existingDatabase } from "./config_file.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { longWork } from "./long_work.ts";
import type { Shell } from "./shell.ts";

/** `bellhook backup`: a checked copy of the database, with or without a daemon running. */
export function addBackup(program: Command, shell: Shell): void {
  program.command("backup <file>")
    .description("copy the database to a new file, also while the daemon runs, and check the copy")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<unknown, [string]>(async (options, file) => {
      const path = await existingDatabase(options, shell.terminal.environment);
      const { events, deliveries, attempts, faults } = await longWork(
        options,
        shell,
        (working) => backup(path, resolve(file), working),
      );
      const { size } = await Deno.stat(file);
      if (options.json) {
        shell.print(JSON.stringify({ file, bytes: size, events, deliveries, attempts, faults }));
      } else {
        shell.print(`${file}: ${size} bytes, ${events} events, ${deliveries.pending} pending`);
      }
      if (faults.length === 0) return EXIT.done;
      throw new CommandError(
        EXIT.failed,
        `the copy is true to the database, which has faults: ${faults.join("; ")}`,
      );
    }));
}

const EXAMPLES = `
To restore one: stop the daemon, put the file in the database's place (and take away what
stands beside that, -wal and -shm), start the daemon.

Examples:
  $ bellhook backup /var/backups/bellhook-monday.db
  $ bellhook backup -c /etc/bellhook/config.json --json today.db
`;
