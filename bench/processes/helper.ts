import { TextLineStream } from "./lines.ts";
import { type Child, startChild } from "./child.ts";

/** A helper's commands. Each takes one JSON argument and answers with JSON. */
// deno-lint-ignore no-explicit-any
export type Commands = Record<string, (argument: any) => unknown>;

/** A helper process besides the measured one. Communicates in lines of JSON. */
export class Helper<Known extends Commands> {
  readonly #child: Child;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastNumber = 0;

  constructor(script: URL) {
    this.#child = startChild({
      command: Deno.execPath(),
      args: ["run", "-q", "-A", "--config", CONFIG, script.pathname],
      stdin: "piped",
      stdout: "piped",
    });
    this.#writer = this.#child.process.stdin.getWriter();
    void this.#listen();
  }

  get pid(): number {
    return this.#child.process.pid;
  }

  async ask<Name extends keyof Known & string>(
    name: Name,
    argument: Parameters<Known[Name]>[0],
  ): Promise<Awaited<ReturnType<Known[Name]>>> {
    const number = ++this.#lastNumber;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(number, waiting);
    await this.#writer.write(
      encoder.encode(JSON.stringify({ number, name, argument }) + "\n"),
    );
    return await waiting.promise as Awaited<ReturnType<Known[Name]>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#child.end();
  }

  async #listen(): Promise<void> {
    const lines = this.#child.process.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const line of lines) {
      const { number, answer, fault } = JSON.parse(line) as {
        number: number;
        answer?: unknown;
        fault?: string;
      };
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (fault === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(fault));
    }
    for (const { reject } of this.#waiting.values()) {
      reject(new Error("a helper process has died"));
    }
  }
}

/** Runs in the helper: answers commands from standard input until it is closed, then exits. */
export async function serveCommands(commands: Commands): Promise<never> {
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) void answer(line, commands);
  Deno.exit(0);
}

async function answer(line: string, commands: Commands): Promise<void> {
  const { number, name, argument } = JSON.parse(line);
  let text: string;
  try {
    text = JSON.stringify({ number, answer: await commands[name]!(argument) });
  } catch (error) {
    text = JSON.stringify({
      number,
      fault: String((error as Error).stack ?? error),
    });
  }
  // In one write: commands run concurrently, and their answers must not mix.
  Deno.stdout.writeSync(encoder.encode(text + "\n"));
}

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const encoder = new TextEncoder();
