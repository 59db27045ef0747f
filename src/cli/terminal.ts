import { type Environment, systemEnvironment } from "../runtime/environment.ts";

/** Where a command's words go and come from. */
export interface Terminal {
  /** Takes data: what a script reads. */
  stdout(text: string): void;
  /** Takes talk: what a person reads beside it. */
  stderr(text: string): void;
  readonly environment: Environment;
  /** All of standard input, as text. */
  stdin(): Promise<string>;
  /** All of standard input, byte for byte: a signature is over bytes. */
  stdinBytes(): Promise<Uint8Array>;
  /** Whether stdout shows colours. */
  readonly colour: boolean;
  /** Calls back on each of these signals; the answer takes it back. */
  onSignal(signals: readonly Deno.Signal[], callback: (signal: Deno.Signal) => void): () => void;
}

/** This process's own terminal, with any of its parts replaced. */
export function systemTerminal(replaced: Partial<Terminal> = {}): Terminal {
  const environment = replaced.environment ?? systemEnvironment;
  const { stdin } = replaced;
  return {
    stdout: (text) => writeAll(Deno.stdout, text),
    stderr: (text) => writeAll(Deno.stderr, text),
    environment,
    stdin: () => new Response(Deno.stdin.readable).text(),
    stdinBytes: async () =>
      stdin ? new TextEncoder().encode(await stdin()) : new Response(Deno.stdin.readable).bytes(),
    // https://no-color.org: any value but the empty one
    colour: !environment.get("NO_COLOR") && replaced.stdout === undefined &&
      Deno.stdout.isTerminal(),
    onSignal,
    ...replaced,
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    // `bellhook … | head` has read enough.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

function onSignal(
  signals: readonly Deno.Signal[],
  callback: (signal: Deno.Signal) => void,
): () => void {
  const listeners = signals.map((signal) => [signal, () => callback(signal)] as const);
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  };
}
