import { join } from "node:path";
import { buildArchive } from "../../packaging/archive.ts";
import { bundle } from "../../packaging/bundle.ts";
import { output } from "../../packaging/run_command.ts";
import { HERE } from "../../packaging/target.ts";
import { aDirectory } from "../cli/captured.ts";

/** What people get, built and unpacked. */
export interface Installation extends AsyncDisposable {
  /** Where `dist/` with the archive is. */
  readonly folder: string;
  /** Where `bellhook` is. */
  readonly program: string;
}

/** Builds the archive of this checkout and unpacks it, as the README says. */
export async function anInstallation(): Promise<Installation> {
  const directory = await aDirectory();
  const folder = directory.path;
  const dist = join(folder, "dist");
  const program = join(folder, "unpacked");
  await Deno.mkdir(dist);
  await Deno.mkdir(program);
  const bundled = await bundle(folder);
  const archive = await buildArchive({ bundle: bundled, target: HERE!, folder: dist, level: 1 });
  await output("tar", ["-xzf", archive, "-C", program, "--strip-components=1"]);
  return { folder, program, [Symbol.asyncDispose]: directory[Symbol.asyncDispose] };
}

/** What a page's commands are run with; undefined where this machine has all of it. */
export function missingTools(): string | undefined {
  if (HERE === undefined) return "no archive is built for this platform";
  // `script` gives commands a terminal, so that they say what the pages show.
  const missing = ["bash", "curl", "script"].filter((program) => !isThere(program));
  return missing.length === 0 ? undefined : `there is no ${missing.join(", no ")}`;
}

function isThere(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(join(folder, program)).isFile;
    } catch {
      return false;
    }
  });
}
