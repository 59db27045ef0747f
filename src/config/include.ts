import { dirname, join, resolve } from "node:path";
import { quoted } from "../domain/quoted.ts";
import type { Findings } from "./problem.ts";
import { reasonOf } from "./secrets.ts";
import { parseSource, type Place } from "./source.ts";

/** Where further config files are found and read. */
export interface ConfigFiles {
  /** Rejects where the file cannot be read. */
  read(path: string): Promise<string>;
  /** Names in a directory; rejects where it cannot be read. */
  list(directory: string): Promise<readonly { name: string; isDirectory: boolean }[]>;
}

/** The files of this machine. */
export const systemFiles: ConfigFiles = {
  read: (path) => Deno.readTextFile(path),
  async list(directory) {
    const entries = await Array.fromAsync(Deno.readDir(directory));
    return await Promise.all(entries.map(async ({ name, isDirectory, isSymlink }) => ({
      name,
      isDirectory: isSymlink ? await leadsToDirectory(join(directory, name)) : isDirectory,
    })));
  },
};

async function leadsToDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false; // reading it tells what is wrong
  }
}

/** The subscriptions of all included files: a place each, files in order, each file once. */
export async function* readIncludes(
  include: Place,
  files: ConfigFiles,
  findings: Findings,
): AsyncGenerator<Place> {
  const seen = new Set([include.file]);
  for (const glob of include.elements()) {
    const text = glob.value();
    if (typeof text !== "string" || text === "") continue;
    const paths = await expand(resolve(dirname(include.file), text), files);
    if (paths.length === 0) {
      findings.warn(
        glob.problem(`no file fits ${quoted(text)}`, "add a file there, or take the glob out"),
      );
    }
    for (const path of paths.filter((path) => !seen.has(path))) {
      seen.add(path);
      yield* await readInclude(path, { from: glob, files, findings });
    }
  }
}

async function readInclude(
  path: string,
  { from, files, findings }: { from: Place; files: ConfigFiles; findings: Findings },
): Promise<Iterable<Place>> {
  let text: string;
  try {
    text = await files.read(path);
  } catch (error) {
    const message = `the file ${quoted(path)} cannot be read: ${reasonOf(error)}`;
    findings.add(from.problem(message, "add the file, or take its name out"));
    return [];
  }
  const { root, problems } = parseSource(path, text);
  findings.add(...problems);
  if (root === undefined) return [];
  return root.kind === "array" ? root.eachElement() : [root];
}

/** The files that a glob stands for, sorted; a path without `*` stands for itself. */
async function expand(glob: string, files: ConfigFiles): Promise<string[]> {
  if (!glob.includes("*")) return [glob];
  const segments = glob.split("/");
  const fixed = segments.findIndex((segment) => segment.includes("*"));
  const start = segments.slice(0, fixed).join("/") || "/";
  const found = await walk(start, segments.slice(fixed), files);
  return [...new Set(found)].sort();
}

async function walk(
  directory: string,
  segments: readonly string[],
  files: ConfigFiles,
): Promise<string[]> {
  const [segment, ...rest] = segments as [string, ...string[]];
  if (segment === "**") {
    const here = rest.length === 0 ? ["*"] : rest;
    const below = (await entriesOf(directory, files)).filter((entry) => entry.isDirectory);
    const deeper = await Promise.all(
      below.map((entry) => walk(join(directory, entry.name), segments, files)),
    );
    return [...await walk(directory, here, files), ...deeper.flat()];
  }
  const fits = segmentPattern(segment);
  const entries = (await entriesOf(directory, files)).filter(({ name }) => fits.test(name));
  if (rest.length === 0) {
    return entries.filter((entry) => !entry.isDirectory).map(({ name }) => join(directory, name));
  }
  const deeper = entries.filter((entry) => entry.isDirectory)
    .map(({ name }) => walk(join(directory, name), rest, files));
  return (await Promise.all(deeper)).flat();
}

/** Hidden names are left out: editors put their unfinished copies there. */
async function entriesOf(directory: string, files: ConfigFiles) {
  try {
    return (await files.list(directory)).filter(({ name }) => !name.startsWith("."));
  } catch {
    return []; // a folder that is not there yet holds no files
  }
}

function segmentPattern(segment: string): RegExp {
  const parts = segment.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^/]*")}$`);
}
