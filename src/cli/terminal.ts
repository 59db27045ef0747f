import { BackgroundOutput, writeToStderr } from "../runtime/background_output.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { type Environment, systemEnvironment } from "../runtime/environment.ts";

/** Where a command's words go and come from. */
export interface Terminal {
  /** Takes data: what a script reads. */
  stdout(text: string): void;
  /** Takes talk: what a person reads beside it. What can't be written there is lost, and no error. */
  stderr(text: string): void;
  /**
   * From here on talk is written in the background, so that whoever does not read it holds nothing up.
   * `dropped` is the line in the place of what could not wait; the answer counts such lines.
   */
  talkInBackground(dropped: (lines: number) => string): () => number;
  /** Waits a little for talk in the background; false where somebody does not read it. */
  flush(): Promise<boolean>;
  readonly environment: Environment;
  readonly clock: Clock;
  /** All of standard input, as text. */
  stdin(): Promise<string>;
  /** All of standard input, byte for byte: a signature is over bytes. */
  stdinBytes(): Promise<Uint8Array>;
  /** The next line of standard input, without its end; empty where there is none. */
  line(): Promise<string>;
  /** Whether a person is there to be asked. */
  readonly interactive: boolean;
  /** Whether stdout shows colours. */
  readonly colour: boolean;
  /** Whether a person watches stderr. */
  readonly stderrIsTerminal: boolean;
  /** How many characters a line of stdout has; undefined where stdout is no terminal. */
  readonly columns: number | undefined;
  /** False once whoever read stdout has gone, as `| head` does. */
  hasReader(): boolean;
  /** Calls back on each of these signals; the answer takes it back. */
  onSignal(signals: readonly Deno.Signal[], callback: (signal: Deno.Signal) => void): () => void;
  /** Ends the process, as soon as its last words are out, though a thread of it still works. */
  exitSoon(code: number): void;
}

/** So long is what has been said still written before the process ends. */
const FLUSH_MS = 2_000;

/** This process's own terminal, with any of its parts replaced. */
export function systemTerminal(replaced: Partial<Terminal> = {}): Terminal {
  const environment = replaced.environment ?? systemEnvironment;
  const { stdin } = replaced;
  const isOwn = replaced.stdout === undefined && Deno.stdout.isTerminal();
  let hasReader = true;
  let background: BackgroundOutput | undefined;
  const flush = async () => await background?.flush(FLUSH_MS) ?? true;
  return {
    stdout: (text) => hasReader = writeAll(Deno.stdout, text),
    stderr: (text) => background ? background.write(text) : writeIfPossible(Deno.stderr, text),
    talkInBackground(dropped) {
      if (replaced.stderr) return () => 0;
      const output = background = new BackgroundOutput({
        write: writeToStderr,
        clock: systemClock,
        dropped,
      });
      return () => output.droppedLines;
    },
    flush,
    environment,
    clock: systemClock,
    stdin: () => new Response(Deno.stdin.readable).text(),
    stdinBytes: async () =>
      stdin ? new TextEncoder().encode(await stdin()) : new Response(Deno.stdin.readable).bytes(),
    line: async () => stdin ? (await stdin()).split("\n")[0]! : await lineOf(Deno.stdin),
    interactive: stdin === undefined && Deno.stdin.isTerminal(),
    // https://no-color.org: any value but the empty one
    colour: !environment.get("NO_COLOR") && isOwn,
    stderrIsTerminal: replaced.stderr === undefined && Deno.stderr.isTerminal(),
    columns: isOwn ? Deno.consoleSize().columns || 80 : undefined,
    hasReader: () => hasReader,
    onSignal,
    exitSoon: (code) => void flush().finally(() => Deno.exit(code)),
    ...replaced,
  };
}

/** False where nobody reads any more. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
    return true;
  } catch (error) {
    // `bellhook … | head` has read enough.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return false;
  }
}

/** A full disk, a terminal that is gone: who can't be told of it goes on all the same. */
function writeIfPossible(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  try {
    writeAll(stream, text);
  } catch {
    // Nobody is left to tell.
  }
}

/** A terminal hands over a line at a time. */
async function lineOf(stream: { read(bytes: Uint8Array): Promise<number | null> }) {
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(1024);
  let text = "";
  while (!text.includes("\n")) {
    const count = await stream.read(bytes);
    if (count === null) break;
    text += decoder.decode(bytes.subarray(0, count), { stream: true });
  }
  return text.split("\n")[0]!;
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
