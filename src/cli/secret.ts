import type { Command } from "commander";
import { newSecret } from "../profiles/new_secret.ts";
import { systemRandom } from "../runtime/random.ts";
import { profileNamed } from "./config_file.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook secret`: a new signing secret. */
export function addSecret(program: Command, shell: Shell): void {
  program.command("secret")
    .description("print a new signing secret in a profile's form")
    .option("--profile <name>", "the profile it is for", "standard")
    .option("--ed25519", "a key pair, of which the receiver gets the public half")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<{ profile: string; ed25519?: boolean }>(async (options) => {
      const profile = await profileNamed(options.profile, options, shell.terminal.environment);
      const made = fresh(() =>
        newSecret(profile, systemRandom(), { ed25519: options.ed25519 ?? false })
      );
      if (options.json) {
        shell.print(JSON.stringify(made));
        return EXIT.done;
      }
      // The secret stands alone on stdout, for `export NAME=$(bellhook secret)`.
      shell.print(made.secret);
      if (made.publicKey !== undefined) shell.say(`for the receiver: ${made.publicKey}`);
      return EXIT.done;
    }));
}

function fresh<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new CommandError(EXIT.notValid, (error as Error).message);
  }
}

const EXAMPLES = `
Examples:
  $ export GUESTS_SECRET=$(bellhook secret)
  $ bellhook secret --profile bookingsync
  $ bellhook secret --ed25519 --json
`;
