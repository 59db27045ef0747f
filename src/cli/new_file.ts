import { dirname } from "node:path";
import { CommandError, EXIT } from "./exit_code.ts";

/** Writes a file, with its folder, unless there is one of that name. */
export async function writeNew(path: string, text: string, mode?: number): Promise<void> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text, { createNew: true, ...(mode !== undefined && { mode }) });
  } catch (error) {
    throw new CommandError(
      EXIT.failed,
      error instanceof Deno.errors.AlreadyExists
        ? `can't write "${path}": there is such a file already, and it is left as it is`
        : `can't write "${path}": ${(error as Error).message}`,
    );
  }
}
