import { join } from "node:path";
import { DENO_FLAGS } from "../src/cli/program.ts";
import { VERSION } from "../src/version.ts";
import { type Bundle, ROOT } from "./bundle.ts";
import { manPage } from "./man.ts";
import { finished, output } from "./run_command.ts";
import { HERE, isWindows, type Target } from "./target.ts";
import { noticesText } from "./third_party.ts";

/** Thrown if Deno's executable for another platform isn't available. */
export class NoDenoError extends Error {
  override readonly name = "NoDenoError";

  constructor(wanted: string, said: string) {
    const why = said.split("\n").find((line) => /^npm error (?!code)/.test(line)) ?? said;
    super(`npm could not fetch ${wanted}: ${why.replace(/^npm error (notarget )?/, "").trim()}`);
  }
}

/** Files and folders that are copied unchanged. */
const COMPANIONS = ["CHANGELOG.md", "LICENSE", "README.md", "config.example.json"]
  .concat(["config.schema.json", "docs", "monitoring", "screenshots"]);

/**
 * Packs the bundle, Deno's executable and a launcher into a self-contained archive: `bellhook` runs
 * wherever it is unpacked. Returns the archive's path. Throws NoDenoError.
 */
export async function buildArchive(
  { bundle, target, folder, level = 9 }: {
    readonly bundle: Bundle;
    readonly target: Target;
    readonly folder: string;
    /** gzip's level, from 1 (fast) to 9 (small). */
    readonly level?: number;
  },
): Promise<string> {
  const name = `bellhook-${VERSION}-${target.name}`;
  const staging = await Deno.makeTempDir({ prefix: "bellhook-archive-" });
  try {
    const lib = join(staging, name, "lib");
    await Deno.mkdir(lib, { recursive: true });
    await Deno.copyFile(bundle.path, join(lib, "bellhook.js"));
    await putDeno(target, { lib, staging });
    await putLauncher(target, join(staging, name));
    for (const companion of COMPANIONS) {
      await copy(join(ROOT, companion), join(staging, name, companion));
    }
    await Deno.writeTextFile(join(staging, name, "bellhook.1"), await manPage());
    const notices = noticesText(bundle.licenses);
    await Deno.writeTextFile(join(staging, name, "THIRD_PARTY_NOTICES"), notices);
    const tar = join(folder, `${name}.tar`);
    await output("tar", ["-C", staging, "-cf", tar, name]);
    await output("gzip", ["-f", "-n", `-${level}`, tar]);
    return `${tar}.gz`;
  } finally {
    await Deno.remove(staging, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

/** Unpacks an archive into an empty folder, which is removed on disposal. */
export async function unpack(archive: string): Promise<Unpacked> {
  const folder = await Deno.makeTempDir({ prefix: "bellhook-unpacked-" });
  await output("tar", ["-C", folder, "-xzf", archive]);
  const [top] = [...Deno.readDirSync(folder)].map(({ name }) => name);
  const program = join(folder, top!, Deno.build.os === "windows" ? "bellhook.cmd" : "bellhook");
  return { program, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** A folder with an unpacked archive. */
export interface Unpacked extends AsyncDisposable {
  /** The launcher. */
  readonly program: string;
}

/** This platform's Deno, or for another platform the one in Deno's npm package. */
async function putDeno(
  target: Target,
  { lib, staging }: { lib: string; staging: string },
): Promise<void> {
  const name = isWindows(target) ? "deno.exe" : "deno";
  const path = join(lib, name);
  if (target === HERE) {
    await Deno.copyFile(Deno.execPath(), path);
  } else {
    const packed = join(staging, "npm");
    await Deno.mkdir(packed);
    const wanted = `${target.denoPackage}@${Deno.version.deno}`;
    const got = await finished("npm", [
      "pack",
      "--loglevel=error",
      "--pack-destination",
      packed,
      wanted,
    ]);
    if (got.code !== 0) throw new NoDenoError(wanted, got.stderr);
    await output("tar", ["-C", packed, "-xzf", join(packed, got.stdout.trim())]);
    await Deno.rename(join(packed, "package", name), path);
  }
  await Deno.chmod(path, 0o755);
}

async function putLauncher(target: Target, folder: string): Promise<void> {
  const [name, text] = isWindows(target) ? ["bellhook.cmd", CMD] : ["bellhook", SH];
  await Deno.writeTextFile(join(folder, name), text, { mode: 0o755 });
}

const RUN = `run -q --no-config --no-lock --no-remote --no-npm ${DENO_FLAGS.join(" ")}`;

const SH = `#!/bin/sh
# Bellhook: the Deno beside it runs the script beside it, each right by its name.
set -eu
self=$0
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=$(dirname "$self")/$link ;;
  esac
done
lib=$(cd "$(dirname "$self")" && pwd -P)/lib
# Compiled code is kept for a quicker start; where it can't be, it is not.
if [ -n "\${HOME:-}" ]; then
  export DENO_DIR="\${XDG_CACHE_HOME:-$HOME/.cache}/bellhook"
else
  export DENO_DIR=/dev/null/none
fi
export DENO_NO_UPDATE_CHECK=1
# exec: signals reach it, and its exit code is the one that comes back.
exec "$lib/deno" ${RUN} "$lib/bellhook.js" "$@"
`;

const CMD = `@echo off\r
setlocal\r
set "DENO_DIR=%LOCALAPPDATA%\\bellhook"\r
set "DENO_NO_UPDATE_CHECK=1"\r
"%~dp0lib\\deno.exe" ${RUN} "%~dp0lib\\bellhook.js" %*\r
exit /b %errorlevel%\r
`;
