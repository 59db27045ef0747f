import { run } from "../../src/cli/cli.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import type { Clock } from "../../src/runtime/clock.ts";

/** A command under way, with what it has printed so far. */
export interface Captured {
  readonly exit: Promise<number>;
  readonly stdout: string;
  readonly stderr: string;
  /** Sends the command a signal, as the system would. */
  signal(signal: Deno.Signal): void;
}

/** What a test says of the world around a command. */
export interface Around {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** A terminal this wide, with a person before it; a pipe where left out. */
  readonly columns?: number;
  readonly colour?: boolean;
  /** Whether a person watches stderr. */
  readonly watched?: boolean;
  readonly clock?: Clock;
  /** Whether whoever reads stdout is still there. */
  readonly hasReader?: () => boolean;
}

/** Starts a command in this process. */
export function start(
  args: readonly string[],
  { environment = {}, stdin = "", columns, colour = false, watched = false, clock, hasReader }:
    Around = {},
) {
  let stdout = "";
  let stderr = "";
  const listeners = new Set<(signal: Deno.Signal) => void>();
  const terminal: Partial<Terminal> = {
    stdout: (text) => stdout += text,
    stderr: (text) => stderr += text,
    environment: { get: (name) => environment[name] },
    stdin: () => Promise.resolve(stdin),
    columns,
    colour,
    interactive: columns !== undefined,
    stderrIsTerminal: watched,
    ...(clock && { clock }),
    ...(hasReader && { hasReader }),
    onSignal(signals, callback) {
      const listener = (signal: Deno.Signal) => {
        if (signals.includes(signal)) callback(signal);
      };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const captured: Captured = {
    exit: run(args, terminal),
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    signal: (signal) => [...listeners].forEach((listener) => listener(signal)),
  };
  return captured;
}

/** Runs a command to its end. */
export async function finish(args: readonly string[], around: Around = {}) {
  const captured = start(args, around);
  const exitCode = await captured.exit;
  return { exitCode, stdout: captured.stdout, stderr: captured.stderr };
}

/** A directory that goes when disposed of. */
export async function aDirectory(files: Readonly<Record<string, string>> = {}) {
  const path = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${path}/${name}`, text);
  }
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
