import type { ApiClient } from "./api_client.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";

/** Says that nothing was found, and whether that is because there is no such subscription. */
export async function sayNoneFit(
  subscription: string | undefined,
  { client, shell }: { client: ApiClient; shell: Shell },
): Promise<void> {
  shell.say(await unknownSubscription(subscription, client) ?? "no delivery fits");
}

/** What the daemon says of a subscription that it does not know; undefined where it knows it. */
export async function unknownSubscription(
  id: string | undefined,
  client: ApiClient,
): Promise<string | undefined> {
  if (id === undefined) return undefined;
  try {
    await client.get(`/v1/subscriptions/${encodeURIComponent(id)}`);
    return undefined;
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === EXIT.notFound) return error.message;
    throw error;
  }
}
