import { Argument, type Command, Option } from "commander";
import type { Subscription } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { wordsOf } from "./command_words.ts";
import { bashScript, type CompletionScript, fishScript, zshScript } from "./completion_scripts.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

const SCRIPTS: Readonly<Record<string, CompletionScript>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** `bellhook completion`: the script that lets a shell complete what is typed. */
export function addCompletion(program: Command, shell: Shell): void {
  program.command("completion")
    .description("print a shell's completion script")
    .addArgument(new Argument("[shell]", "for which shell").choices(Object.keys(SCRIPTS)))
    // Asked by the scripts themselves.
    .addOption(new Option("--subscriptions", "print the daemon's subscription ids").hideHelp())
    .addHelpText("after", EXAMPLES)
    .action(shell.does<{ subscriptions?: boolean }>(async (options, name) => {
      if (options.subscriptions) {
        using client = await ApiClient.for(options, shell.terminal);
        for await (const page of client.pages<Subscription>("/v1/subscriptions")) {
          for (const { id } of page) shell.print(options.json ? JSON.stringify({ id }) : id);
        }
        return EXIT.done;
      }
      const script = name === undefined ? undefined : SCRIPTS[name];
      if (!script) {
        throw new CommandError(
          EXIT.notValid,
          `for which shell? One of ${Object.keys(SCRIPTS).join(", ")}`,
        );
      }
      const text = script(wordsOf(program));
      if (options.json) shell.print(JSON.stringify({ shell: name, script: text }));
      else shell.terminal.stdout(text);
      return EXIT.done;
    }));
}

const EXAMPLES = `
Examples:
  $ source <(bellhook completion bash)                 in ~/.bashrc
  $ bellhook completion zsh > "\${fpath[1]}/_bellhook"
  $ bellhook completion fish > ~/.config/fish/completions/bellhook.fish
`;
