/** Generates the manual page, dist/bellhook.1, from the commands' help: `deno task man`. */
import { join } from "node:path";
import { bellhook, run } from "../src/cli/cli.ts";
import { type CommandWords, type OptionWords, wordsOf } from "../src/cli/command_words.ts";
import { Shell } from "../src/cli/shell.ts";
import { systemTerminal } from "../src/cli/terminal.ts";
import { VERSION } from "../src/version.ts";
import { ROOT } from "./bundle.ts";

/** The page as man(7) source. */
export async function manPage(): Promise<string> {
  const program = await bellhook(new Shell(systemTerminal()));
  const { options, commands } = wordsOf(program);
  const sections = await Promise.all(commands.map(commandSection));
  return [
    `.TH BELLHOOK 1 "" "bellhook ${VERSION}" "User Commands"`,
    ".SH NAME",
    `bellhook \\- ${text("webhooks out, durably")}`,
    ".SH SYNOPSIS",
    ".B bellhook",
    `[\\fB\\-c\\fR \\fIFILE\\fR] [\\fB\\-\\-url\\fR \\fIURL\\fR] [\\fB\\-\\-json\\fR] \\fICOMMAND\\fR`,
    ".SH DESCRIPTION",
    text(`${program.description()}.`),
    ".PP",
    text(
      "Data goes to standard output, talk to standard error. On a terminal lists are tables; in a " +
        "pipe their cells are divided by tabs; --json prints one object a line.",
    ),
    ".SH OPTIONS",
    text("Every command takes these, before or after its name."),
    ...options.flatMap(optionLines),
    ".SH COMMANDS",
    ...sections.flat(),
    ".SH ENVIRONMENT",
    ...tagged("BELLHOOK_CONFIG", "the config file, where -c names none"),
    ...tagged("BELLHOOK_URL", "the daemon, where --url names none"),
    ...tagged("BELLHOOK_TOKEN", "the bearer token that commands show the daemon"),
    ...tagged("NO_COLOR", "no colours, whatever stdout is"),
    ".SH EXIT STATUS",
    ...EXIT_STATUS.flatMap(([code, meaning]) => tagged(code, meaning)),
    ".SH FILES",
    ...tagged("config.json", "what -c and BELLHOOK_CONFIG name another of"),
    ...tagged("bellhook.db", "the database, beside the config file or where storage.url has it"),
    ...tagged("bellhook.db-lock", "who runs on it"),
    "",
  ].join("\n");
}

const EXIT_STATUS = [
  ["0", "done"],
  ["1", "failed"],
  ["2", "not valid: usage or config"],
  ["3", "not found"],
  ["4", "daemon not reachable"],
  ["5", "not allowed"],
] as const;

async function commandSection(command: CommandWords): Promise<string[]> {
  const { name, usage, description, options } = command;
  const examples = await examplesOf(name);
  return [
    `.SS ${bold(`bellhook ${name}`)}${usage === "" ? "" : ` ${text(usage)}`}`,
    text(`${description}.`),
    ...options.filter(({ names }) => !names.includes("--help")).flatMap(optionLines),
    ...(examples === "" ? [] : [".PP", ".nf", ...examples.split("\n").map(text), ".fi"]),
  ];
}

/** The part of a command's help after its options. */
async function examplesOf(name: string): Promise<string> {
  let help = "";
  await run([name, "--help"], { stdout: (text) => help += text });
  const from = help.indexOf("Examples:\n");
  return from < 0 ? "" : help.slice(from + "Examples:\n".length).trimEnd();
}

function optionLines({ flags, description }: OptionWords): string[] {
  return tagged(flags, description);
}

function tagged(tag: string, words: string): string[] {
  return [".TP", bold(tag), text(words)];
}

function bold(words: string): string {
  return `\\fB${escaped(words)}\\fR`;
}

/** A line of text. Escapes a leading character that would make it a roff request. */
function text(words: string): string {
  return escaped(words).replace(/^[.']/, "\\&$&");
}

function escaped(words: string): string {
  return words.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("'", "\\(aq")
    .replace(/\P{ASCII}/gu, (char) => {
      const point = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      return `\\[u${point}]`;
    });
}

if (import.meta.main) {
  const path = join(ROOT, "dist", "bellhook.1");
  await Deno.mkdir(join(ROOT, "dist"), { recursive: true });
  await Deno.writeTextFile(path, await manPage());
  console.log(path);
}
