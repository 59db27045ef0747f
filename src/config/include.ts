import { basename, dirname, isAbsolute, join, normalize, resolve, sep } from "node:path";
import { quoted } from "../domain/quoted.ts";
import { systemClock } from "../runtime/clock.ts";
import { inSlices, type Steps } from "../runtime/turn.ts";
import { listFolders, type Listing, type ListingOptions, Stamps, stampsOf } from "./listing.ts";
import type { Findings } from "./problem.ts";
import { reasonOf } from "./secrets.ts";
import { type Place, readSource } from "./source.ts";

/** How further config files are found and read. */
export interface ConfigFiles {
  /** Rejects if the file can't be read. */
  read(path: string): Promise<string>;
  /** The content of each folder, without folders below it. A folder that can't be read counts as empty. */
  list(folders: readonly string[], how: ListingOptions): Promise<readonly Listing[]>;
  /** Stamps, which tell whether files are still the same. */
  stamps(paths: readonly string[], how: ListingOptions): Promise<Stamps>;
  /** The path without symbolic links. Rejects if there is nothing at the path. */
  realPath(path: string): Promise<string>;
}

/** The files of this machine. */
export const systemFiles: ConfigFiles = {
  read: (path) => Deno.readTextFile(path),
  list: (folders, how) => listFolders(folders, how, systemClock.wall()),
  stamps: (paths, how) => stampsOf(paths, how, systemClock.wall()),
  realPath: (path) => Deno.realPath(path),
};

/** What included files are looked for with. */
export interface Including {
  readonly files: ConfigFiles;
  readonly findings: Findings;
  readonly how: ListingOptions;
}

/** A file that the config includes, and the glob that named it. */
export interface IncludedFile {
  readonly folder: Folder;
  /** Its index in the folder's listing. */
  readonly at: number;
  readonly from: Place;
}

export function pathOf({ folder, at }: Pick<IncludedFile, "folder" | "at">): string {
  return `${folder.path}${sep}${folder.names[at]}`;
}

/** All included files in order. Each comes once, even if several links lead to its folder. */
export async function includedFiles(
  include: Place,
  { files, findings, how }: Including,
): Promise<IncludedFile[]> {
  const folders = new Folders(files, how);
  const base = dirname(include.file);
  const found: (readonly IncludedFile[])[] = [];
  for (const from of include.elements()) {
    const text = from.value();
    if (typeof text !== "string" || text === "") continue;
    const fitting = await expand(text, base, { folders, from });
    if (fitting.length === 0) {
      findings.warn(
        from.problem(`no file fits ${quoted(text)}`, "add a file there, or take the glob out"),
      );
    }
    found.push(fitting);
  }
  const own = {
    folder: folderOf(include.file, Stamps.of([{ isFolder: false }])),
    at: 0,
    from: include,
  };
  const all = [own, ...found.flat()];
  const real = await realPaths(new Set(all.map(({ folder }) => folder)), files);
  return (await inSlices(eachOnce(all, real), how.turn)).slice(1);
}

/** The paths of folders without symbolic links. */
async function realPaths(
  folders: ReadonlySet<Folder>,
  files: ConfigFiles,
): Promise<ReadonlyMap<Folder, string>> {
  const paths = Array.from(folders, async (folder): Promise<[Folder, string]> => [
    folder,
    await files.realPath(folder.path).catch(() => folder.path),
  ]);
  return new Map(await Promise.all(paths));
}

function* eachOnce(
  found: readonly IncludedFile[],
  real: ReadonlyMap<Folder, string>,
): Steps<IncludedFile[]> {
  const met = new Map<Folder, Uint8Array>();
  // Names only matter if several folders are the same one. To keep 50 000 names took 8 ms.
  const times = Map.groupBy(real.values(), (path) => path);
  const namesIn = new Map<string, Set<string>>();
  const isNew = ({ folder, at }: IncludedFile) => {
    let places = met.get(folder);
    if (!places) met.set(folder, places = new Uint8Array(folder.names.length));
    if (places[at] === 1) return false;
    places[at] = 1;
    const path = real.get(folder)!;
    if (times.get(path)!.length === 1) return true;
    let names = namesIn.get(path);
    if (!names) namesIn.set(path, names = new Set());
    const { size } = names;
    return names.add(folder.names[at]!).size > size;
  };
  const once: IncludedFile[] = [];
  for (const [index, file] of found.entries()) {
    if (isNew(file)) once.push(file);
    if (index % FILES_A_STEP === 0) yield;
  }
  return once;
}

