import { dirname, isAbsolute, join, resolve } from "node:path";
import { parse, type ParseError } from "jsonc-parser";
import { parseListen } from "../config/listen.ts";
import { readProfiles } from "../config/own_profiles.ts";
import { Findings } from "../config/problem.ts";
import { DEFAULTS } from "../config/schema.ts";
import { parseSource } from "../config/source.ts";
import { suggestion } from "../config/suggestion.ts";
import type { Profile } from "../domain/profile.ts";
import type { Environment } from "../runtime/environment.ts";
import { IN_MEMORY } from "../outbox/sqlite/connection.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { GlobalOptions } from "./shell.ts";

/** The config file that a command is about, absolute. */
export function configPath(options: GlobalOptions, environment: Environment): string {
  return resolve(named(options, environment) ?? "config.json");
}

/**
 * Where the daemon answers: what was said, else what the config file says, else the default. The
 * file is only looked into, not checked: a client has none of its secrets.
 */
export async function daemonUrl(
  options: GlobalOptions,
  environment: Environment,
): Promise<string> {
  const said = options.url ?? nonEmpty(environment.get("BELLHOOK_URL"));
  if (said !== undefined) return said;
  const path = configPath(options, environment);
  const words = await wordsOf(path, { required: named(options, environment) !== undefined });
  const listen = parseListen(words?.server?.listen ?? DEFAULTS.listen, dirname(path));
  if (listen.kind === "fault") {
    throw new CommandError(EXIT.notValid, `server.listen in "${path}": ${listen.message}`);
  }
  if (listen.kind === "unix") return `unix:${listen.path}`;
  return `http://${reachable(listen.host)}:${listen.port}`;
}

/** The database that a config names, a file or IN_MEMORY, without a look at anything else in it. */
export async function databasePath(
  options: GlobalOptions,
  environment: Environment,
): Promise<string> {
  const path = configPath(options, environment);
  const words = await wordsOf(path, { required: true });
  const url = words?.storage?.url ?? DEFAULTS.storageUrl;
  const name = /^sqlite:(?:\/\/(?=\/))?(?!\/\/)(.+)$/.exec(url)?.[1];
  if (name === undefined) {
    throw new CommandError(EXIT.notValid, `storage.url in "${path}" names no SQLite database`);
  }
  return name === IN_MEMORY || isAbsolute(name) ? name : join(dirname(path), name);
}

/** As databasePath(), of a database that a daemon has made already. */
export async function existingDatabase(
  options: GlobalOptions,
  environment: Environment,
): Promise<string> {
  const path = await databasePath(options, environment);
  if (path === IN_MEMORY) {
    const file = configPath(options, environment);
    throw new CommandError(
      EXIT.notFound,
      `storage.url in "${file}" is a database in memory, which only its own process can read; ` +
        'name a file, as in "sqlite:bellhook.db"',
    );
  }
  try {
    await Deno.stat(path);
    return path;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CommandError(
      EXIT.notFound,
      `there is no database at "${path}" yet; "bellhook serve" makes it`,
    );
  }
}

/** A profile that comes with Bellhook, or one of the config file's own. */
export async function profileNamed(
  name: string,
  options: GlobalOptions,
  environment: Environment,
): Promise<Profile> {
  const builtIn = BUILT_IN.get(name);
  if (builtIn) return builtIn;
  const path = configPath(options, environment);
  const text = await textOf(path, { required: named(options, environment) !== undefined });
  const root = text === undefined ? undefined : parseSource(path, text).root;
  const own = root ? readProfiles(root.at("profiles"), new Findings()) : BUILT_IN;
  const profile = own.get(name);
  if (profile) return profile;
  if (own.has(name)) {
    throw new CommandError(
      EXIT.notValid,
      `profile "${name}" in "${path}" is not valid; "bellhook check" says why`,
    );
  }
  const fix = suggestion(name, own.keys());
  throw new CommandError(
    EXIT.notValid,
    `there is no profile "${name}"${fix === undefined ? "" : `; ${fix}`}`,
  );
}

function named(options: GlobalOptions, environment: Environment): string | undefined {
  return options.config ?? nonEmpty(environment.get("BELLHOOK_CONFIG"));
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** What is read of a config file without checking it. */
interface Words {
  readonly server?: { readonly listen?: string };
  readonly storage?: { readonly url?: string };
}

async function wordsOf(path: string, read: { required: boolean }): Promise<Words | undefined> {
  const text = await textOf(path, read);
  if (text === undefined) return undefined;
  const errors: ParseError[] = [];
  const words = parse(text, errors, { allowTrailingComma: true });
  const sound = errors.length === 0 && isObject(words) &&
    isText(words.server, "listen") && isText(words.storage, "url");
  if (!sound) {
    throw new CommandError(
      EXIT.notValid,
      `the config file "${path}" is not valid; "bellhook check" says why`,
    );
  }
  return words as Words;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a member is a text wherever it is there at all. */
function isText(value: unknown, name: string): boolean {
  if (value === undefined) return true;
  return isObject(value) && (value[name] === undefined || typeof value[name] === "string");
}

/** A config file's text; a byte order mark that some editors begin it with is not part of it. */
async function textOf(path: string, { required }: { required: boolean }) {
  try {
    return (await Deno.readTextFile(path)).replace(/^\ufeff/, "");
  } catch (error) {
    if (!required && error instanceof Deno.errors.NotFound) return undefined;
    const why = error instanceof Deno.errors.NotFound
      ? 'there is no such file; name another with "-c FILE", or make one with "bellhook init"'
      : (error as Error).message;
    throw new CommandError(EXIT.notValid, `can't read the config file "${path}": ${why}`);
  }
}

/** An address to connect to: what listens everywhere is reached on loopback. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
