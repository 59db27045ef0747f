/** Whether this machine has a program, which has to know `--version`. */
export async function canRun(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}
