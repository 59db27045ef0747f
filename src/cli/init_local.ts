import { dirname, join } from "node:path";
import { newSecret } from "../profiles/new_secret.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { systemRandom } from "../runtime/random.ts";
import { writeNew } from "./new_file.ts";

/** The only subscription of the config that `init --local` writes. */
export const LOCAL_SUBSCRIPTION = "local";

/**
 * Writes a config whose receiver is `bellhook listen` on this machine, and the secret that both sides
 * read. A secret that is there already is kept.
 */
export async function writeLocal(path: string): Promise<void> {
  await writeNew(path, CONFIG);
  const secret = join(dirname(path), SECRET_FILE);
  if (await exists(secret)) return;
  await writeNew(secret, `${newSecret(BUILT_IN.get("standard")!, systemRandom()).secret}\n`, 0o600);
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

const SECRET_FILE = `secrets/${LOCAL_SUBSCRIPTION}`;

const CONFIG = `{
  // To try Bellhook out on one machine. "bellhook listen --subscription ${LOCAL_SUBSCRIPTION}" is the receiver.

  "server": { "listen": "127.0.0.1:8420" },
  "storage": { "url": "sqlite:bellhook.db" },

  "subscriptions": [
    {
      // History is stored under this id, so don't rename it.
      "id": "${LOCAL_SUBSCRIPTION}",
      "url": "http://127.0.0.1:8421/webhooks",
      // "*" stands for any run of characters.
      "events": ["*"],
      // A file beside this one, which both sides read.
      "secret": { "file": "${SECRET_FILE}" },

      // Only because this receiver is on the same machine: webhooks to customers go by https, and
      // never to addresses inside your network.
      "allowHttp": true,
      "allowNetworks": ["127.0.0.0/8"]
    }
  ]
}
`;
