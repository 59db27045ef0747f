import { nearest } from "../config/suggestion.ts";
import type { Registry } from "../ingest/registry.ts";
import type { Clock } from "../runtime/clock.ts";
import { Turn } from "../runtime/turn.ts";

/** How many ids are compared between checks of the time: comparing two takes about 1 µs. */
const IDS_PER_STEP = 500;
/** Longer ids get no suggestion: they take long to compare, and aren't typing errors. */
const LONGEST_ID = 200;

export interface NearSubscriptionPorts {
  readonly registry: Registry;
  readonly clock: Clock;
}

/**
 * The error for an unknown subscription, with the one that was probably meant. Only for operators: ids
 * may be customers' names.
 */
export async function noSuchSubscription(
  id: string,
  { registry, clock }: NearSubscriptionPorts,
): Promise<string> {
  const near = id.length > LONGEST_ID ? undefined : await nearestId(id, registry, new Turn(clock));
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return `the config has no subscription "${id}"${hint}`;
}

/** Finds the nearest id of each slice, then the nearest of these. */
async function nearestId(id: string, registry: Registry, turn: Turn): Promise<string | undefined> {
  const near: string[] = [];
  for (let after = "";;) {
    const ids = registry.idsAfter(after, IDS_PER_STEP);
    const best = nearest(id, ids);
    if (best !== undefined) near.push(best);
    if (ids.length < IDS_PER_STEP) return nearest(id, near);
    after = ids.at(-1)!;
    if (turn.isOver) await turn.rest();
  }
}
