/** A program's output and exit code. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program until it ends. */
export async function finished(program: string, args: readonly string[]): Promise<Finished> {
  // Without DENORT_BIN: with it, `deno compile` uses any file as its runtime, even a wrong one.
  const { DENORT_BIN: _, ...env } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Runs a program and returns its output. Throws if it fails. */
export async function output(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await finished(program, args);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${stderr.trim() || stdout}`);
}
