import { dirname } from "node:path";
import type { Command } from "commander";
import { compact } from "../outbox/sqlite/compact.ts";
import { openReading } from "../outbox/sqlite/connection.ts";
import { freeBytesIn } from "../outbox/sqlite/copy.ts";
import { spaceOf } from "../outbox/sqlite/space.ts";
import { mib } from "./byte_text.ts";
import { existingDatabase } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import { longWork } from "./long_work.ts";
import type { Shell } from "./shell.ts";

/** `bellhook compact`: gives free pages of the database back to the disk; not beside a daemon. */
export function addCompact(program: Command, shell: Shell): void {
  program.command("compact")
    .description("make the database file as small as what it holds, while no daemon runs")
    .option("--dry-run", "say how much space that takes and frees, and change nothing")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<{ readonly dryRun?: boolean }>(async (options) => {
      const file = await existingDatabase(options, shell.terminal.environment);
      const { bytes, freeBytes } = await space(file);
      const takesBytes = bytes - freeBytes;
      const diskFreeBytes = await freeBytesIn(dirname(file));
      const outlook = `${mib(freeBytes)} of ${mib(bytes)} are free for new events; ` +
        `a compact file takes about ${mib(takesBytes)}, and the disk has ${
          mib(diskFreeBytes)
        } free`;
      if (options.dryRun) {
        const facts = { file, bytes, freeBytes, takesBytes, diskFreeBytes };
        shell.print(options.json ? JSON.stringify(facts) : `${file}: ${outlook}`);
        return EXIT.done;
      }
      shell.say(outlook);
      const { before, after } = await longWork(
        options,
        shell,
        (working) => compact(file, working),
      );
      const facts = { file, bytesBefore: before.bytes, bytesAfter: after.bytes };
      shell.print(
        options.json
          ? JSON.stringify(facts)
          : `${file}: ${mib(after.bytes)}, before ${mib(before.bytes)}`,
      );
      return EXIT.done;
    }));
}

function space(path: string) {
  const db = openReading(path);
  try {
    return spaceOf(db);
  } finally {
    db.close();
  }
}

const EXAMPLES = `
Stop the daemon first. Deleted rows leave free space in the file, which new events reuse. Compacting
is worth it if much will stay free, for example after storage.keepDelivered was made shorter.

Examples:
  $ bellhook compact --dry-run
  $ sudo systemctl stop bellhook && sudo bellhook compact -c /etc/bellhook/config.json
`;
