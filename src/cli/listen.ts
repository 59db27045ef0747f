import { type Command, InvalidArgumentError, Option } from "commander";
import { formatReceived, type Receiver, startReceiver } from "../receivers/receiver.ts";
import type { ReceiverOptions } from "../receivers/receiver.ts";
import { systemClock } from "../runtime/clock.ts";
import { durationOption } from "./duration_option.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { ReceivedCells } from "./received_cells.ts";
import type { Shell } from "./shell.ts";
import { signerOf } from "./signer.ts";

interface ListenOptions {
  readonly profile?: string;
  readonly secretEnv?: string;
  readonly subscription?: string;
  readonly port?: number;
  readonly fail?: number;
  readonly failFirst?: number;
  readonly delay?: number;
}

/** `bellhook listen`: a receiver that verifies what it gets and prints a line for it. */
export function addListen(program: Command, shell: Shell): void {
  const { colour } = shell.terminal;
  program.command("listen")
    .description("receive webhooks on loopback, verify each, and print a line for it")
    .option("--profile <name>", 'the profile to verify by (default: "standard")')
    .option("--secret-env <name>", "the environment variable that holds the secret")
    .option(
      "--subscription <id>",
      "take profile, secret and port from the config file",
      givenId,
    )
    .addOption(
      option("--port <number>", "the port, 0 for any (default: 8421)", wholeUpTo(65_535)),
    )
    .addOption(option("--fail <status>", "answer every request with this status", status))
    .addOption(option("--fail-first <count>", "answer the first so many with 503", wholeUpTo(1e9)))
    .addOption(option("--delay <duration>", "wait before each answer, as in 10s", durationOption))
    .addHelpText("after", EXAMPLES)
    .action(shell.does<ListenOptions>(async (options) => {
      const { profile, secret, url } = await signerOf(options, shell.terminal);
      if (secret === undefined && profile.secretRequired) {
        throw new CommandError(
          EXIT.notValid,
          `profile "${profile.name}" signs: name the variable with its secret by --secret-env, ` +
            "or a subscription by --subscription",
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
          port: options.port ?? portIn(url) ?? DEFAULT_PORT,
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

/** The port that a subscription's URL names on this machine. */
function portIn(url: string): number | undefined {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "http:" || !["127.0.0.1", "localhost"].includes(hostname)) return undefined;
  return Number(port || 80);
}

const DEFAULT_PORT = 8421;

function option<T>(flags: string, description: string, parse: (text: string) => T) {
  return new Option(flags, description).argParser(parse);
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

const EXAMPLES = `
Examples:
  $ bellhook listen --subscription guests
  $ GUESTS_SECRET=whsec_… bellhook listen --secret-env GUESTS_SECRET
  $ bellhook listen --profile roostsync --secret-env ROOSTSYNC_SECRET --port 9000
  $ bellhook listen --profile booking-experts --fail-first 2 --delay 10s
`;
