import { type Command, Option } from "commander";
import { loadConfig } from "../config/load.ts";
import { ConfigMemory } from "../config/memory.ts";
import { readOrigins } from "../config/origins.ts";
import { formatProblem } from "../config/problem.ts";
import { systemSecretSources } from "../config/secrets.ts";
import { systemClock } from "../runtime/clock.ts";
import { openFilesLimit, sharesOf } from "../runtime/descriptors.ts";
import { droppedLine, lineLog, LOG_FORMATS, type LogFormat } from "../runtime/log_lines.ts";
import { watchLoop } from "../runtime/loop_delay.ts";
import { giveMemoryBack } from "../runtime/memory.ts";
import type { Turn } from "../runtime/turn.ts";
import { systemRandom } from "../runtime/random.ts";
import { systemTracing } from "../runtime/tracing.ts";
import { VERSION } from "../version.ts";
import { configPath } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import { ignoredProxies } from "./ignored_proxies.ts";
import { serviceManager } from "./service_manager.ts";
import type { Shell } from "./shell.ts";
import { upgradeReport } from "./upgrade_report.ts";
import { Interrupted } from "../runtime/long_work.ts";

/** `bellhook serve`: the daemon, until a signal or a failed database ends it. */
export function addServe(program: Command, shell: Shell): void {
  const { environment, clock } = shell.terminal;
  program.command("serve")
    .description(
      "run the daemon; SIGTERM or SIGINT stop it, a second one at once; SIGHUP reloads the config",
    )
    .addOption(
      new Option("--log <format>", "how the log on stderr looks (default: pretty on a terminal)")
        .choices(LOG_FORMATS),
    )
    .addHelpText("after", EXAMPLES)
    .action(shell.does<{ readonly log?: LogFormat }>(async (options) => {
      const memory = new ConfigMemory();
      const load = (turn?: Turn) =>
        loadConfig(configPath(options, environment), systemSecretSources(environment), {
          turn,
          memory,
        });
      const loaded = await load();
      if (!loaded.ok) {
        for (const problem of loaded.problems) shell.say(formatProblem(problem));
        return EXIT.notValid;
      }
      const { stderr, stderrIsTerminal } = shell.terminal;
      const look = {
        format: options.log ?? (stderrIsTerminal ? "pretty" : "logfmt"),
        colour: stderrIsTerminal && !environment.get("NO_COLOR"),
      };
      const droppedLogLines = shell.terminal.talkInBackground((lines) => droppedLine(lines, look));
      const log = lineLog(stderr, look);
      for (const warning of loaded.warnings) log.configWarning(formatProblem(warning));
      const proxies = ignoredProxies(environment);
      if (proxies.length > 0) log.proxiesIgnored(proxies);

      // Heard from here on: a stop that comes while the daemon starts is not lost.
      const asked = Promise.withResolvers<undefined>();
      let reload = () => {};
      // What a second signal does: the first one's stop is under way.
      let skipGrace = () => {};
      const stopStarting = new AbortController();
      let stoppedAtMs: number | undefined;
      const ignore = shell.terminal.onSignal(["SIGTERM", "SIGINT", "SIGHUP"], (signal) => {
        if (signal === "SIGHUP") return reload();
        const nowMs = clock.monotonicMs();
        stoppedAtMs ??= nowMs;
        if (nowMs - stoppedAtMs > ONE_SIGNAL_MS) skipGrace();
        asked.resolve(undefined);
        stopStarting.abort();
      });
      // Unheard it ends the process where a file reaches its limit; heard, the write fails.
      const survive = Deno.build.os === "linux"
        ? shell.terminal.onSignal(["SIGXFSZ"], () => {})
        : () => {};
      const manager = serviceManager(environment, (trouble) => shell.say(`bellhook: ${trouble}`));
      const upgrading = upgradeReport({ clock, log, manager });
      try {
        // Loaded here alone: the commands that only talk to a daemon start without its weight.
        const { startDaemon } = await import("../daemon.ts");
        const daemon = await startDaemon(loaded.config, {
          clock: systemClock,
          random: systemRandom(),
          log,
          descriptors: sharesOf(await openFilesLimit() ?? USUAL_LIMIT),
          watchLoop: (tell) => watchLoop(systemClock, tell),
          reload: load,
          origins: (of) =>
            readOrigins(of, {
              path: configPath(options, environment),
              memory,
              read: Deno.readTextFile,
            }),
          onBeat: () => manager.alive(),
          onUpgrading: upgrading.onStep,
          signal: stopStarting.signal,
          tracing: systemTracing(VERSION),
          droppedLogLines,
        });
        upgrading.end();
        giveMemoryBack();
        manager.ready(`serving at ${daemon.url}`);
        reload = () => void daemon.reload().catch((error) => log.configRejected([String(error)]));
        const failure = await Promise.race([asked.promise, daemon.failed]);
        manager.stopping(loaded.config.server.shutdownGraceMs + AFTER_GRACE_MS);
        skipGrace = () => void daemon.stop();
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
        ignore();
        survive();
      }
    }));
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
