import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { License } from "../src/cli/license.ts";
import { VERSION } from "../src/version.ts";
import { finished, output } from "./run_command.ts";
import { bundledLicenses } from "./third_party.ts";

/** The checkout that is built. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** One script with all of Bellhook in it. */
export interface Bundle {
  readonly path: string;
  /** What `bellhook --version` has to print. */
  readonly version: string;
  /** Of everything that is in it, and in what runs it. */
  readonly licenses: readonly License[];
}

/** Bundles the checkout into `folder`; the commit it is at goes in with it. */
export async function bundle(folder: string): Promise<Bundle> {
  const commit = await commitOf(ROOT);
  const licenses = await bundledLicenses();
  // An entry of its own: main.ts knows of no commit, nor of licenses.
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

/** Makes one script of a module and all that it imports. */
export async function bundleScript(entry: string, path: string): Promise<void> {
  const config = join(ROOT, "deno.json");
  await output(Deno.execPath(), ["bundle", "-q", "--config", config, "-o", path, entry]);
}

/** Short, and marked where what is built differs from it; undefined without git. */
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
