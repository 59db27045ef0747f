import { Interrupted } from "../outbox/sqlite/sqlite_thread.ts";
import type { Working } from "../outbox/sqlite/copy.ts";
import { EXIT, type ExitCode } from "./exit_code.ts";
import { progressBar } from "./progress_bar.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

/** Does long work with a progress bar, until it is done or SIGINT or SIGTERM ends it. */
export async function longWork(
  options: GlobalOptions,
  shell: Shell,
  work: (working: Required<Working> & { readonly signal: AbortSignal }) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { terminal } = shell;
  const bar = progressBar(terminal, { quiet: options.json === true });
  const asked = new AbortController();
  const ignore = terminal.onSignal(["SIGINT", "SIGTERM"], () => asked.abort());
  try {
    return await work({
      signal: asked.signal,
      onProgress: (step) => asked.signal.aborted || bar.show(step),
    });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    bar.end();
    shell.say(`bellhook: ${error.message}`);
    terminal.exitSoon(EXIT.failed);
    return EXIT.failed;
  } finally {
    bar.end();
    ignore();
  }
}
