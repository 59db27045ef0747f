import { isAbsolute, join, resolve } from "node:path";
import { looksSecret, quoted } from "../domain/quoted.ts";
import { Secret } from "../domain/secret.ts";
import { type Environment, systemEnvironment } from "../runtime/environment.ts";
import type { Problem } from "./config.ts";
import type { UsedSecret } from "./memory.ts";
import type { Place } from "./source.ts";

/** Where secrets come from: the config file only names them. */
export interface SecretSources {
  env(name: string): string | undefined;
  /** Rejects where the file cannot be read. */
  file(path: string): Promise<string>;
  /** A credential of systemd. Resolves to undefined if there is none of that name. */
  credential(name: string): Promise<string | undefined>;
}

/** The sources of this machine: environment, files, and systemd's credentials directory. */
export function systemSecretSources(
  environment: Environment = systemEnvironment,
): SecretSources {
  return {
    env: (name) => environment.get(name),
    file: readText,
    async credential(name) {
      const directory = environment.get("CREDENTIALS_DIRECTORY");
      if (directory === undefined || directory === "") return undefined;
      try {
        return await readText(join(directory, name));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
  };
}

/** The text of a file, without a byte order mark. Throws NoText if the bytes are not UTF-8. */
async function readText(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new NoText(); // without the cause, which may repeat parts of the file
  }
}

/** A file is not UTF-8. Decoded all the same, it would give a different secret. */
class NoText extends Error {}

/** A reference as it is written in the config file: one of the three. */
export interface Reference {
  readonly env?: string | undefined;
  readonly file?: string | undefined;
  readonly credential?: string | undefined;
}

const KINDS = ["env", "file", "credential"] as const;

/** Resolves references. It asks each source only once for each name. */
export class SecretReader {
  readonly #sources: SecretSources;
  readonly #directory: string;
  readonly #isReload: boolean;
  readonly #stamp: (path: string) => Promise<string | undefined>;
  readonly #read: Map<string, Promise<UsedSecret | Unresolved>>;
  #onUsed: ((secret: UsedSecret) => void) | undefined;

  /**
   * Relative paths of secret files start in `directory`. `isReload` means that the process was started
   * before the config was changed. `stamp` tells whether a file is still the same.
   */
  constructor(
    sources: SecretSources,
    directory: string,
    {
      isReload = false,
      stamp = () => Promise.resolve(undefined),
      read = new Map(),
    }: {
      readonly isReload?: boolean;
      readonly stamp?: (path: string) => Promise<string | undefined>;
      readonly read?: Map<string, Promise<UsedSecret | Unresolved>>;
    } = {},
  ) {
    this.#sources = sources;
    this.#directory = directory;
    this.#isReload = isReload;
    this.#stamp = stamp;
    this.#read = read;
  }

  /** The secret, or what is wrong with the reference. Undefined if that has been reported already. */
  async read(
    reference: Reference | undefined,
    place: Place,
  ): Promise<Secret | Problem | undefined> {
    // Other keys beside it, such as "until", are not part of the reference.
    const kind = KINDS.find((kind) => reference?.[kind] !== undefined);
    if (kind === undefined) return undefined;
    const name = reference![kind]!;
    const used = await this.#found(kind, name);
    if (!("found" in used)) return place.at(kind).problem(used.message, used.fix);
    this.#onUsed?.(used);
    return used.found;
  }

  /** Whether a secret is still in its place, and still the same. */
  async isStill({ kind, name, found }: UsedSecret): Promise<boolean> {
    const now = await this.#found(kind, name);
    return "found" in now && now.found.equals(found);
  }

  /** A copy of this reader that reports each secret that it finds. */
  reporting(onUsed: (secret: UsedSecret) => void): SecretReader {
    const reader = new SecretReader(this.#sources, this.#directory, {
      isReload: this.#isReload,
      stamp: this.#stamp,
      read: this.#read,
    });
    reader.#onUsed = onUsed;
    return reader;
  }

  /** The path of a secret's file. */
  pathOf(name: string): string {
    return isAbsolute(name) ? name : resolve(this.#directory, name);
  }

  #found(kind: keyof Reference, name: string): Promise<UsedSecret | Unresolved> {
    const key = `${kind}:${name}`;
    const reading = this.#read.get(key) ?? this.#use(kind, name);
    this.#read.set(key, reading);
    return reading;
  }

  async #use(kind: keyof Reference, name: string): Promise<UsedSecret | Unresolved> {
    // Taken before the file is read, so that the next reload sees what is written in between.
    const stamp = kind === "file" ? await this.#stamp(this.pathOf(name)) : undefined;
    const found = await this.#resolve(kind, name);
    if (!(found instanceof Secret)) return found;
    return { kind, name, found, ...(stamp !== undefined && { stamp }) };
  }

  async #resolve(kind: keyof Reference, name: string): Promise<Secret | Unresolved> {
    if (looksSecret(name)) {
      return {
        message: "a secret is written into the file",
        fix: "put it into the environment or a file, and name that here",
      };
    }
    if (kind === "env") return this.#fromEnvironment(name);
    return kind === "file" ? await this.#fromFile(name) : await this.#fromCredential(name);
  }

  #fromEnvironment(name: string): Secret | Unresolved {
    let value: string | undefined;
    try {
      value = this.#sources.env(name);
    } catch {
      value = undefined; // the name can't be the name of a variable
    }
    if (value === undefined) {
      const message = `the environment variable ${quoted(name)} is not set`;
      if (!this.#isReload) {
        return { message, fix: "set it where Bellhook is started, or name another" };
      }
      const fix =
        'write {"file": "/path/to/the/secret"} instead, or set it and restart: a running ' +
        "daemon can't see new variables";
      return { message, fix };
    }
    if (value.trim() !== "") return new Secret(value);
    const found = value === "" ? "is set but empty" : "holds nothing but white space";
    const message = `the environment variable ${quoted(name)} ${found}`;
    return { message, fix: "give it the secret as its value" };
  }

  async #fromFile(name: string): Promise<Secret | Unresolved> {
    const path = this.pathOf(name);
    try {
      return inFile(await this.#sources.file(path), `the file ${quoted(path)}`);
    } catch (error) {
      return unreadable(`the file ${quoted(path)}`, error);
    }
  }

  async #fromCredential(name: string): Promise<Secret | Unresolved> {
    try {
      const text = await this.#sources.credential(name);
      if (text !== undefined) return inFile(text, `the credential ${quoted(name)}`);
    } catch (error) {
      return unreadable(`the credential ${quoted(name)}`, error);
    }
    const message = `there is no credential ${quoted(name)}`;
    return { message, fix: `add LoadCredential=${name}:/path to the systemd unit` };
  }
}

interface Unresolved {
  readonly message: string;
  readonly fix: string;
}

/** Line ends at the end of the file are not part of the secret: editors add them. */
function inFile(text: string, what: string): Secret | Unresolved {
  const value = text.replace(/(\r?\n)+$/, "");
  if (value.trim() !== "") return new Secret(value);
  const found = value === "" ? "is empty" : "holds nothing but white space";
  return { message: `${what} ${found}`, fix: "write the secret into it" };
}

function unreadable(what: string, error: unknown): Unresolved {
  if (error instanceof NoText) {
    const message = `${what} is no UTF-8 text`;
    return { message, fix: "write the secret into it as UTF-8, or name another" };
  }
  const message = `${what} cannot be read: ${reasonOf(error)}`;
  return { message, fix: "make it readable to Bellhook, or name another" };
}

/** Why a file could not be read. Never repeats its content. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return "Bellhook runs without the right to read it";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "EISDIR") return "it is a directory";
  return typeof code === "string" ? code : "reading it failed";
}
