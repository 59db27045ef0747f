import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Channel } from "../domain/notice.ts";
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
 *
 * Node's child processes, not Deno's: only their pipes can be given up while a write or a read is under
 * way. What a command left running may hold the other end for years, and with it a descriptor of ours,
 * the notice's bytes and the end of this process.
 */
export async function runCommand(
  { command }: Channel & { kind: "command" },
  { body, deadlineMs }: OutgoingRequest,
  { clock, environment }: { clock: Clock; environment: Environment },
  closing: AbortSignal,
): Promise<Outcome> {
  const [program, ...args] = command as [string, ...string[]];
  if (closing.aborted) return failed("connect", `${program} was not run: the daemon is stopping`);
  let child: ChildProcess;
  try {
    child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], env: chosen(environment) });
  } catch (error) {
    const fault = machineFault(error);
    if (fault !== undefined) throw fault;
    return failed("connect", `can't run ${program}: ${(error as Error).message}`);
  }
  let late = false;
  const kill = () => void child.kill("SIGKILL");
  const cancelTimer = clock.after(deadlineMs, () => {
    late = true;
    kill();
  });
  closing.addEventListener("abort", kill, { once: true });
  // A command may end, or close its input, without reading it.
  child.stdin!.on("error", () => {});
  child.stdin!.end(body);
  const words = new Words(child.stderr!);
  // For its own end alone: what it started and left behind may hold its streams as long as it likes.
  const end = await endOf(child);
  cancelTimer();
  closing.removeEventListener("abort", kill);
  const succeeded = end.code === 0;
  const said = late || succeeded || end.error ? "" : await words.last(clock);
  child.stdin!.destroy();
  child.stderr!.destroy();
  if (end.error) return failed("connect", `can't run ${program}: ${end.error.message}`);
  if (late) return failed("timeout", `${program} was killed after ${deadlineMs} ms`);
  if (succeeded) return taken(`${program} exited with 0`);
  const how = end.signal ? `was ended by ${end.signal}` : `exited with ${end.code}`;
  return failed("protocol", `${program} ${how}${said ? `: ${said}` : ""}`);
}

interface End {
  /** Why it did not begin. */
  readonly error?: Error;
  readonly code: number | null;
  readonly signal?: string | null;
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ error, code: null }));
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

function chosen(environment: Environment): Record<string, string> {
  const pairs = ENVIRONMENT.map((name) => [name, environment.get(name)]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}

/** The first of what a command has to say; the rest is read and forgotten. */
class Words {
  readonly #ended: Promise<void>;
  #text = "";

  constructor(stream: Readable) {
    const decoder = new TextDecoder();
    stream.on("data", (piece: Uint8Array) => {
      if (this.#text.length < MAX_OUTPUT) this.#text += decoder.decode(piece, { stream: true });
    });
    this.#ended = new Promise((resolve) => {
      stream.once("end", resolve);
      stream.once("error", () => resolve());
    });
  }

  /** On one line, once it has ended; what is in the pipe then comes at once, if anything does. */
  async last(clock: Clock): Promise<string> {
    const waited = Promise.withResolvers<void>();
    const cancelTimer = clock.after(LAST_WORDS_MS, waited.resolve);
    await Promise.race([this.#ended, waited.promise]);
    cancelTimer();
    return this.#text.slice(0, MAX_OUTPUT).trim().replace(/\s+/g, " ");
  }
}

const LAST_WORDS_MS = 100;
