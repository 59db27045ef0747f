import { dirname } from "node:path";
import type { Command } from "commander";
import { parse } from "jsonc-parser";
import { shellWord } from "../domain/curl.ts";
import { IN_MEMORY } from "../outbox/sqlite/connection.ts";
import { configPath, databasePath } from "./config_file.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { ownProgram } from "./program.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

interface InstallOptions extends GlobalOptions {
  readonly print?: boolean;
  readonly unit: string;
}

/** `bellhook install-service`: the systemd unit that runs this Bellhook. */
export function addInstallService(program: Command, shell: Shell): void {
  program.command("install-service")
    .description("write a systemd unit that runs the daemon, ready, watched and locked up")
    .option("--print", "print it and write nothing")
    .option("--unit <file>", "where it goes", "/etc/systemd/system/bellhook.service")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<InstallOptions>(async (options) => {
      const words = await ownProgram();
      const unit = unitText({ program: words, ...await householdOf(options, shell) });
      if (words.length > 1) {
        shell.say("this unit runs a script with its own Deno: for a machine that lasts, build one");
        shell.say('with "deno task compile" and let that print its unit');
      }
      if (options.print) {
        shell.print(options.json ? JSON.stringify({ file: options.unit, unit }) : unit.trimEnd());
        return EXIT.done;
      }
      await write(options.unit, unit);
      shell.print(options.json ? JSON.stringify({ file: options.unit, unit }) : options.unit);
      shell.say("next: systemctl daemon-reload && systemctl enable --now bellhook");
      return EXIT.done;
    }));
}

/** What of a config file its unit has to know. */
interface Household {
  readonly config: string;
  /** Undefined where the config can't be read yet. */
  readonly databaseFolder: string | undefined;
  readonly credentials: readonly string[];
}

async function householdOf(options: GlobalOptions, shell: Shell): Promise<Household> {
  const { environment } = shell.terminal;
  const named = options.config ?? environment.get("BELLHOOK_CONFIG");
  const config = named ? configPath(options, environment) : "/etc/bellhook/config.json";
  const text = await Deno.readTextFile(config).catch(() => undefined);
  if (text === undefined) {
    shell.say(`there is no "${config}" to be read yet: the unit takes the usual for granted`);
    return { config, databaseFolder: undefined, credentials: [] };
  }
  const database = await databasePath({ config }, environment);
  return {
    config,
    databaseFolder: database === IN_MEMORY ? undefined : dirname(database),
    credentials: credentialsIn(parse(text)),
  };
}

/** The names that a config takes of systemd: `{"credential": "name"}`, wherever it stands. */
function credentialsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = (value as { credential?: unknown }).credential;
  const below = Object.values(value).flatMap(credentialsIn);
  return [...new Set(typeof own === "string" ? [own, ...below] : below)];
}

const STATE = "/var/lib/bellhook";

const AS_NOBODY_ELSE = `\
# A user of its own, who has nothing but ${STATE}: "storage": {"url": "sqlite:${STATE}/bellhook.db"}
DynamicUser=yes
StateDirectory=bellhook
StateDirectoryMode=0700
WorkingDirectory=${STATE}
`;

function asUser(folder: string): string {
  return `\
# The database is not in ${STATE}, so its user can't be made up at each start:
# useradd --system bellhook && chown -R bellhook ${shellWord(folder)}
User=bellhook
ReadWritePaths=${quotedWord(unitPath(folder))}
WorkingDirectory=${unitPath(folder)}
`;
}

function unitText(
  { program, config, databaseFolder, credentials }: Household & {
    readonly program: readonly string[];
  },
): string {
  const start = [...program, "serve", "-c", config].map(unitWord).join(" ");
  const elsewhere = databaseFolder !== undefined && databaseFolder !== STATE &&
    !databaseFolder.startsWith(`${STATE}/`);
  const folder = dirname(config);
  return `[Unit]
Description=Bellhook: webhooks out, durably
Documentation=man:bellhook(1)
Wants=network-online.target
After=network-online.target nss-lookup.target time-sync.target

[Service]
# It says itself when it takes events, and its scheduler tells the watchdog every 10 s that it lives:
# no WatchdogSec below 30.
Type=notify
NotifyAccess=main
WatchdogSec=60
ExecStart=${start}
# A bad file changes nothing; the log says what was wrong with it.
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# Trying again does not fix an invalid config.
RestartPreventExitStatus=2
# The first start after an upgrade copies and changes the database, and asks for the time that takes.
# A stop asks for the time of server.shutdownGrace.
TimeoutStartSec=30min
TimeoutStopSec=90
KillMode=mixed
# One for each connection to a receiver, idle ones too.
LimitNOFILE=65536

# Secrets: {"env": "NAME"} from this file, {"credential": "name"} from the lines beneath it. Credentials
# are read at the start: after a change restart, a reload has the old ones.
EnvironmentFile=-${unitPath(`${folder}/environment`)}
${
    credentials.length === 0
      ? `#LoadCredential=guests:${unitPath(folder)}/secrets/guests`
      : credentials.map((name) =>
        `LoadCredential=${unitPath(name)}:${unitPath(`${folder}/secrets/${name}`)}`
      ).join("\n")
  }

${
    elsewhere
      ? asUser(databaseFolder)
      : AS_NOBODY_ELSE
  }# The place for a Unix socket: "server": {"listen": "unix:/run/bellhook/bellhook.sock"}. Its mode is 0660
# (server.socketMode), so another user can post as a member of the daemon's group:
#Group=www-data
RuntimeDirectory=bellhook
UMask=0077

# What it never needs. MemoryDenyWriteExecute stays off: V8 writes the code that it runs. Commands that
# "notify" names run under all of this as well.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service @pkey
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a unit's command: quoted where it must be, its % and $ taken as they are. */
function unitWord(word: string): string {
  return quotedWord(unitPath(word).replaceAll("$", "$$$$"));
}

/** A path that a line of a unit ends with: white space and quotes are part of it. */
function unitPath(path: string): string {
  return path.replaceAll("%", "%%");
}

/** One of the words of a line, quoted where it must be. */
function quotedWord(word: string): string {
  if (/^[\w@%+=:,./$-]+$/.test(word)) return word;
  return `"${word.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

async function write(path: string, unit: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, unit, { createNew: true, mode: 0o644 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      const why = `there is a unit at "${path}" already; compare it with --print, or take it away`;
      throw new CommandError(EXIT.failed, why);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new CommandError(EXIT.notAllowed, `can't write "${path}"; run it as root, or --print`);
    }
    throw error;
  }
}

const EXAMPLES = `
Examples:
  $ bellhook install-service --print
  $ sudo bellhook install-service -c /etc/bellhook/config.json
`;