const FILES_A_STEP = 256;

/** The places of the subscriptions in a file. */
export async function readInclude(
  file: IncludedFile,
  { files, findings, how: { turn } }: Including,
): Promise<Iterable<Place>> {
  const { from } = file, path = pathOf(file);
  let text: string;
  try {
    text = await files.read(path);
  } catch (error) {
    const message = `the file ${quoted(path)} cannot be read: ${reasonOf(error)}`;
    findings.add(from.problem(message, "add the file, or take its name out"));
    return [];
  }
  const { root, problems } = await readSource(path, text, turn);
  findings.add(...problems);
  if (root === undefined) return [];
  return root.kind === "array" ? root.eachElement() : [root];
}

/** A folder with included files. For a path without wildcards, it has only that file. */
export interface Folder extends Listing {
  readonly path: string;
  /** Unique among the folders of a config. */
  readonly key: string;
}

function folderOf(file: string, stamps: Stamps): Folder {
  return { path: dirname(file), key: file, names: [basename(file)], stamps };
}

/** The folders during one reload. Folders that are asked for in the same turn are listed together. */
class Folders {
  readonly #files: ConfigFiles;
  readonly how: ListingOptions;
  readonly #known = new Map<string, Promise<Folder>>();
  #asked: { readonly paths: string[]; readonly listings: Promise<readonly Listing[]> } | undefined;

  constructor(files: ConfigFiles, how: ListingOptions) {
    this.#files = files;
    this.how = how;
  }

  realPath(path: string): Promise<string> {
    return this.#files.realPath(path).catch(() => path);
  }

  at(path: string): Promise<Folder> {
    let folder = this.#known.get(path);
    if (!folder) this.#known.set(path, folder = this.#list(path));
    return folder;
  }

  /** A folder with only that file, which need not exist. */
  async around(file: string): Promise<Folder> {
    return folderOf(file, await this.#files.stamps([file], { ...this.how, isMany: false }));
  }

  async #list(path: string): Promise<Folder> {
    const asked = this.#asked ??= {
      paths: [],
      listings: Promise.resolve().then(() => this.#ask()),
    };
    const index = asked.paths.push(path) - 1;
    return { path, key: path, ...(await asked.listings)[index]! };
  }

  #ask(): Promise<readonly Listing[]> {
    const { paths } = this.#asked!;
    this.#asked = undefined;
    return this.#files.list(paths, this.how);
  }
}

/** What a glob is looked up with. */
interface Lookup {
  readonly folders: Folders;
  /** The place of the glob. */
  readonly from: Place;
}

/** The files that a glob matches, sorted. A path without wildcards matches itself. */
async function expand(
  glob: string,
  base: string,
  lookup: Lookup,
): Promise<readonly IncludedFile[]> {
  const paths = withoutBraces(glob).filter((path) => path !== "");
  const found = await Promise.all(paths.map(async (path) => {
    const segments = normalize(path).split("/").filter((segment) => segment !== "");
    const wild = segments.findIndex((segment) => WILD.test(segment));
    if (wild < 0) {
      const { folders, from } = lookup;
      return [[{ folder: await folders.around(resolve(base, path)), at: 0, from }]];
    }
    // The config's own folder may have a name that looks like a glob.
    const start = join(isAbsolute(path) ? "/" : base, ...segments.slice(0, wild));
    return walk(start, segments.slice(wild), lookup);
  }));
  const [first = [], ...others] = found.flat().filter((files) => files.length > 0);
  // The files of one folder are already in order.
  return others.length === 0 ? first : sorted([first, ...others].flat());
}

function sorted(found: readonly IncludedFile[]): readonly IncludedFile[] {
  const byPath = found.map((file): [string, IncludedFile] => [pathOf(file), file]);
  return byPath.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0).map(([, file]) => file);
}

