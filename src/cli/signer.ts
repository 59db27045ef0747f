import { type Command, InvalidArgumentError, Option } from "commander";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { systemSecretSources } from "../config/secrets.ts";
import { bareSubscription } from "../config/settings.ts";
import { suggestion } from "../config/suggestion.ts";
import { type Instant, parseInstant } from "../domain/instant.ts";
import { compact, type JsonText } from "../domain/json_text.ts";
import { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";
import { configPath, profileNamed } from "./config_file.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import type { GlobalOptions } from "./shell.ts";
import type { Terminal } from "./terminal.ts";

/** Options by which `sign` and `verify` are told whose format and whose secret. */
export interface SignerOptions {
  readonly profile?: string;
  readonly secretEnv?: string;
  readonly subscription?: string;
  readonly at?: Instant;
}

/** Adds the options of a SignerOptions to a command. */
export function addSignerOptions(command: Command, { at }: { at: string }): Command {
  return command
    .option("--profile <name>", 'the profile ("standard" where none is named)')
    .option("--secret-env <name>", "the environment variable that holds the secret")
    .option(
      "--subscription <id>",
      "take profile, secret and all else from the config file",
      givenId,
    )
    .addOption(new Option("--at <instant>", at).argParser(instant));
}

/** The subscription of the config file that is meant, or one with a profile's defaults. */
export async function signerOf(
  options: SignerOptions & GlobalOptions,
  { environment }: Terminal,
  { settings = new Map() }: { settings?: ReadonlyMap<string, JsonText> } = {},
): Promise<Subscription> {
  const { subscription: id, secretEnv } = options;
  if (id !== undefined) {
    const other = options.profile !== undefined
      ? "--profile"
      : secretEnv !== undefined
      ? "--secret-env"
      : settings.size > 0
      ? "--setting"
      : undefined;
    if (other !== undefined) {
      throw new CommandError(
        EXIT.notValid,
        `--subscription takes all from the config file; leave ${other} out`,
      );
    }
    return await subscriptionNamed(id, configPath(options, environment), environment);
  }
  const profile = await profileNamed(options.profile ?? "standard", options, environment);
  const secret = secretEnv === undefined ? undefined : secretIn(secretEnv, environment);
  return {
    ...bareSubscription("from-the-command-line", "https://receiver.example/", profile),
    ...(secret && { secret }),
    settings,
  };
}

/** The secret in an environment variable; a CommandError where it holds none. */
export function secretIn(name: string, environment: Terminal["environment"]): Secret {
  const value = environment.get(name);
  if (value === undefined || value === "") {
    throw new CommandError(EXIT.notValid, `the environment variable ${name} holds no secret`);
  }
  return new Secret(value);
}

/** A file's bytes, or with "-" those of standard input. */
export async function bytesAt(
  path: string,
  terminal: Terminal,
): Promise<Uint8Array<ArrayBuffer>> {
  if (path === "-") return new Uint8Array(await terminal.stdinBytes());
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new CommandError(EXIT.notValid, `can't read "${path}": ${(error as Error).message}`);
  }
}

/** A setting as it is typed: `subscription_id=12` is a number, `=sub_1` and `="12"` are texts. */
export function settingOf(text: string): [name: string, value: JsonText] {
  const at = text.indexOf("=");
  if (at < 1) {
    throw new CommandError(EXIT.notValid, `--setting "${text}" is not of the form name=value`);
  }
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), compact(value)];
  } catch {
    return [text.slice(0, at), JSON.stringify(value)];
  }
}

async function subscriptionNamed(
  id: string,
  path: string,
  environment: Terminal["environment"],
): Promise<Subscription> {
  const loaded = await loadConfig(path, systemSecretSources(environment));
  if (!loaded.ok) {
    const problems = loaded.problems.map((problem) => `\n${formatProblem(problem)}`);
    throw new CommandError(EXIT.notValid, `the config is not valid${problems.join("")}`);
  }
  const { subscriptions } = loaded.config;
  const found = subscriptions.find((one) => one.id === id);
  if (found) return found;
  const fix = suggestion(id, subscriptions.map((one) => one.id));
  throw new CommandError(
    EXIT.notFound,
    `there is no subscription "${id}" in "${path}"${fix === undefined ? "" : `; ${fix}`}`,
  );
}

function instant(text: string): Instant {
  const at = parseInstant(text);
  if (at !== undefined) return at;
  throw new InvalidArgumentError('It is not an RFC 3339 instant, as in "2024-03-15T10:30:00Z".');
}
