import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { License } from "../src/cli/license.ts";
import { VERSION } from "../src/version.ts";
import { finished, output } from "./run_command.ts";
import { bundledLicenses } from "./third_party.ts";

/** The checkout to build. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** All of Bellhook in one script. */
export interface Bundle {
  readonly path: string;
  /** The expected output of `bellhook --version`. */
  readonly version: string;
  /** The licenses of everything in the script and in its runtime. */
  readonly licenses: readonly License[];
}

/** Bundles the checkout, with its commit, into `folder`. */
export async function bundle(folder: string): Promise<Bundle> {
  const commit = await commitOf(ROOT);
  const licenses = await bundledLicenses();
  // A separate entry, because main.ts has neither commit nor licenses.
  const entry = join(folder, "entry.ts");
  const cli = new URL("../src/cli/cli.ts", import.meta.url).href;
  await Deno.writeTextFile(
    entry,
    `import { run } from ${JSON.stringify(cli)};\n` +
      `Deno.exitCode = await run(Deno.args, ${JSON.stringify({ commit, licenses })});\n`,
  );
  const path = join(folder, "bellhook.js");
  await bundleScript(entry, path);
  await Deno.remove(entry);
  return { path, version: `bellhook ${VERSION}${commit ? ` (${commit})` : ""}`, licenses };
}

/** Bundles a module and its imports into one script. */
export async function bundleScript(entry: string, path: string): Promise<void> {
  const config = join(ROOT, "deno.json");
  await output(Deno.execPath(), ["bundle", "-q", "--config", config, "-o", path, entry]);
}

/** The short commit hash, marked if there are uncommitted changes; undefined without git. */
async function commitOf(root: string): Promise<string | undefined> {
  const describe = ["describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"];
  try {
    const { code, stdout } = await finished("git", ["-C", root, ...describe]);
    return code === 0 ? stdout.trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
