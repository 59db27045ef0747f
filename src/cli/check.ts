import type { Command } from "commander";
import type { Problem } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { systemSecretSources } from "../config/secrets.ts";
import { configPath } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import { patternWarnings } from "./pattern_warnings.ts";
import type { Shell } from "./shell.ts";

/** `bellhook check`: every problem of a config file at once. */
export function addCheck(program: Command, shell: Shell): void {
  const { environment } = shell.terminal;
  program.command("check")
    .description(
      "say everything that is wrong with the config file, and which patterns matched no event lately",
    )
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options) => {
      const path = configPath(options, environment);
      const loaded = await loadConfig(path, systemSecretSources(environment));
      const show = (severity: "error" | "warning") => (problem: Problem) =>
        shell.print(
          options.json
            ? JSON.stringify({ severity, ...problem })
            : severity === "warning"
            ? `warning: ${formatProblem(problem)}\n`
            : `${formatProblem(problem)}\n`,
        );
      loaded.warnings.forEach(show("warning"));
      if (!loaded.ok) {
        loaded.problems.forEach(show("error"));
        shell.say(counted(loaded.problems.length, "problem"));
        return EXIT.notValid;
      }
      const doubtful = await patternWarnings(loaded.config, shell.terminal.clock);
      for (const warning of doubtful) {
        show("warning")({ file: path, path: "subscriptions", ...warning });
      }
      const { subscriptions } = loaded.config;
      const profiles = new Set(subscriptions.map(({ profile }) => profile.name));
      shell.print(
        options.json
          ? JSON.stringify({
            ok: true,
            file: path,
            subscriptions: subscriptions.length,
            profiles: profiles.size,
          })
          : `${path} is valid: ${counted(subscriptions.length, "subscription")}, ` +
            counted(profiles.size, "profile"),
      );
      return EXIT.done;
    }));
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const EXAMPLES = `
Examples:
  $ bellhook check
  $ bellhook check -c /etc/bellhook/config.json --json
`;
