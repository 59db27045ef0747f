import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../domain/duration.ts";
import { Secret } from "../domain/secret.ts";
import { formatReceived, type Receiver, startReceiver } from "../receivers/receiver.ts";
import type { ReceiverOptions } from "../receivers/receiver.ts";
import { systemClock } from "../runtime/clock.ts";
import { profileNamed } from "./config_file.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { ReceivedCells } from "./received_cells.ts";
import type { Shell } from "./shell.ts";

interface ListenOptions {
  readonly profile: string;
  readonly secretEnv?: string;
  readonly port: number;
  readonly fail?: number;
  readonly failFirst?: number;
  readonly delay?: number;
}

/** `bellhook listen`: a receiver that verifies what it gets and prints a line for it. */
export function addListen(program: Command, shell: Shell): void {
  const { environment, colour } = shell.terminal;
  program.command("listen")
    .description("receive webhooks on loopback, verify each, and print a line for it")
    .option("--profile <name>", "the profile whose recipe verifies", "standard")
    .option("--secret-env <name>", "the environment variable that holds the secret")
    .addOption(
      option("--port <number>", "the port to listen on; 0 is any", wholeUpTo(65_535), 8421),
    )
    .addOption(option("--fail <status>", "answer every request with this status", status))
    .addOption(option("--fail-first <count>", "answer the first so many with 503", wholeUpTo(1e9)))
    .addOption(option("--delay <duration>", "wait before each answer, as in 10s", duration))
    .addHelpText("after", EXAMPLES)
    .action(shell.does<ListenOptions>(async (options) => {
      const profile = await profileNamed(options.profile, options, environment);
      const secret = secretIn(options.secretEnv, (name) => environment.get(name));
      if (secret === undefined && profile.secretRequired) {
        throw new CommandError(
          EXIT.notValid,
          `profile "${profile.name}" signs: name the variable with its secret by --secret-env`,
        );
      }
      const cells = new ReceivedCells({
        columns: shell.terminal.columns,
        profiles: [profile.name],
      });
      const interrupted = Promise.withResolvers<void>();
      const ignore = shell.terminal.onSignal(["SIGINT", "SIGTERM"], () => interrupted.resolve());
      try {
        const receiver = started({
          profile,
          ...(secret && { secret }),
          clock: systemClock,
          port: options.port,
          ...(options.fail !== undefined && { fail: options.fail }),
          ...(options.failFirst !== undefined && { failFirst: options.failFirst }),
          ...(options.delay !== undefined && { delayMs: options.delay }),
          onReceived(received) {
            shell.print(
              options.json
                ? JSON.stringify(received)
                : formatReceived(received, { colour, cells: cells.of }),
            );
            if (!shell.terminal.hasReader()) interrupted.resolve();
          },
        });
        shell.say(`receiving as profile "${profile.name}" at ${receiver.url}; Ctrl-C ends it`);
        await interrupted.promise;
        await receiver.stop();
      } finally {
        ignore();
      }
      return EXIT.done;
    }));
}

function started(options: ReceiverOptions): Receiver {
  try {
    return startReceiver(options);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new CommandError(
      EXIT.failed,
      `can't listen on 127.0.0.1:${options.port}: another program does; give another --port`,
    );
  }
}

function secretIn(
  name: string | undefined,
  get: (name: string) => string | undefined,
): Secret | undefined {
  if (name === undefined) return undefined;
  const value = get(name);
  if (value === undefined || value === "") {
    throw new CommandError(EXIT.notValid, `the environment variable ${name} holds no secret`);
  }
  return new Secret(value);
}

function option<T>(flags: string, description: string, parse: (text: string) => T, preset?: T) {
  const made = new Option(flags, description).argParser(parse);
  return preset === undefined ? made : made.default(preset);
}

function wholeUpTo(most: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,10}$/.test(text) && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`It is not a whole number up to ${most}.`);
  };
}

function status(text: string): number {
  if (/^[2-5]\d\d$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is not a status from 200 to 599.");
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('It is not a duration such as "500ms", "10s" or "1m".');
}

const EXAMPLES = `
Examples:
  $ GUESTS_SECRET=whsec_… bellhook listen --secret-env GUESTS_SECRET
  $ bellhook listen --profile roostsync --secret-env ROOSTSYNC_SECRET --port 9000
  $ bellhook listen --profile booking-experts --fail-first 2 --delay 10s
`;
