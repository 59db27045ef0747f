import { until } from "./until.ts";

/** Runs the real CLI in separate processes, with `config.json` in a folder. */

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command until it ends. */
export async function bellhook(folder: string, ...args: string[]): Promise<Ran> {
  const { code, stdout, stderr } = await command(folder, args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/**
 * Starts `serve` on that port, with more in its environment or fewer descriptors if need be, and waits
 * until it takes events.
 */
export async function serve(
  folder: string,
  port: number,
  env: Record<string, string> = {},
  openFiles?: number,
): Promise<Deno.ChildProcess> {
  const { process, ready } = startServe(folder, port, env, {
    ...(openFiles !== undefined && { openFiles }),
  });
  await ready;
  return process;
}

/** A starting daemon, which may end before it is ready. */
export interface Starting {
  readonly process: Deno.ChildProcess;
  /** Resolves when it accepts events. If it ends before, rejects with the end of its log. */
  readonly ready: Promise<void>;
  /** The end of its log, once it has ended. */
  readonly said: Promise<string>;
}

/** Like `serve`, but doesn't wait; optionally limits open files. */
export function startServe(
  folder: string,
  port: number,
  env: Record<string, string> = {},
  { openFiles }: { readonly openFiles?: number } = {},
): Starting {
  const process = command(folder, ["serve"], env, openFiles).spawn();
  void process.stdout.cancel();
  const said = lastOf(process.stderr);
  let hasEnded = false;
  const ended = process.status.then(async ({ code }): Promise<never> => {
    hasEnded = true;
    throw new Error(`serve ended with ${code} before it was ready: ${await said}`);
  });
  ended.catch(() => {});
  const answers = until(
    async () => {
      if (hasEnded) return true;
      try {
        const response = await fetch(`http://127.0.0.1:${port}/-/ready`);
        await response.body?.cancel();
        return response.status === 200;
      } catch {
        // Whoever asks all the time takes the processor that the daemon needs to start.
        await new Promise((resolve) => setTimeout(resolve, 10));
        return false;
      }
    },
    "the daemon is ready",
  );
  const ready = Promise.race([answers.then(() => hasEnded ? ended : undefined), ended]);
  ready.catch(() => {});
  return { process, ready, said };
}

/** Kills a process with -9 unless it has ended. */
export async function kill(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  await process.status;
}

/** Reads a stream to its end, and returns the last part. */
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

/**
 * The checkout, or what `BELLHOOK_BIN` names. Deno itself runs it, so that signals reach it;
 * `deno task` would not pass them on.
 */
function command(
  folder: string,
  args: string[],
  env: Record<string, string> = {},
  openFiles?: number,
): Deno.Command {
  const [program, ...words] = openFiles === undefined
    ? programWords()
    : ["sh", "-c", `ulimit -n ${openFiles} && exec "$@"`, "sh", ...programWords()];
  return new Deno.Command(program!, {
    args: [...words, "-c", `${folder}/config.json`, ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

function programWords(): string[] {
  const built = Deno.env.get("BELLHOOK_BIN");
  if (built) return [built];
  const rights = ["net", "read", "write", "env", "sys", "run"].map((name) => `--allow-${name}`);
  return [Deno.execPath(), "run", "-q", "--no-check", ...rights, "main.ts"];
}
