import { type Command, Option } from "commander";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { ConfigMemory } from "../config/memory.ts";
import { type LookUpOrigins, readOrigins } from "../config/origins.ts";
import { formatProblem } from "../config/problem.ts";
import { systemSecretSources } from "../config/secrets.ts";
import type { DaemonPorts } from "../daemon.ts";
import { systemClock } from "../runtime/clock.ts";
import type { Environment } from "../runtime/environment.ts";
import type { Log } from "../runtime/log.ts";
import { openFilesLimit, sharesOf } from "../runtime/descriptors.ts";
import { droppedLine, lineLog, LOG_FORMATS, type LogFormat } from "../runtime/log_lines.ts";
import { watchLoop } from "../runtime/loop_delay.ts";
import { giveMemoryBack } from "../runtime/memory.ts";
import { Turn } from "../runtime/turn.ts";
import { systemRandom } from "../runtime/random.ts";
import { systemTracing } from "../runtime/tracing.ts";
import { VERSION } from "../version.ts";
import { configPath } from "./config_file.ts";
import { EXIT, type ExitCode } from "./exit_code.ts";
import { ignoredProxies } from "./ignored_proxies.ts";
import { serviceManager } from "./service_manager.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { upgradeReport } from "./upgrade_report.ts";
import { Interrupted } from "../runtime/long_work.ts";

/** `bellhook serve`: the daemon, until a signal or a failed database ends it. */
export function addServe(program: Command, shell: Shell): void {
  const { environment } = shell.terminal;
  program.command("serve")
    .description(
      "run the daemon; SIGTERM or SIGINT stop it, a second one at once; SIGHUP reloads the config",
    )
    .addOption(
      new Option("--log <format>", "how the log on stderr looks (default: pretty on a terminal)")
        .choices(LOG_FORMATS),
    )
    .addHelpText("after", EXAMPLES)
    .action(shell.does<Options>(async (options) => {
      const { load, lookUp } = loaderOf(configPath(options, environment), environment);
      const loaded = await load();
      if (!loaded.ok) {
        for (const problem of loaded.problems) shell.say(formatProblem(problem));
        return EXIT.notValid;
      }
      const { log, droppedLogLines } = logOf(shell, options);
      for (const warning of loaded.warnings) log.configWarning(formatProblem(warning));
      const proxies = ignoredProxies(environment);
      if (proxies.length > 0) log.proxiesIgnored(proxies);
      const ports = { log, droppedLogLines, reload: load, origins: lookUp };
      return await runDaemon(loaded.config, ports, shell);
    }));
}

interface Options extends GlobalOptions {
  readonly log?: LogFormat;
}

/** Reads the config, and remembers what need not be read again. */
function loaderOf(path: string, environment: Environment) {
  const memory = new ConfigMemory();
  const read = (file: string) => Deno.readTextFile(file);
  return {
    load: (turn?: Turn) => loadConfig(path, systemSecretSources(environment), { turn, memory }),
    lookUp: ((of) =>
      readOrigins(of, {
        path,
        memory,
        read,
        turn: new Turn(systemClock),
      })) satisfies LookUpOrigins,
  };
}

function logOf(shell: Shell, options: Options) {
  const { environment, stderr, stderrIsTerminal } = shell.terminal;
  const look = {
    format: options.log ?? (stderrIsTerminal ? "pretty" : "logfmt"),
    colour: stderrIsTerminal && !environment.get("NO_COLOR"),
  };
  const droppedLogLines = shell.terminal.talkInBackground((lines) => droppedLine(lines, look));
  return { log: lineLog(stderr, look), droppedLogLines };
}

/** Runs it until it is told to stop or its database fails; answers the exit code. */
async function runDaemon(
  config: Config,
  ports: Pick<DaemonPorts, "droppedLogLines" | "reload" | "origins"> & { readonly log: Log },
  shell: Shell,
): Promise<ExitCode> {
  const { log } = ports, { clock, environment } = shell.terminal;
  const stopping = stopsAskedFor(shell);
  const manager = serviceManager(environment, (trouble) => shell.say(`bellhook: ${trouble}`));
  const upgrading = upgradeReport({ clock, log, manager });
  try {
    // Loaded here alone: the commands that only talk to a daemon start without its weight.
    const { startDaemon } = await import("../daemon.ts");
    const daemon = await startDaemon(config, {
      ...ports,
      clock: systemClock,
      random: systemRandom(),
      descriptors: sharesOf(await openFilesLimit() ?? USUAL_LIMIT),
      watchLoop: (tell) => watchLoop(systemClock, tell),
      onBeat: () => manager.alive(),
      onUpgrading: upgrading.onStep,
      signal: stopping.whileStarting,
      tracing: systemTracing(VERSION),
    });
    upgrading.end();
    giveMemoryBack();
    manager.ready(`serving at ${daemon.url}`);
    stopping.onReload = () =>
      void daemon.reload().catch((error) => log.configRejected([String(error)]));
    const failure = await Promise.race([stopping.asked, daemon.failed]);
    manager.stopping(config.server.shutdownGraceMs + AFTER_GRACE_MS);
    stopping.onSecond = () => void daemon.stop();
    const stopped = daemon.stop();
    // Where the database is not trusted any more, stopping may fail at what it can still do.
    await (failure === undefined ? stopped : stopped.catch(() => {}));
    const failed = failure ?? await Promise.race([daemon.failed, undefined]);
    if (failed === undefined) return EXIT.done;
    shell.say(`bellhook: the database has failed: ${failed.message}`);
    return EXIT.failed;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    log.stoppedBeforeStart();
    // A statement that a thread is at can't be ended, and is undone by the next start.
    shell.terminal.exitSoon(EXIT.done);
    return EXIT.done;
  } finally {
    upgrading.end();
    manager.close();
    stopping.ignore();
  }
}

/** Hears signals from here on: a stop that comes while the daemon starts is not lost. */
function stopsAskedFor({ terminal }: Shell) {
  const { promise: asked, resolve } = Promise.withResolvers<undefined>();
  const whileStarting = new AbortController();
  let stoppedAtMs: number | undefined;
  const ignore = terminal.onSignal(["SIGTERM", "SIGINT", "SIGHUP"], (signal) => {
    if (signal === "SIGHUP") return stopping.onReload();
    const nowMs = terminal.clock.monotonicMs();
    stoppedAtMs ??= nowMs;
    if (nowMs - stoppedAtMs > ONE_SIGNAL_MS) stopping.onSecond();
    resolve(undefined);
    whileStarting.abort();
  });
  // Unheard it ends the process where a file reaches its limit; heard, the write fails.
  const survive = Deno.build.os === "linux" ? terminal.onSignal(["SIGXFSZ"], () => {}) : () => {};
  const stopping = {
    asked,
    whileStarting: whileStarting.signal,
    onReload: () => {},
    /** What a second signal does: the first one's stop is under way. */
    onSecond: () => {},
    ignore() {
      ignore();
      survive();
    },
  };
  return stopping;
}

/** What systems let a process have where they say nothing else: assumed where it can't be learnt. */
const USUAL_LIMIT = 1_024;
/** What a stop may take when attempts have had their grace. */
const AFTER_GRACE_MS = 30_000;

/**
 * A terminal's Ctrl-C reaches all of its processes, and whoever started this one (deno task, npx) passes
 * it on besides: what comes so soon after the first is the same.
 */
const ONE_SIGNAL_MS = 500;

const EXAMPLES = `
Examples:
  $ bellhook serve
  $ bellhook serve -c /etc/bellhook/config.json --log json
`;
