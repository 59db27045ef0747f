import { dirname, isAbsolute, relative, sep } from "node:path";
import { looksSecret, quoted } from "../domain/quoted.ts";
import type { Problem } from "./config.ts";

/**
 * A problem as people read it: file (from the working directory where it lies below it, and that is
 * not the root), line, column and path, then the message, then the fix.
 */
export function formatProblem(problem: Problem): string {
  const place = [problem.line, problem.column].filter((one) => one !== undefined)
    .map((one) => `:${one}`).join("");
  const head = `${shownFile(problem.file, Deno.cwd())}${place}`;
  const lines = [problem.path === "" ? head : `${head}  ${problem.path}`, `  ${problem.message}`];
  if (problem.fix !== undefined) lines.push(`  fix: ${problem.fix}`);
  return lines.join("\n");
}

function shownFile(file: string, workingDirectory: string): string {
  // All is below the root, where a service manager starts a daemon: nobody reads a path from there.
  if (workingDirectory === dirname(workingDirectory)) return file;
  const below = relative(workingDirectory, file);
  const outside = below === "" || below === ".." || below.startsWith(`..${sep}`);
  return outside || isAbsolute(below) ? file : below;
}

/** Keys and indices from a file's root to a value. */
export type Path = readonly (string | number)[];

/** A path as people write it: `subscriptions[0].events[0]`, `eventTypes["booking.created"]`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    if (!/^[A-Za-z_$][\w$]*$/.test(step) || looksSecret(step)) return `${text}[${quoted(step)}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}

/** Message and fix of a sentence that tells both, as profiles do: a semicolon stands between. */
export function splitFix(sentence: string): { message: string; fix?: string } {
  const at = sentence.lastIndexOf("; ");
  const fix = sentence.slice(at + 2);
  return at >= 0 && ADVICE.test(fix)
    ? { message: sentence.slice(0, at), fix }
    : { message: sentence };
}

/** How advice begins: what follows a semicolon may also be a second half of the finding. */
const ADVICE = /^(add|choose|give|keep|make|name|say|set|take|there are|use|write)\b/;

/** What was found wrong, or doubtful, so far. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];

  add(...problems: readonly Problem[]): void {
    this.problems.push(...problems);
  }

  warn(...warnings: readonly Problem[]): void {
    this.warnings.push(...warnings);
  }
}

/** Problems by file, the config file first, then by place; each once. */
export function inOrder(problems: readonly Problem[], configFile: string): Problem[] {
  const others = new Set(problems.map((problem) => problem.file).sort());
  const rank = new Map([...new Set([configFile, ...others])].map((file, index) => [file, index]));
  const once = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...once.values()].sort((a, b) =>
    rank.get(a.file)! - rank.get(b.file)! || (a.line ?? 0) - (b.line ?? 0) ||
    (a.column ?? 0) - (b.column ?? 0)
  );
}
