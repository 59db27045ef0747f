import type { NoticeChannel } from "../domain/notice.ts";
import type { Outcome } from "../domain/attempt.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Environment } from "../runtime/environment.ts";
import { machineFault } from "./machine_fault.ts";
import { failed, taken } from "./notice_transport.ts";
import type { OutgoingRequest } from "./transport.ts";

/** What a command gets of the daemon's environment; the rest may hold secrets. */
const ENVIRONMENT = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER"];
const MAX_OUTPUT = 4_096;

/**
 * Runs a command with the notice as JSON on its standard input; it is killed at the deadline, and where
 * `closing` is aborted.
 */
export async function runCommand(
  { command }: NoticeChannel & { kind: "command" },
  { body, deadlineMs }: OutgoingRequest,
  { clock, environment }: { clock: Clock; environment: Environment },
  closing: AbortSignal,
): Promise<Outcome> {
  const [program, ...args] = command as [string, ...string[]];
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
      clearEnv: true,
      env: chosen(environment),
    }).spawn();
  } catch (error) {
    const fault = machineFault(error);
    if (fault !== undefined) throw fault;
    return failed("connect", `can't run ${program}: ${(error as Error).message}`);
  }
  let late = false;
  const cancelTimer = clock.after(deadlineMs, () => {
    late = true;
    kill(child);
  });
  const onClosing = () => kill(child);
  closing.addEventListener("abort", onClosing, { once: true });
  const stdin = child.stdin.getWriter();
  const words = new Words(child.stderr);
  void write(stdin, body);
  // For its own end alone: what it started and left behind may hold its streams as long as it likes.
  const status = await child.status;
  cancelTimer();
  closing.removeEventListener("abort", onClosing);
  const said = late || status.success ? "" : await words.last(clock);
  await words.forget();
  // Not waited for either: what has not been read of a large body stays in the way.
  void stdin.abort().catch(() => {});
  if (late) return failed("timeout", `${program} was killed after ${deadlineMs} ms`);
  if (status.success) return taken(`${program} exited with 0`);
  const how = status.signal ? `was ended by ${status.signal}` : `exited with ${status.code}`;
  return failed("protocol", `${program} ${how}${said ? `: ${said}` : ""}`);
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended this moment.
  }
}

function chosen(environment: Environment): Record<string, string> {
  const pairs = ENVIRONMENT.map((name) => [name, environment.get(name)]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}

/** A command may end, or close its input, without reading it. */
async function write(
  stdin: WritableStreamDefaultWriter<Uint8Array>,
  body: Uint8Array,
): Promise<void> {
  await stdin.write(body).catch(() => {});
  await stdin.close().catch(() => {});
}

/** The first of what a command has to say; the rest is read and forgotten. */
class Words {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #ended: Promise<void>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#ended = this.#read().catch(() => {});
  }

  /** On one line, once it has ended; what is in the pipe then comes at once, if anything does. */
  async last(clock: Clock): Promise<string> {
    const waited = Promise.withResolvers<void>();
    const cancelTimer = clock.after(LAST_WORDS_MS, waited.resolve);
    await Promise.race([this.#ended, waited.promise]);
    cancelTimer();
    return this.#text.slice(0, MAX_OUTPUT).trim().replace(/\s+/g, " ");
  }

  async forget(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      if (this.#text.length < MAX_OUTPUT) this.#text += decoder.decode(value, { stream: true });
    }
  }
}

const LAST_WORDS_MS = 100;
