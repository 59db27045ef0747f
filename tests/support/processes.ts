import { until } from "./until.ts";

/** The real command line in processes of its own, on `config.json` in a folder. */

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function bellhook(folder: string, ...args: string[]): Promise<Ran> {
  const { code, stdout, stderr } = await command(folder, args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Starts `serve` on that port and waits until it takes events. */
export async function serve(folder: string, port: number): Promise<Deno.ChildProcess> {
  const daemon = command(folder, ["serve"]).spawn();
  void daemon.stdout.cancel();
  const said = lastOf(daemon.stderr);
  const ready = until(async () => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/-/ready`);
      await response.body?.cancel();
      return response.status === 200;
    } catch {
      return false;
    }
  }, "the daemon is ready");
  const ended = daemon.status.then(async ({ code }) => {
    throw new Error(`serve ended with ${code} before it was ready: ${await said}`);
  });
  ended.catch(() => {});
  await Promise.race([ready, ended]);
  return daemon;
}

/** Reads a stream to its end and keeps the last of it. */
async function lastOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let last = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    last = (last + chunk).slice(-2_000);
  }
  return last;
}

/**
 * A port that nobody listens on just now, below those that the system gives to outgoing connections:
 * one of these could take it while a killed daemon is started again.
 */
export function freePort(): number {
  for (;;) {
    const [chance] = crypto.getRandomValues(new Uint16Array(1));
    const port = 10_000 + chance! % 20_000;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** Deno itself runs it, so that signals reach it; `deno task` would not pass them on. */
function command(folder: string, args: string[]): Deno.Command {
  const permissions = ["net", "read", "write", "env", "sys", "run"].map((name) =>
    `--allow-${name}`
  );
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      "--no-check",
      ...permissions,
      "main.ts",
      "-c",
      `${folder}/config.json`,
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}
