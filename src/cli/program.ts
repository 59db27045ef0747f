import { fileURLToPath } from "node:url";

/**
 * How Deno is to run Bellhook: each right by its name. Receivers, the database and the files that a
 * config names are known only once it is read, so that none of them can be narrowed down here.
 * That V8's collector can be called gives 8 MB back after the start, much more with a large config;
 * that it optimizes what has run a thousand times, not three, gives the first seconds a seventh more;
 * and half the space for what is young is a quarter less memory under load.
 */
export const DENO_FLAGS: readonly string[] = [
  "--no-prompt",
  "--allow-net", // to receivers, and to listen
  "--allow-read", // config, secrets, database
  "--allow-write", // database, Unix sockets
  "--allow-env", // secrets, BELLHOOK_…
  "--allow-sys", // doctor, and what libraries ask of the machine
  "--allow-run", // notices by command, doctor
  "--unstable-net", // Unix datagrams, for systemd
  "--unstable-no-legacy-abort", // a request's signal: its sender has gone
  "--v8-flags=--expose-gc,--invocation-count-for-turbofan=1000,--max-semi-space-size=8",
];

/** The words that start this very Bellhook again: a binary, a launcher, or Deno with a script. */
export async function ownProgram(): Promise<readonly string[]> {
  if (Deno.build.standalone) return [Deno.execPath()];
  // An archive has the launcher above the bundle that this file is then a part of.
  const launcher = fileURLToPath(new URL("../bellhook", import.meta.url));
  if (await isFile(launcher)) return [launcher];
  const isBundle = import.meta.url.endsWith(".js");
  const script = isBundle ? import.meta.url : new URL("../../main.ts", import.meta.url);
  return [Deno.execPath(), "run", "-q", ...DENO_FLAGS, fileURLToPath(script)];
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
