import { type Loaded, readConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { Config, Problem } from "../../src/config/config.ts";
import type { ConfigFiles } from "../../src/config/include.ts";
import { type Listing, Stamps } from "../../src/config/listing.ts";
import type { SecretSources } from "../../src/config/secrets.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A Standard Webhooks secret of 32 bytes. */
export const WHSEC = `whsec_${btoa("0123456789abcdef0123456789abcdef")}`;

/** What the environment holds, unless a test says otherwise. */
export const ENV: Readonly<Record<string, string>> = {
  WHSEC,
  TEXT: "a-free-text-of-some-length",
  OTHER: "another-text-of-some-length",
  EMPTY: "",
};

/** A world to read a config in, made of plain values. */
export interface World {
  readonly env?: Readonly<Record<string, string>>;
  /** Files by path, secrets and further configs alike. */
  readonly files?: Readonly<Record<string, string>>;
  readonly credentials?: Readonly<Record<string, string>>;
  /** Where the config is; `config.json` in the working directory by default. */
  readonly path?: string;
}

/** Reads a config, given as a text or as the value of one, on 15 March 2024. */
export function reading(config: unknown, world: World = {}): Promise<Loaded> {
  return readConfig({
    path: world.path ?? "config.json",
    text: typeof config === "string" ? config : JSON.stringify(config, null, 2),
    sources: sourcesOf(world),
    files: filesOf(world),
    clock: new FakeClock(),
  });
}

/** The config, which must be a good one. */
export async function configOf(config: unknown, world: World = {}): Promise<Config> {
  const loaded = await reading(config, world);
  if (!loaded.ok) throw new Error(loaded.problems.map((one) => formatProblem(one)).join("\n"));
  return loaded.config;
}

/** The text of a config with one subscription, one member added to it or put in another's place. */
export function withText(member: string, instead?: string): string {
  const members = [
    ["id", '"id": "one"'],
    ["url", '"url": "https://example.com/hooks"'],
    ["events", '"events": ["booking.created"]'],
    ["secret", '"secret": {"env": "WHSEC"}'],
  ].filter(([name]) => name !== instead).map(([, text]) => text!);
  const all = member === "" ? members : [...members, member];
  return `{"subscriptions": [\n  {\n    ${all.join(",\n    ")}\n  }\n]}`;
}

/** What is wrong, as people read it. */
export async function problemsOf(config: unknown, world: World = {}): Promise<string> {
  const loaded = await reading(config, world);
  return rendered(loaded.ok ? [] : loaded.problems);
}

/** What is doubtful, as people read it. */
export async function warningsOf(config: unknown, world: World = {}): Promise<string> {
  return rendered((await reading(config, world)).warnings);
}

/** A good subscription of the default profile. */
export function entry(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: "one",
    url: "https://example.com/hooks",
    events: ["booking.created"],
    secret: { env: "WHSEC" },
    ...overrides,
  };
}

function rendered(problems: readonly Problem[]): string {
  return problems.map((problem) => formatProblem(problem)).join("\n");
}

function sourcesOf({ env = ENV, files = {}, credentials = {} }: World): SecretSources {
  return {
    env: (name) => Object.hasOwn(env, name) ? env[name] : undefined,
    file: (path) => textOf(files, path),
    credential: (name) =>
      Promise.resolve(Object.hasOwn(credentials, name) ? credentials[name] : undefined),
  };
}

function filesOf({ files = {} }: World): ConfigFiles {
  return {
    read: (path) => textOf(files, path),
    list: (folders) =>
      Promise.resolve(folders.map((folder) => listingOf(folder, Object.keys(files)))),
    stamps: (paths) => Promise.resolve(Stamps.of(paths.map(() => ({ isFolder: false })))),
    realPath: (path) => Promise.resolve(path),
  };
}

/** A folder's listing, where these are all the files there are. */
export function listingOf(
  folder: string,
  paths: readonly string[],
  version: (path: string) => number | undefined = () => undefined,
): Listing {
  const below = paths.filter((path) => path.startsWith(`${folder}/`))
    .map((path) => path.slice(folder.length + 1).split("/"));
  const isFolder = new Map(below.map(([name, ...rest]) => [name!, rest.length > 0]));
  const names = [...isFolder.keys()].filter((name) => !name.startsWith(".")).sort();
  const stamps = Stamps.of(names.map((name) => {
    const told = version(`${folder}/${name}`);
    return { isFolder: isFolder.get(name)!, ...(told !== undefined && { version: told }) };
  }));
  return { names, stamps };
}

function textOf(files: Readonly<Record<string, string>>, path: string): Promise<string> {
  return Object.hasOwn(files, path)
    ? Promise.resolve(files[path]!)
    : Promise.reject(new Deno.errors.NotFound("no such file"));
}
