import type { Argument, Command, Option } from "commander";
import { BUILT_IN } from "../profiles/table.ts";

/** What may stand where a word is missing. */
export type Fill =
  | { readonly kind: "nothing" }
  | { readonly kind: "file" }
  | { readonly kind: "subscription" }
  | { readonly kind: "choice"; readonly choices: readonly string[] };

/** An option, as completion and the man page see it. */
export interface OptionWords {
  /** As in help: `-c, --config <file>`. */
  readonly flags: string;
  /** The spellings by themselves: `-c`, `--config`. */
  readonly names: readonly string[];
  readonly description: string;
  /** What its value may be; undefined for one without a value. */
  readonly value: Fill | undefined;
}

/** A command, as completion and the man page see it. */
export interface CommandWords {
  readonly name: string;
  /** Its arguments as in help: `[subscription]`. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  readonly argument: Fill;
}

/** The options of all commands, and the commands in the order of help. */
export interface ProgramWords {
  readonly options: readonly OptionWords[];
  readonly commands: readonly CommandWords[];
}

/** Reads the words of a command line off its commander program: they are written down nowhere else. */
export function wordsOf(program: Command): ProgramWords {
  const help = program.createHelp();
  const shown = help.visibleCommands(program).filter((command) => command.name() !== "help");
  return {
    options: help.visibleOptions(program).map(optionWords),
    commands: shown.map((command) => ({
      name: command.name(),
      usage: command.registeredArguments.map(argumentUsage).join(" "),
      description: command.description(),
      options: help.visibleOptions(command).map(optionWords),
      argument: fillOf(command.registeredArguments[0]),
    })),
  };
}

function optionWords(option: Option): OptionWords {
  const takesValue = option.required || option.optional;
  return {
    flags: option.flags,
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: option.description,
    value: takesValue ? optionFill(option) : undefined,
  };
}

function optionFill(option: Option): Fill {
  if (option.argChoices) return { kind: "choice", choices: option.argChoices };
  if (option.long === "--profile") return { kind: "choice", choices: [...BUILT_IN.keys()] };
  if (option.long === "--subscription") return { kind: "subscription" };
  return option.flags.endsWith("<file>") ? { kind: "file" } : { kind: "nothing" };
}

function argumentUsage(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function fillOf(argument: Argument | undefined): Fill {
  if (!argument) return { kind: "nothing" };
  if (argument.argChoices) return { kind: "choice", choices: argument.argChoices };
  switch (argument.name()) {
    case "subscription":
      return { kind: "subscription" };
    case "file":
    case "directory":
      return { kind: "file" };
    default:
      return { kind: "nothing" };
  }
}