/** Like a shell: `{a,b}` expands to two texts, and braces without a comma are taken literally. */
function withoutBraces(text: string): string[] {
  for (let open = text.indexOf("{"); open >= 0; open = text.indexOf("{", open + 1)) {
    const choice = choiceAt(text, open);
    if (!choice) continue;
    const endings = withoutBraces(text.slice(choice.end));
    return choice.options.flatMap(withoutBraces).flatMap((option) =>
      endings.map((ending) => text.slice(0, open) + option + ending)
    );
  }
  return [text];
}

/** The options in a pair of braces, and where it ends. Undefined if it has no comma. */
function choiceAt(
  text: string,
  open: number,
): { readonly options: readonly string[]; readonly end: number } | undefined {
  const options: string[] = [];
  let depth = 0;
  let begin = open + 1;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "{") depth++;
    else if (text[at] === "}") depth--;
    if (depth > 1 || depth === 1 && text[at] !== ",") continue;
    options.push(text.slice(begin, at));
    begin = at + 1;
    if (depth === 0) return options.length > 1 ? { options, end: begin } : undefined;
  }
  return undefined;
}

/** The matching files, by folder. */
async function walk(
  directory: string,
  segments: readonly string[],
  lookup: Lookup,
): Promise<IncludedFile[][]> {
  const { folders, from } = lookup;
  const [segment, ...rest] = segments as [string, ...string[]];
  if (segment === "**") {
    const here = rest.length === 0 ? ["*"] : rest;
    const below = await foldersFrom(directory, folders);
    return (await Promise.all(below.map((folder) => walk(folder, here, lookup)))).flat();
  }
  const folder = await folders.at(directory);
  const wanted = { fits: nameFitting(segment), isFolder: rest.length > 0, from };
  const fitting = await inSlices(fittingIn(folder, wanted), folders.how.turn);
  if (rest.length === 0) return [fitting];
  const deeper = fitting.map(({ at }) => walk(join(directory, folder.names[at]!), rest, lookup));
  return (await Promise.all(deeper)).flat();
}

function* fittingIn(
  folder: Folder,
  { fits, isFolder, from }: { fits: RegExp; isFolder: boolean; from: Place },
): Steps<IncludedFile[]> {
  const found: IncludedFile[] = [];
  for (const [at, name] of folder.names.entries()) {
    if (folder.stamps.isFolder(at) === isFolder && fits.test(name)) {
      found.push({ folder, at, from });
    }
    if (at % FILES_A_STEP === 0) yield;
  }
  return found;
}

/** A folder and all folders below it. Each comes once, since links may form a circle. */
async function foldersFrom(start: string, folders: Folders): Promise<string[]> {
  const found = new Map<string, string>();
  let level = [start];
  while (level.length > 0) {
    const real = await Promise.all(level.map((path) => folders.realPath(path)));
    const unmet = level.filter((path, index) => {
      const isNew = !found.has(real[index]!);
      if (isNew) found.set(real[index]!, path);
      return isNew;
    });
    const below = await Promise.all(unmet.map(async (path) => {
      const { names, stamps } = await folders.at(path);
      return names.filter((_, at) => stamps.isFolder(at)).map((name) => join(path, name));
    }));
    level = below.flat().sort();
  }
  return [...found.values()];
}

function nameFitting(segment: string): RegExp {
  const source = segment.replace(TOKENS, (token, stars, one, negation, set) => {
    if (stars !== undefined) return "[^]*";
    if (one !== undefined) return "[^]";
    return set === undefined ? escaped(token) : `[${negation && "^"}${rangesOf(set)}]`;
  });
  return new RegExp(`^${source}$`, "u");
}

/** `[a-z]` or `[!a-z]`. A `]` in first position is one of the characters (POSIX 1003.1, 2.13.1). */
const SET = String.raw`\[([!^]|(?![!^]))(\][^\]]*|[^\]]+)\]`;
const WILD = new RegExp(String.raw`[*?]|${SET}`, "u");
const TOKENS = new RegExp(String.raw`(\*+)|(\?)|${SET}|[^]`, "gu");

/** The content of brackets, for a RegExp. A reversed range such as `z-a` matches nothing. */
function rangesOf(set: string): string {
  return set.replace(/([^])-([^])|[^]/gu, (token, from, to) => {
    if (from === undefined) return escaped(token);
    return from.codePointAt(0) > to.codePointAt(0) ? "" : `${escaped(from)}-${escaped(to)}`;
  });
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
