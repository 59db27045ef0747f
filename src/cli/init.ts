import { join } from "node:path";
import type { Command } from "commander";
import { shellWord } from "../domain/curl.ts";
import type { Environment } from "../runtime/environment.ts";
import { configPath } from "./config_file.ts";
import { EXIT } from "./exit_code.ts";
import { LOCAL_SUBSCRIPTION, writeLocal } from "./init_local.ts";
import { writeNew } from "./new_file.ts";
import type { Shell } from "./shell.ts";

/** `bellhook init`: a config file to start from. */
export function addInit(program: Command, shell: Shell): void {
  program.command("init")
    .description("write a config file to start from; never over another")
    .argument("[directory]", "where to write config.json; -c names the file itself")
    .option("--local", "with a receiver on this machine, to try everything out, and its secret")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<{ readonly local?: true }>(async (options, directory) => {
      const path = directory === undefined
        ? configPath(options, shell.terminal.environment)
        : join(directory, "config.json");
      if (options.local) await writeLocal(path);
      else await writeNew(path, STARTER);
      shell.print(options.json ? JSON.stringify({ file: path }) : path);
      const here = path === join(Deno.cwd(), "config.json") ? "" : ` -c ${shellWord(path)}`;
      const bellhook = calledAs(shell.terminal.environment);
      if (options.local) {
        shell.say("next, each in a terminal of its own:");
        shell.say(`  ${bellhook} listen --subscription ${LOCAL_SUBSCRIPTION}${here}`);
        shell.say(`  ${bellhook} serve${here}`);
        shell.say(`  ${bellhook} send booking.created --wait 30s${here}`);
        return EXIT.done;
      }
      shell.say("next:");
      shell.say(`  export GUESTS_SECRET=$(${bellhook} secret)   the receiver gets the same`);
      shell.say(`  ${bellhook} check${here}`);
      shell.say(`  ${bellhook} serve${here}`);
      return EXIT.done;
    }));
}

/** How to type the next command: the checkout's launcher says how it was called itself. */
function calledAs(environment: Environment): string {
  return shellWord(environment.get("BELLHOOK_CALLED_AS") ?? "bellhook");
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
      // History is stored under this id, so do not rename it.
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
  $ bellhook init --local
`;
