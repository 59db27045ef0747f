import { Command, CommanderError } from "commander";
import { VERSION } from "../version.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { License } from "./license.ts";
import { Shell } from "./shell.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

/** What a build says of itself, and what tests put in the place of parts of the terminal. */
export interface Around extends Partial<Terminal> {
  /** The git commit it was built from; a checkout has none to name. */
  readonly commit?: string | undefined;
  /** Of everything that is built in. */
  readonly licenses?: readonly License[];
}

/** Runs the command line and answers with its exit code. */
export async function run(
  args: readonly string[],
  { commit, licenses, ...replaced }: Around = {},
): Promise<number> {
  const shell = new Shell(systemTerminal(replaced), licenses);
  const program = await bellhook(shell, { commit, args });
  const exitCode = await program.parseAsync(args, { from: "user" })
    .then(() => shell.exitCode, (error) => report(error, shell.terminal));
  // A write that nobody reads would keep the process from ending.
  if (!await shell.terminal.flush()) Deno.exit(exitCode);
  return exitCode;
}

/**
 * The command line, as commander has it: all of it, or what the arguments can mean. The man page and
 * completion are made from it.
 */
export async function bellhook(
  shell: Shell,
  { commit, args = [] }: {
    readonly commit?: string | undefined;
    readonly args?: readonly string[];
  } = {},
): Promise<Command> {
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
  const adding = await Promise.all(meantBy(args, program).map(({ load }) => load()));
  for (const add of adding) add(program, shell);
  return program;
}

/** In the order that help lists them. */
const COMMANDS: readonly CommandSource[] = [
  { names: ["dev"], load: async () => (await import("./dev.ts")).addDev },
  { names: ["init"], load: async () => (await import("./init.ts")).addInit },
  { names: ["secret"], load: async () => (await import("./secret.ts")).addSecret },
  { names: ["check"], load: async () => (await import("./check.ts")).addCheck },
  { names: ["serve"], load: async () => (await import("./serve.ts")).addServe },
  { names: ["diff"], load: async () => (await import("./diff.ts")).addDiff },
  { names: ["reload"], load: async () => (await import("./reload.ts")).addReload },
  { names: ["match"], load: async () => (await import("./match.ts")).addMatch },
  { names: ["send"], load: async () => (await import("./send.ts")).addSend },
  { names: ["test"], load: async () => (await import("./test.ts")).addTest },
  { names: ["status"], load: async () => (await import("./status.ts")).addStatus },
  { names: ["deliveries"], load: async () => (await import("./deliveries.ts")).addDeliveries },
  { names: ["tail"], load: async () => (await import("./tail.ts")).addTail },
  { names: ["retry", "cancel"], load: async () => (await import("./retry.ts")).addRetryAndCancel },
  { names: ["replay"], load: async () => (await import("./replay.ts")).addReplay },
  { names: ["pause", "resume"], load: async () => (await import("./pause.ts")).addPauseAndResume },
  { names: ["listen"], load: async () => (await import("./listen.ts")).addListen },
  { names: ["sign"], load: async () => (await import("./sign.ts")).addSign },
  { names: ["verify"], load: async () => (await import("./verify.ts")).addVerify },
  { names: ["audit"], load: async () => (await import("./audit.ts")).addAudit },
  { names: ["backup"], load: async () => (await import("./backup.ts")).addBackup },
  { names: ["compact"], load: async () => (await import("./compact.ts")).addCompact },
  { names: ["doctor"], load: async () => (await import("./doctor.ts")).addDoctor },
  { names: ["schema"], load: async () => (await import("./schema.ts")).addSchema },
  {
    names: ["install-service"],
    load: async () => (await import("./install_service.ts")).addInstallService,
  },
  { names: ["completion"], load: async () => (await import("./completion.ts")).addCompletion },
  { names: ["licenses"], load: async () => (await import("./licenses.ts")).addLicenses },
];

interface CommandSource {
  readonly names: readonly string[];
  readonly load: () => Promise<(program: Command, shell: Shell) => void>;
}

/** What can be meant: a daemon that serves has no use for the code of all the others. */
function meantBy(args: readonly string[], program: Command): readonly CommandSource[] {
  const command = commandIn(args, program);
  const meant = COMMANDS.filter(({ names }) => names.some((name) => name === command));
  const isAboutAll = command === "completion" || args.some((arg) => HELP.has(arg));
  return meant.length === 0 || isAboutAll ? COMMANDS : meant;
}

const HELP = new Set(["-h", "--help"]);

/** The word in a command's place: the first that is neither an option of all commands nor its value. */
function commandIn(args: readonly string[], { options }: Command): string | undefined {
  const takingValue = options.filter(({ required }) => required);
  const before = new Set(takingValue.flatMap(({ short, long }) => [short, long]));
  return args.find((arg, index) =>
    !arg.startsWith("-") && (index === 0 || !before.has(args[index - 1]))
  );
}

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
  // What a thread is at when long work is interrupted can't be ended in any other way.
  if (error instanceof Error && error.name === "Interrupted") terminal.exitSoon(EXIT.failed);
  return error instanceof CommandError ? error.exitCode : EXIT.failed;
}
