import { assertEquals } from "@std/assert";
import type { Block } from "./pages.ts";
import { shapeOf } from "./shape.ts";

/** Where and how a page's commands are run. */
export interface Stage {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** The lines that are run in place of the page's own. */
  readonly translate: (lines: string) => string;
}

/**
 * Runs commands of a page in one shell, on a terminal of 80 columns, one block after the other. Each
 * command has to succeed. Answers with all that was said.
 */
export async function runPage(
  path: string,
  { folder, env, translate }: Stage,
  blocks: readonly Block[],
): Promise<string> {
  const script = ["set -e", "stty cols 80 rows 24", "trap 'exit 1' HUP TERM", KILL_CHILDREN];
  blocks.forEach(({ language, text }, index) => {
    if (language === "sh") script.push(`echo '${MARK} ${index}'`, translate(text));
  });
  script.push(`echo '${MARK} end'`);
  const file = await Deno.makeTempFile({ dir: folder, suffix: ".sh" });
  await Deno.writeTextFile(file, script.join("\n"));
  const { code, stdout } = await new Deno.Command("timeout", {
    args: ["300", "script", "-qec", `bash ${file}`, "/dev/null"],
    cwd: folder,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", TERM: "dumb", LC_ALL: "C.UTF-8" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const said = new TextDecoder().decode(stdout).replaceAll("\r", "");
  assertEquals(
    code,
    0,
    `${path}: a command failed; the last that was said:\n${said.slice(-2_000)}`,
  );
  return said;
}

const MARK = "@@@";
const KILL_CHILDREN = `trap 'kill $(jobs -p) 2>/dev/null || :' EXIT`;

/** Holds what was said against the `text` blocks that follow commands. */
export function assertOutputs(path: string, blocks: readonly Block[], said: string): void {
  const outputs = new Map(
    said.split(`${MARK} `).map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1)];
    }),
  );
  blocks.forEach(({ language, text }, index) => {
    if (language !== "text" || blocks[index - 1]?.language !== "sh") return;
    const shown = shapeOf(text);
    const found = shapeOf(outputs.get(`${index - 1}`)!);
    assertEquals(found, shown, `${path}: what is said is not what is shown`);
  });
}
