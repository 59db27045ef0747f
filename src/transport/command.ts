import type { NoticeChannel } from "../domain/notice.ts";
import type { Outcome } from "../domain/attempt.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Environment } from "../runtime/environment.ts";
import { failed, taken } from "./notice_transport.ts";
import type { OutgoingRequest } from "./transport.ts";

/** What a command gets of the daemon's environment; the rest may hold secrets. */
const ENVIRONMENT = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER"];
const MAX_OUTPUT = 4_096;

/** Runs a command with the notice as JSON on its standard input; it is killed at the deadline. */
export async function runCommand(
  { command }: NoticeChannel & { kind: "command" },
  { body, deadlineMs }: OutgoingRequest,
  { clock, environment }: { clock: Clock; environment: Environment },
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
    return failed("connect", `can't run ${program}: ${(error as Error).message}`);
  }
  let late = false;
  const cancelTimer = clock.after(deadlineMs, () => {
    late = true;
    child.kill("SIGKILL");
  });
  const [, output, status] = await Promise.all([
    write(child.stdin, body),
    readSome(child.stderr),
    child.status,
  ]);
  cancelTimer();
  if (late) return failed("timeout", `${program} was killed after ${deadlineMs} ms`);
  if (status.success) return taken(`${program} exited with 0`);
  const how = status.signal ? `was ended by ${status.signal}` : `exited with ${status.code}`;
  return failed("protocol", `${program} ${how}${output ? `: ${output}` : ""}`);
}

function chosen(environment: Environment): Record<string, string> {
  const pairs = ENVIRONMENT.map((name) => [name, environment.get(name)]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}

/** A command may end, or close its input, without reading it. */
async function write(stdin: WritableStream<Uint8Array>, body: Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(body).catch(() => {});
  await writer.close().catch(() => {});
}

/** The first of what it has to say, on one line; the rest is read and forgotten. */
async function readSome(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    if (text.length < MAX_OUTPUT) text += chunk;
  }
  return text.slice(0, MAX_OUTPUT).trim().replace(/\s+/g, " ");
}
