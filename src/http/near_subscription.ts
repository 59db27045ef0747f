import { nearest } from "../config/suggestion.ts";
import type { Registry } from "../ingest/registry.ts";
import type { Clock } from "../runtime/clock.ts";
import { Turn } from "../runtime/turn.ts";

/** So many ids are compared at once: to compare two takes a microsecond or so. */
const IDS_AT_ONCE = 500;
/** What is longer is no slip of the pen, and takes long to compare. */
const LONGEST_ID = 200;

export interface NearSubscriptionPorts {
  readonly registry: Registry;
  readonly clock: Clock;
}

/**
 * Says that the config has no such subscription, and which was probably meant. For operators alone: ids
 * may be the names of customers.
 */
export async function noSuchSubscription(
  id: string,
  { registry, clock }: NearSubscriptionPorts,
): Promise<string> {
  const near = id.length > LONGEST_ID ? undefined : await nearestId(id, registry, new Turn(clock));
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return `the config has no subscription "${id}"${hint}`;
}

/** The best of each slice, then the best of those. */
async function nearestId(id: string, registry: Registry, turn: Turn): Promise<string | undefined> {
  const near: string[] = [];
  for (let after = "";;) {
    const ids = registry.idsAfter(after, IDS_AT_ONCE);
    const best = nearest(id, ids);
    if (best !== undefined) near.push(best);
    if (ids.length < IDS_AT_ONCE) return nearest(id, near);
    after = ids.at(-1)!;
    if (turn.isOver) await turn.rest();
  }
}
