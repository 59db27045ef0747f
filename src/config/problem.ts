import { dirname, isAbsolute, relative, sep } from "node:path";
import { looksSecret, quoted } from "../domain/quoted.ts";
import type { Problem } from "./config.ts";

/**
 * A problem for people: file, line, column and path, then the message, then the fix. A file below
 * the working directory is shown by its relative path.
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
  // A service manager starts daemons in the root. A path relative to that would be confusing.
  if (workingDirectory === dirname(workingDirectory)) return file;
  const below = relative(workingDirectory, file);
  const outside = below === "" || below === ".." || below.startsWith(`..${sep}`);
  return outside || isAbsolute(below) ? file : below;
}

/** The keys and indices that lead from a file's root to a value. */
export type Path = readonly (string | number)[];

/** A path as text: `subscriptions[0].events[0]`, `eventTypes["booking.created"]`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    if (!/^[A-Za-z_$][\w$]*$/.test(step) || looksSecret(step)) return `${text}[${quoted(step)}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}

/** Splits a sentence at its semicolon into message and fix, as in those from `profiles/`. */
export function splitFix(sentence: string): { message: string; fix?: string } {
  const at = sentence.lastIndexOf("; ");
  const fix = sentence.slice(at + 2);
  return at >= 0 && ADVICE.test(fix)
    ? { message: sentence.slice(0, at), fix }
    : { message: sentence };
}

/** How a fix begins. Otherwise, the text after the semicolon belongs to the message. */
const ADVICE = /^(add|choose|give|keep|make|name|say|set|take|there are|use|write)\b/;

/** The problems and warnings so far. */
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

/** Sorts problems by file, the config file first, then by position. Removes duplicates. */
export function inOrder(problems: readonly Problem[], configFile: string): Problem[] {
  const others = new Set(problems.map((problem) => problem.file).sort());
  const rank = new Map([...new Set([configFile, ...others])].map((file, index) => [file, index]));
  const once = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...once.values()].sort((a, b) =>
    rank.get(a.file)! - rank.get(b.file)! || (a.line ?? 0) - (b.line ?? 0) ||
    (a.column ?? 0) - (b.column ?? 0)
  );
}
