import { dirname, join } from "node:path";
import { newSecret } from "../profiles/new_secret.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { systemRandom } from "../runtime/random.ts";
import { writeNew } from "./new_file.ts";

/** The only subscription of the config that `init --local` writes. */
export const LOCAL_SUBSCRIPTION = "local";

/**
 * Writes a config whose receiver is `bellhook listen` on this machine, and the secret that both sides
 * read. What is there already beside the config is kept.
 */
export async function writeLocal(path: string): Promise<void> {
  const folder = dirname(path);
  await writeNew(path, CONFIG);
  await writeMissing(join(folder, SUBSCRIPTION_FILE), SUBSCRIPTION);
  const { secret } = newSecret(BUILT_IN.get("standard")!, systemRandom());
  await writeMissing(join(folder, SECRET_FILE), `${secret}\n`, 0o600);
}

async function writeMissing(path: string, text: string, mode?: number): Promise<void> {
  if (!await exists(path)) await writeNew(path, text, mode);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const SUBSCRIPTION_FILE = `customers/${LOCAL_SUBSCRIPTION}.json`;
const SECRET_FILE = `secrets/${LOCAL_SUBSCRIPTION}`;

const CONFIG = `{
  // To try Bellhook out on one machine.

  "server": { "listen": "127.0.0.1:8420" },
  "storage": { "url": "sqlite:bellhook.db" },

  // One file a customer; "bellhook reload" applies what was added or changed.
  "include": ["customers/*.json"]
}
`;

const SUBSCRIPTION = `{
  // History is stored under this id, so don't rename it.
  "id": "${LOCAL_SUBSCRIPTION}",

  // The receiver is "bellhook listen --subscription ${LOCAL_SUBSCRIPTION}".
  "url": "http://127.0.0.1:8421/webhooks",

  // "*" stands for any run of characters.
  "events": ["*"],

  // A receiver that isn't there yet is tried again soon. Leave this out for a customer: the default
  // is 1m, 5m, 30m, 2h and 24h.
  "retry": ["1s", "5s", "30s", "1m"],

  // Both sides read this file. Its path is relative to config.json.
  "secret": { "file": "${SECRET_FILE}" },

  // Only because this receiver is on the same machine: webhooks to customers go by https, and never
  // to addresses inside your network.
  "allowHttp": true,
  "allowNetworks": ["127.0.0.0/8"]
}
`;
