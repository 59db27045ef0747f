import { CommandError, EXIT } from "./exit_code.ts";
import type { Terminal } from "./terminal.ts";

/** Whether a person agrees. Where nobody can be asked, only `--yes` will do: a CommandError else. */
export async function confirmed(
  { found, question, yes }: { found: string; question: string; yes: boolean },
  terminal: Pick<Terminal, "interactive" | "stderr" | "line">,
): Promise<boolean> {
  if (yes) return true;
  if (!terminal.interactive) {
    throw new CommandError(
      EXIT.notValid,
      `${found}: nobody can be asked here, so say --yes to ${question}`,
    );
  }
  terminal.stderr(`${found}: ${question}? [y/N] `);
  if (/^y(es)?$/i.test((await terminal.line()).trim())) return true;
  terminal.stderr("nothing was done\n");
  return false;
}
