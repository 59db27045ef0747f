import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import { formatProblem, loadConfig, type Loaded } from "../config/load.ts";
import type { Clock } from "../runtime/clock.ts";
import { type SecretSources, systemSecretSources } from "../config/secrets.ts";
import { IN_MEMORY } from "../outbox/sqlite/connection.ts";
import { configPath, databasePath } from "./config_file.ts";
import { examineAnswers } from "./doctor/answers.ts";
import { examineClock } from "./doctor/clock.ts";
import { examineDisk } from "./doctor/disk.ts";
import { examineFiles, type GuardedFile } from "./doctor/files.ts";
import type { Finding } from "./doctor/finding.ts";
import { examineLimits } from "./doctor/limits.ts";
import { examineListen, examineReceivers, judgeProxies, systemResolve } from "./doctor/network.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { ignoredProxies } from "./ignored_proxies.ts";
import type { Colour } from "./paint.ts";
import { patternWarnings } from "./pattern_warnings.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { type Column, printTable } from "./table.ts";

/** `bellhook doctor`: what about this machine and this config would trouble the daemon. */
export function addDoctor(program: Command, shell: Shell): void {
  program.command("doctor")
    .description("look for what would trouble a daemon here: config, clock, disk, rights, network")
    .option("--all", "show every check, also those that found nothing wrong")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<DoctorOptions>(async (options) => {
      const findings = await examine(options, shell);
      if (options.json) { for (const finding of findings) shell.print(JSON.stringify(finding)); }
      else show(findings, options, shell);
      return findings.some(({ state }) => state === "fail") ? EXIT.failed : EXIT.done;
    }));
}

interface DoctorOptions {
  readonly all?: boolean;
}

/** A receiver is a check of its own: of thousands that are well, only the number is told. */
function show(findings: readonly Finding[], { all = false }: DoctorOptions, shell: Shell): void {
  const troubles = findings.filter(({ state }) => state !== "ok");
  const count = (state: Finding["state"]) => findings.filter((one) => one.state === state).length;
  shell.say(
    `${findings.length} checks: ${count("fail")} failed, ${count("warn")} warned, ${
      count("ok")
    } ok` +
      (all || troubles.length === findings.length ? "" : "; bellhook doctor --all shows all"),
  );
  printTable(all ? findings : troubles, COLUMNS, shell.terminal);
}

async function examine(options: GlobalOptions, shell: Shell): Promise<Finding[]> {
  const { environment, clock } = shell.terminal;
  const path = configPath(options, environment);
  const sources = listening(systemSecretSources(environment));
  const loaded = await loadConfig(path, sources);
  const config = loaded.ok ? loaded.config : undefined;
  const named = config?.storage.path ?? await databaseOf(path, shell);
  const database = named === IN_MEMORY ? undefined : named;
  const files: GuardedFile[] = [
    { check: "config file", path },
    ...(database === undefined ? [] : [{ check: "database file", path: database } as const]),
    ...[...sources.files].map((path) => ({ check: "secret file", path } as const)),
  ];
  return [
    ...judgeConfig(loaded, path),
    ...await examineClock(clock),
    ...(database === undefined ? [] : await examineDisk(database, clock)),
    ...await examineFiles(files),
    ...await examineLimits(config?.totalConcurrency),
    ...judgeProxies(ignoredProxies(environment)),
    ...(config === undefined ? [] : await examinePatterns(config, clock)),
    ...(config === undefined || database === undefined
      ? []
      : await examineAnswers(config, database)),
    ...(config === undefined ? [] : await examineNetwork(config, shell)),
  ];
}

async function examinePatterns(config: Config, clock: Clock): Promise<Finding[]> {
  const warnings = await patternWarnings(config, clock);
  return warnings.map((warning): Finding => ({ check: "pattern", state: "warn", ...warning }));
}

async function examineNetwork(config: Config, shell: Shell): Promise<Finding[]> {
  const { clock } = shell.terminal;
  return [
    await examineListen(config.server.listen, clock),
    ...await examineReceivers(config.subscriptions, { clock, resolve: systemResolve }),
  ];
}

/** Secret sources that keep in mind which files they were asked for. */
function listening(sources: SecretSources): SecretSources & { readonly files: Set<string> } {
  const files = new Set<string>();
  return {
    ...sources,
    files,
    file: (path) => {
      files.add(path);
      return sources.file(path);
    },
  };
}

/** What a config that is not valid still says of its database. */
async function databaseOf(config: string, shell: Shell): Promise<string | undefined> {
  try {
    return await databasePath({ config }, shell.terminal.environment);
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

function judgeConfig(loaded: Loaded, path: string): Finding[] {
  const check = "config";
  const warnings = loaded.warnings.map((problem): Finding => ({
    check,
    state: "warn",
    message: formatProblem(problem),
  }));
  if (loaded.ok) {
    const message = `"${path}" is valid: ${loaded.config.subscriptions.length} subscriptions`;
    return [{ check, state: "ok", message }, ...warnings];
  }
  const [first, ...others] = loaded.problems;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  const message = `"${path}" is not valid: ${first?.message ?? ""}${more}`;
  return [{ check, state: "fail", message, fix: "bellhook check" }, ...warnings];
}

const COLOURS: Record<Finding["state"], Colour> = { ok: "green", warn: "yellow", fail: "red" };

const COLUMNS: readonly Column<Finding>[] = [
  { heading: "STATE", cell: ({ state }) => ({ text: state, colour: COLOURS[state] }) },
  { heading: "CHECK", cell: ({ check }) => check },
  { heading: "FOUND", cell: ({ message }) => message, shrinksTo: 24, wraps: true },
  { heading: "WHAT TO DO", cell: ({ fix }) => fix ?? "", shrinksTo: 20, wraps: true },
];

const EXAMPLES = `
Run it as the user that the daemon runs as. Exit code 1 where something fails.

Examples:
  $ bellhook doctor
  $ bellhook doctor -c /etc/bellhook/config.json --json
`;
