import { progressBar } from "./progress_bar.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import type { Working } from "../runtime/long_work.ts";

/** Does long work beneath a progress bar. At SIGINT or SIGTERM it throws Interrupted. */
export async function longWork<Value>(
  { json = false }: GlobalOptions,
  { terminal }: Shell,
  work: (working: Working) => Promise<Value>,
): Promise<Value> {
  const bar = progressBar(terminal, { quiet: json });
  const asked = new AbortController();
  const ignore = terminal.onSignal(["SIGINT", "SIGTERM"], () => asked.abort());
  try {
    return await work({ signal: asked.signal, onProgress: bar.show });
  } finally {
    bar.end();
    ignore();
  }
}
