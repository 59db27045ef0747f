import { Command, CommanderError } from "commander";
import { VERSION } from "../version.ts";
import { addAudit } from "./audit.ts";
import { addBackup } from "./backup.ts";
import { addCheck } from "./check.ts";
import { addCompletion } from "./completion.ts";
import { addDeliveries } from "./deliveries.ts";
import { addDev } from "./dev.ts";
import { addDiff } from "./diff.ts";
import { addDoctor } from "./doctor.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { addInit } from "./init.ts";
import { addInstallService } from "./install_service.ts";
import { addListen } from "./listen.ts";
import { addMatch } from "./match.ts";
import { addPauseAndResume } from "./pause.ts";
import { addReload } from "./reload.ts";
import { addReplay } from "./replay.ts";
import { addRetryAndCancel } from "./retry.ts";
import { addSchema } from "./schema.ts";
import { addSecret } from "./secret.ts";
import { addSend } from "./send.ts";
import { addServe } from "./serve.ts";
import { Shell } from "./shell.ts";
import { addSign } from "./sign.ts";
import { addStatus } from "./status.ts";
import { addTail } from "./tail.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";
import { addTest } from "./test.ts";
import { addVerify } from "./verify.ts";

/** What a build says of itself, and what tests put in the place of parts of the terminal. */
export interface Around extends Partial<Terminal> {
  /** The git commit it was built from; a checkout has none to name. */
  readonly commit?: string | undefined;
}

/** Runs the command line and answers with its exit code. */
export async function run(
  args: readonly string[],
  { commit, ...replaced }: Around = {},
): Promise<number> {
  const shell = new Shell(systemTerminal(replaced));
  const program = bellhook(shell, commit);
  try {
    await program.parseAsync(args, { from: "user" });
    return shell.exitCode;
  } catch (error) {
    return report(error, shell.terminal);
  }
}

/** The whole command line, as commander has it; the man page and completion are made from it. */
export function bellhook(shell: Shell, commit?: string): Command {
  const program = new Command("bellhook");
  program
    .description("Webhooks out, durably: every event that was accepted reaches its receivers")
    .version(
      `bellhook ${VERSION}${commit ? ` (${commit})` : ""}`,
      "-V, --version",
      "show the version",
    )
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .option("-c, --config <file>", "the config file ($BELLHOOK_CONFIG, else ./config.json)")
    .option("--url <url>", "the daemon: http://… or unix:/path ($BELLHOOK_URL, else the config's)")
    .option("--json", "print one JSON object a line")
    .configureOutput({ writeOut: shell.terminal.stdout, writeErr: shell.terminal.stderr })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(see "bellhook --help")')
    .exitOverride();
  program.addHelpText("after", EXAMPLES);
  for (const add of COMMANDS) add(program, shell);
  return program;
}

/** In the order that help lists them. */
const COMMANDS = [
  addDev,
  addInit,
  addSecret,
  addCheck,
  addServe,
  addDiff,
  addReload,
  addMatch,
  addSend,
  addTest,
  addStatus,
  addDeliveries,
  addTail,
  addRetryAndCancel,
  addReplay,
  addPauseAndResume,
  addListen,
  addSign,
  addVerify,
  addAudit,
  addBackup,
  addDoctor,
  addSchema,
  addInstallService,
  addCompletion,
];

const EXAMPLES = `
Examples:
  $ bellhook dev                      try it: nothing to configure
  $ bellhook init                     a config file to start from
  $ bellhook serve                    run the daemon
  $ bellhook send booking.created --data '{"booking_id": "bk_1"}'

Environment: BELLHOOK_CONFIG, BELLHOOK_URL, BELLHOOK_TOKEN (the bearer token), NO_COLOR
Exit codes:  0 done, 1 failed, 2 not valid, 3 not found, 4 daemon not reachable, 5 not allowed
`;

function report(error: unknown, terminal: Terminal): number {
  // Commander has said what it had to say; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.notValid;
  const message = error instanceof Error ? error.message : String(error);
  terminal.stderr(`bellhook: ${message}\n`);
  return error instanceof CommandError ? error.exitCode : EXIT.failed;
}
