import { dirname, isAbsolute, join, normalize, resolve, sep } from "node:path";
import { quoted } from "../domain/quoted.ts";
import { systemClock } from "../runtime/clock.ts";
import type { Turn } from "../runtime/turn.ts";
import type { Findings } from "./problem.ts";
import { stampOf } from "./memory.ts";
import { reasonOf } from "./secrets.ts";
import { type Place, readSource } from "./source.ts";

/** Where further config files are found and read. */
export interface ConfigFiles {
  /** Rejects where the file cannot be read. */
  read(path: string): Promise<string>;
  /** Names in a directory; rejects where it cannot be read. */
  list(directory: string): Promise<readonly { name: string; isDirectory: boolean }[]>;
  /** Where a path leads, free of links; rejects where it leads nowhere. */
  realPath(path: string): Promise<string>;
  /** Tells whether a file is still the same; undefined where it can't be told, or not yet. */
  stamp?(path: string): string | undefined;
}

/** The files of this machine. */
export const systemFiles: ConfigFiles = {
  read: (path) => Deno.readTextFile(path),
  async list(directory) {
    const entries: { name: string; isDirectory: boolean }[] = [];
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(directory)) {
      const leads = isSymlink ? await leadsToDirectory(join(directory, name)) : isDirectory;
      entries.push({ name, isDirectory: leads });
    }
    return entries;
  },
  realPath: (path) => Deno.realPath(path),
  stamp: (path) => stampOf(path, systemClock.wall()),
};

async function leadsToDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false; // reading it tells what is wrong
  }
}

/** How included files are read. */
export interface Including {
  readonly files: ConfigFiles;
  readonly findings: Findings;
  /** Where others need the loop meanwhile. */
  readonly turn: Turn | undefined;
}

/** A file that the config includes, and the glob that named it. */
export interface IncludedFile {
  readonly path: string;
  readonly from: Place;
}

/** All included files: in order, each file once. */
export async function* includedFiles(
  include: Place,
  { files, findings }: Including,
): AsyncGenerator<IncludedFile> {
  const placeOf = placesOn(files);
  const seen = new Set([await placeOf(include.file)]);
  const folder = dirname(include.file);
  for (const glob of include.elements()) {
    const text = glob.value();
    if (typeof text !== "string" || text === "") continue;
    const paths = await expand(text, { folder, files });
    if (paths.length === 0) {
      findings.warn(
        glob.problem(`no file fits ${quoted(text)}`, "add a file there, or take the glob out"),
      );
    }
    for (const path of paths) {
      const place = await placeOf(path);
      if (seen.has(place)) continue;
      seen.add(place);
      yield { path, from: glob };
    }
  }
}

/** Where files are, by whatever links their folders were reached; asks once for each folder. */
function placesOn(files: ConfigFiles): (path: string) => Promise<string> {
  const known = new Map<string, Promise<string>>();
  return async (path) => {
    // Every path here is absolute and plain: taking it apart by node:path takes ten times as long.
    const at = path.lastIndexOf(sep);
    const folder = path.slice(0, at) || sep;
    let real = known.get(folder);
    if (!real) known.set(folder, real = files.realPath(folder).catch(() => folder));
    return `${await real}${path.slice(at)}`;
  };
}

/** The subscriptions in a file, a place each. */
export async function readInclude(
  { path, from }: IncludedFile,
  { files, findings, turn }: Including,
): Promise<Iterable<Place>> {
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

/** The files that a glob stands for, sorted; a path without wildcards stands for itself. */
async function expand(
  glob: string,
  { folder, files }: { folder: string; files: ConfigFiles },
): Promise<string[]> {
  const paths = withoutBraces(glob).filter((path) => path !== "");
  const found = await Promise.all(paths.map((path) => {
    const segments = normalize(path).split("/").filter((segment) => segment !== "");
    const wild = segments.findIndex((segment) => WILD.test(segment));
    if (wild < 0) return [resolve(folder, path)];
    // What the config's own folder is called is no glob, whatever it holds.
    const start = join(isAbsolute(path) ? "/" : folder, ...segments.slice(0, wild));
    return walk(start, segments.slice(wild), files);
  }));
  return [...new Set(found.flat())].sort();
}

/** As shells do: `{a,b}` makes two texts of one, and braces without a comma stand for themselves. */
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

/** What stands between the commas of a brace, and where it ends; undefined where it has none. */
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

async function walk(
  directory: string,
  segments: readonly string[],
  files: ConfigFiles,
): Promise<string[]> {
  const [segment, ...rest] = segments as [string, ...string[]];
  if (segment === "**") {
    const here = rest.length === 0 ? ["*"] : rest;
    const folders = await foldersFrom(directory, files);
    return (await Promise.all(folders.map((folder) => walk(folder, here, files)))).flat();
  }
  const fits = nameFitting(segment);
  const entries = (await entriesOf(directory, files)).filter(({ name }) => fits.test(name));
  if (rest.length === 0) {
    return entries.filter((entry) => !entry.isDirectory).map(({ name }) =>
      `${directory}${sep}${name}`
    );
  }
  const deeper = entries.filter((entry) => entry.isDirectory)
    .map(({ name }) => walk(join(directory, name), rest, files));
  return (await Promise.all(deeper)).flat();
}

/** A folder and all below it, each once: a link may lead back to a folder that it is in. */
async function foldersFrom(start: string, files: ConfigFiles): Promise<string[]> {
  const found = new Map<string, string>();
  let level = [start];
  while (level.length > 0) {
    const real = await Promise.all(level.map((path) => files.realPath(path).catch(() => path)));
    const fresh = level.filter((path, index) => {
      const isNew = !found.has(real[index]!);
      if (isNew) found.set(real[index]!, path);
      return isNew;
    });
    const below = await Promise.all(
      fresh.map(async (path) =>
        (await entriesOf(path, files)).filter((entry) => entry.isDirectory)
          .map(({ name }) => join(path, name))
      ),
    );
    level = below.flat().sort();
  }
  return [...found.values()];
}

/** Hidden names are left out: editors put their unfinished copies there. */
async function entriesOf(directory: string, files: ConfigFiles) {
  try {
    return (await files.list(directory)).filter(({ name }) => !name.startsWith("."));
  } catch {
    return []; // a folder that is not there yet holds no files
  }
}

function nameFitting(segment: string): RegExp {
  const source = segment.replace(TOKENS, (token, stars, one, negation, set) => {
    if (stars !== undefined) return "[^]*";
    if (one !== undefined) return "[^]";
    return set === undefined ? escaped(token) : `[${negation && "^"}${rangesOf(set)}]`;
  });
  return new RegExp(`^${source}$`, "u");
}

/** `[a-z]` or `[!a-z]`; a `]` that comes first is one of the characters (POSIX 1003.1, 2.13.1). */
const SET = String.raw`\[([!^]|(?![!^]))(\][^\]]*|[^\]]+)\]`;
const WILD = new RegExp(String.raw`[*?]|${SET}`, "u");
const TOKENS = new RegExp(String.raw`(\*+)|(\?)|${SET}|[^]`, "gu");

/** What stands in brackets, for a RegExp; a range from behind holds nothing. */
function rangesOf(set: string): string {
  return set.replace(/([^])-([^])|[^]/gu, (token, from, to) => {
    if (from === undefined) return escaped(token);
    return from.codePointAt(0) > to.codePointAt(0) ? "" : `${escaped(from)}-${escaped(to)}`;
  });
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
