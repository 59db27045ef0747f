import { join } from "node:path";
import { DENO_FLAGS } from "../src/cli/program.ts";
import { VERSION } from "../src/version.ts";
import { type Bundle, ROOT } from "./bundle.ts";
import { finished } from "./run_command.ts";
import { HERE, isWindows, type Target } from "./target.ts";

/** The result of compiling for one platform. */
export type Compiled =
  | { readonly kind: "written"; readonly path: string; readonly wasRun: boolean }
  | { readonly kind: "noRuntime"; readonly reason: string };

/**
 * Compiles the bundle into one executable with its permissions. Deno downloads a runtime for that,
 * which may not be possible here. Throws if the result doesn't run as Bellhook.
 */
export async function compileBinary(
  { bundle, target, folder }: { bundle: Bundle; target: Target; folder: string },
): Promise<Compiled> {
  const name = `bellhook-${VERSION}-${target.name}${isWindows(target) ? ".exe" : ""}`;
  const path = join(folder, name);
  const options = ["--no-check", "--config", join(ROOT, "deno.json"), "--target", target.triple];
  const { code, stderr } = await finished(
    Deno.execPath(),
    ["compile", "-q", ...options, ...DENO_FLAGS, "-o", path, bundle.path],
  );
  if (code !== 0) return { kind: "noRuntime", reason: reasonIn(stderr) };
  if (target !== HERE) return { kind: "written", path, wasRun: false };
  await assertIsBellhook(path, bundle.version);
  return { kind: "written", path, wasRun: true };
}

/** Runs the result: `deno compile` can succeed and still write a plain Deno without Bellhook. */
export async function assertIsBellhook(path: string, version: string): Promise<void> {
  const { code, stdout, stderr } = await finished(path, ["--version"]);
  if (code === 0 && stdout === `${version}\n`) return;
  await Deno.remove(path);
  const said = (stdout + stderr).trim().split("\n")[0] ?? "";
  throw new Error(
    `"${path}" was to say "${version}", and said "${said}" (exit code ${code}); it is removed`,
  );
}

function reasonIn(stderr: string): string {
  const reason = stderr.split("\n").find((line) => /error sending request|https?:/.test(line));
  return (reason ?? stderr.trim().split("\n")[0] ?? "").replace(/^\s*(\d+:|error:)?\s*/, "");
}
