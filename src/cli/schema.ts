import type { Command } from "commander";
import { configJsonSchema } from "../config/schema.ts";
import { EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook schema`: the config file's JSON Schema. */
export function addSchema(program: Command, shell: Shell): void {
  program.command("schema")
    .description("print the JSON Schema of the config file")
    .addHelpText("after", EXAMPLES)
    .action(shell.does((options) => {
      shell.print(JSON.stringify(configJsonSchema(), null, options.json ? undefined : 2));
      return Promise.resolve(EXIT.done);
    }));
}

const EXAMPLES = `
Examples:
  $ bellhook schema > config.schema.json
`;
