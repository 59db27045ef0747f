/** What a program said and how it ended. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function finished(program: string, args: readonly string[]): Promise<Finished> {
  // With DENORT_BIN, `deno compile` takes any file for its runtime, and writes what does not work.
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

/** Runs a program that has to succeed, and answers with what it said. */
export async function output(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await finished(program, args);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${stderr.trim() || stdout}`);
}
