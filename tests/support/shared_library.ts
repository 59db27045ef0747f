import { assert } from "@std/assert";

/** Whether libraries for LD_PRELOAD can be built; if not, their tests are skipped. */
export const canBuildLibraries: boolean = await hasCompiler();

/** The end of such a test's name if it is skipped. */
export const WITHOUT_COMPILER: string = canBuildLibraries
  ? ""
  : " (left out: there is no gcc to build what fails)";

/** Builds a C file into a library for `LD_PRELOAD`. */
export async function buildLibrary(source: URL, library: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("gcc", {
    args: ["-shared", "-fPIC", "-O1", "-o", library, source.pathname, "-ldl", "-lpthread"],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

async function hasCompiler(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  try {
    const command = new Deno.Command("gcc", {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    });
    return (await command.output()).success;
  } catch {
    return false;
  }
}
