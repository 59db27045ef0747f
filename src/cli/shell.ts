import type { Command } from "commander";
import { EXIT, type ExitCode } from "./exit_code.ts";
import type { License } from "./license.ts";
import type { Terminal } from "./terminal.ts";

/** The options that every command has, wherever they stand. */
export interface GlobalOptions {
  readonly config?: string;
  readonly url?: string;
  readonly json?: boolean;
}

/** What the commands of one run share: the terminal, and the exit code that comes of it. */
export class Shell {
  exitCode: ExitCode = EXIT.done;

  constructor(
    readonly terminal: Terminal,
    /** Of everything that is built in; none in a checkout. */
    readonly licenses: readonly License[] = [],
  ) {}

  /** A commander action that hands over all options and the arguments, and keeps the exit code. */
  does<Options, Args extends readonly unknown[] = (string | undefined)[]>(
    body: (options: Options & GlobalOptions, ...args: Args) => Promise<ExitCode>,
  ): (...given: unknown[]) => Promise<void> {
    return async (...given) => {
      const command = given.at(-1) as Command;
      const args = given.slice(0, -2) as unknown as Args;
      this.exitCode = await body(command.optsWithGlobals<Options & GlobalOptions>(), ...args);
    };
  }

  /** One line of data. */
  print(line: string): void {
    this.terminal.stdout(`${line}\n`);
  }

  /** One line of talk. */
  say(line: string): void {
    this.terminal.stderr(`${line}\n`);
  }
}
