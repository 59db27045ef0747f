import { dirname, join } from "node:path";
import type { Command } from "commander";
import { shellWord } from "../domain/curl.ts";
import { configPath } from "./config_file.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** `bellhook init`: a config file to start from. */
export function addInit(program: Command, shell: Shell): void {
  program.command("init")
    .description("write a config file to start from; never over another")
    .argument("[directory]", "where to write config.json; -c names the file itself")
    .addHelpText("after", EXAMPLES)
    .action(shell.does(async (options, directory) => {
      const path = directory === undefined
        ? configPath(options, shell.terminal.environment)
        : join(directory, "config.json");
      await writeNew(path);
      shell.print(options.json ? JSON.stringify({ file: path }) : path);
      const here = path === join(Deno.cwd(), "config.json") ? "" : ` -c ${shellWord(path)}`;
      shell.say("next:");
      shell.say("  export GUESTS_SECRET=$(bellhook secret)   the receiver gets the same");
      shell.say(`  bellhook check${here}`);
      shell.say(`  bellhook serve${here}`);
      return EXIT.done;
    }));
}

async function writeNew(path: string): Promise<void> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, STARTER, { createNew: true });
  } catch (error) {
    throw new CommandError(
      EXIT.failed,
      error instanceof Deno.errors.AlreadyExists
        ? `can't write "${path}": there is such a file already, and it is left as it is`
        : `can't write "${path}": ${(error as Error).message}`,
    );
  }
}

const STARTER = `{
  // Comments are allowed. "bellhook check" says all that is wrong, "bellhook schema" prints every
  // key there is.

  "server": {
    // Anything but loopback or a socket ("unix:/run/bellhook.sock") needs "auth".
    "listen": "127.0.0.1:8420"
  },

  // Who may post events, and who may look and steer. Secrets never stand in this file.
  // "auth": {
  //   "publishers": [{ "name": "app", "token": { "env": "APP_TOKEN" } }],
  //   "operators": [{ "name": "ops", "token": { "env": "OPS_TOKEN" } }]
  // },

  "storage": {
    // Relative to this file.
    "url": "sqlite:bellhook.db"
  },

  // One entry for everyone who wants events.
  "subscriptions": [
    {
      // History hangs on it: keep it.
      "id": "guests",
      "url": "https://guests.example.com/webhooks",
      // "*" stands for any run of characters.
      "events": ["booking.*"],
      // The wire format: standard, bookingsync, booking-experts, bookingshake, bookingscheduler,
      // roostsync, or one of your own under "profiles".
      "profile": "standard",
      // The environment variable that holds it; "bellhook secret" makes one.
      "secret": { "env": "GUESTS_SECRET" }
    }
  ]
}
`;

const EXAMPLES = `
Examples:
  $ bellhook init
  $ bellhook init /etc/bellhook
`;
