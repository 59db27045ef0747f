import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { systemSecretSources } from "../config/secrets.ts";
import { systemClock } from "../runtime/clock.ts";
import { logTo, systemLog } from "../runtime/log.ts";
import { systemRandom } from "../runtime/random.ts";
import { configPath } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook serve`: the daemon, until a signal or a failed database ends it. */
export function addServe(program: Command, shell: Shell): void {
  const { environment } = shell.terminal;
  program.command("serve")
    .description("run the daemon; SIGTERM and SIGINT stop it, SIGHUP reloads the config")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      const load = () =>
        loadConfig(configPath(options, environment), systemSecretSources(environment));
      const loaded = await load();
      if (!loaded.ok) {
        for (const problem of loaded.problems) shell.say(formatProblem(problem));
        return EXIT.notValid;
      }
      await logTo(shell.terminal.stderr);
      const log = systemLog();
      for (const warning of loaded.warnings) log.configWarning(formatProblem(warning));

      // Heard from here on: a stop that comes while the daemon starts is not lost.
      const asked = Promise.withResolvers<undefined>();
      let reload = () => {};
      const ignore = shell.terminal.onSignal(["SIGTERM", "SIGINT", "SIGHUP"], (signal) => {
        if (signal === "SIGHUP") reload();
        else asked.resolve(undefined);
      });
      try {
        // Loaded here alone: the commands that only talk to a daemon start without its weight.
        const { startDaemon } = await import("../daemon.ts");
        const daemon = await startDaemon(loaded.config, {
          clock: systemClock,
          random: systemRandom(),
          log,
          reload: load,
        });
        reload = () => void daemon.reload().catch((error) => log.configRejected([String(error)]));
        const failure = await Promise.race([asked.promise, daemon.failed]);
        if (failure === undefined) {
          await daemon.stop();
          return EXIT.done;
        }
        // The database is not trusted any more: what stopping can still do, it may fail at.
        await daemon.stop().catch(() => {});
        shell.say(`bellhook: the database has failed: ${failure.message}`);
        return EXIT.failed;
      } finally {
        ignore();
      }
    }));
}

const EXAMPLES = `
Examples:
  $ bellhook serve
  $ bellhook serve -c /etc/bellhook/config.json
`;
