/**
 * Runs the story tests on a build instead of the checkout. Stories with separate processes run the
 * archive's launcher; the others are bundled and run as one script.
 *
 *   deno task stories-on-bundle
 */
import { basename, join } from "node:path";
import { buildArchive, unpack } from "./archive.ts";
import { bundle, bundleScript, ROOT } from "./bundle.ts";
import { HERE } from "./target.ts";

const STORIES = [
  "tests/stories/bad_day_test.ts",
  "tests/stories/crash_test.ts",
  "tests/stories/delivery_test.ts",
  "tests/stories/ladder_test.ts",
  "tests/stories/notices_test.ts",
  "tests/stories/tracing_test.ts",
  "tests/cli/backup_test.ts",
];

/**
 * Runs these stories on a build. Returns their output, and whether all passed.
 */
export async function storiesOn(
  program: string,
  files: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly hold: boolean; readonly said: string }> {
  const folder = await Deno.makeTempDir({ prefix: "bellhook-stories-" });
  try {
    const scripts = await Promise.all(files.map(async (file) => {
      const path = join(ROOT, file);
      if ((await Deno.readTextFile(path)).includes("support/processes.ts")) return path;
      const script = join(folder, basename(file).replace(/ts$/, "js"));
      await bundleScript(path, script);
      return script;
    }));
    const config = join(ROOT, "deno.json");
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-q", "-A", "--no-check", "--config", config, ...scripts],
      cwd: ROOT,
      env: { ...env, BELLHOOK_BIN: program, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { hold: success, said: text(stdout) + text(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  if (!HERE) throw new Error(`nothing is built for ${Deno.build.target}`);
  const folder = await Deno.makeTempDir({ prefix: "bellhook-built-" });
  try {
    const bundled = await bundle(folder);
    const archive = await buildArchive({ bundle: bundled, target: HERE, folder, level: 1 });
    await using unpacked = await unpack(archive);
    const { hold, said } = await storiesOn(unpacked.program, STORIES);
    console.log(said.trim());
    Deno.exitCode = hold ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
