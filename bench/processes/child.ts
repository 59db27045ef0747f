/** A process that we start and stop. */
export interface Child {
  readonly process: Deno.ChildProcess;
  /** Sends SIGTERM, then SIGKILL after a timeout; resolves when it has ended. */
  end(): Promise<void>;
  /** SIGKILL at once. */
  kill(): Promise<void>;
}

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly stdin?: "piped" | "null";
  readonly stdout?: "piped" | "null";
  /** A file for the standard error; inherited by default. */
  readonly log?: string;
}

/** How long a process may take to end after SIGTERM. */
const GRACE_MS = 10_000;

const running = new Set<Deno.ChildProcess>();

/** Starts a process that ends with the benchmark. */
export function startChild(options: ChildOptions): Child {
  const { cwd, uid, gid, log } = options;
  const process = new Deno.Command(...withLog(options)).spawn();
  running.add(process);
  const gone = process.status.then(() => void running.delete(process));
  return {
    process,
    async end() {
      signal(process, "SIGTERM");
      const timer = setTimeout(() => signal(process, "SIGKILL"), GRACE_MS);
      await gone;
      clearTimeout(timer);
    },
    async kill() {
      signal(process, "SIGKILL");
      await gone;
    },
  };

  function withLog(
    { command, args, env }: ChildOptions,
  ): [string, Deno.CommandOptions] {
    const settings: Deno.CommandOptions = {
      stdin: options.stdin ?? "null",
      stdout: options.stdout ?? "null",
      stderr: "inherit",
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    };
    if (log === undefined) {
      return [command, { ...settings, args: [...args], ...(env && { env }) }];
    }
    // Directly into the file: reading thousands of lines a second would distort the measure.
    const script = 'exec "$0" "$@" 2>>"$BENCH_LOG"';
    return ["sh", {
      ...settings,
      args: ["-c", script, command, ...args],
      env: { ...env, BENCH_LOG: log },
    }];
  }
}

/** Kills all running processes when the benchmark is stopped. */
export function endWithUs(cleanUp: () => void): void {
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      for (const process of running) signal(process, "SIGKILL");
      cleanUp();
      Deno.exit(130);
    });
  }
}

/** Runs a command and returns its output. Throws with its error output if it fails. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    ...user,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) {
    throw new Error(`${command} ${args.join(" ")} failed: ${text(stderr)}`);
  }
  return text(stdout);
}

function signal(process: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    process.kill(name);
  } catch {
    // It has already ended.
  }
}
